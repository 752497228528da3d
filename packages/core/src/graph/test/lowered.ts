import type { Tensor } from '../../index.ts'
import { type Shape, spec } from '../../layout.ts'
import { lower } from '../lower.ts'
import type { Program } from '../program.ts'
import { trace } from '../trace.ts'

export const argument = (shape: Shape, dtype: 'float32' | 'int32' = 'float32') => ({
  spec: spec(dtype, shape),
  requiresGrad: false,
  grad: null,
})
export type Function = (...args: Tensor[]) => unknown

export const lowered = (f: Function, ...shapes: Shape[]): Program =>
  lower(
    trace(
      f,
      shapes.map((s) => argument(s)),
    ).graph,
  )

/** `matmul[relu]`: routines with their epilogues, kernels with the ops that they were fused from. */
export const names = ({ operations }: Program): string[] =>
  operations.map(({ program, origins }) => {
    const of = [...new Set(origins.map(({ name }) => name))]
    return program.kind === 'kernel'
      ? of.join('+')
      : program.name + (program.kind === 'routine' && program.epilogue ? `[${of.slice(1).join('+')}]` : '')
  })

import type { KernelBuilder, Value } from '../engine/kernel.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { momentsOf } from './moments.ts'
import { rowSize } from './rows.ts'
import { one, squareOf } from './scalar-math.ts'

/** Which axes make a row, and which of the optional factor and summand there are. */
export interface NormAttrs {
  readonly axes: readonly number[]
  readonly eps: number
  readonly weight: boolean
  readonly bias: boolean
}

/** Both norms: a row is scaled to mean square 1, `centred` or not, all in one kernel. */
/* @__NO_SIDE_EFFECTS__ */
const normalization = (name: string, centred: boolean) =>
  kernelPrimitive<NormAttrs>({
    name,
    accepts: ['float'],
    axes: (attrs) => attrs.axes,
    code: (k, [x, ...affine], { eps, weight, bias }) => {
      const { d, squares } = centred ? centredRow(k, x!) : { d: x!, squares: k.reduce('sum', squareOf(k, x!)) }
      const variance = k.div(squares, k.like(squares, rowSize(k)))
      let y = k.mul(d, k.div(one(k, d), k.sqrt(k.add(variance, k.like(variance, eps)))))
      if (weight) y = k.mul(y, affine[0]!)
      if (bias) y = k.add(y, affine.at(-1)!)
      return [y]
    },
  })

function centredRow(k: KernelBuilder, x: Value): { d: Value; squares: Value } {
  const { mean, squares } = momentsOf(k, x)
  return { d: k.sub(x, mean), squares }
}

export const layerNormPrimitive = normalization('layerNorm', true)
export const rmsNormPrimitive = normalization('rmsNorm', false)

import { dtypeInfo } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Shape, Spec } from '../layout.ts'
import { bind, bind1 } from '../tensor/bind.ts'
import type { Nested } from '../tensor/elements.ts'
import { modes, noGrad } from '../tensor/modes.ts'
import { Tensor } from '../tensor/tensor.ts'
import { tensor } from './creation.ts'
import { kernelPrimitive, type RowAttrs } from './kernel-op.ts'
import { outOfRange } from './region.ts'

/** Whole numbers as a tensor, or as (nested) arrays or one number, which become int32. */
export type IndexLike = Tensor | Nested<number>

const extremesPrimitive = kernelPrimitive<RowAttrs>({
  name: 'extremes',
  axes: ({ axes }) => axes,
  levels: ['row'],
  code: (k, [x]) => [k.reduce('min', x!), k.reduce('max', x!)],
  differentiable: false,
})

/** int32 in [0, n): negative ones count from the end, and what lies beyond is clamped. */
const wrapPrimitive = kernelPrimitive<{ n: number }>({
  name: 'wrapIndex',
  operands: ['int32'],
  compute: () => 'int32',
  code: (k, [i], { n }) => {
    const from0 = k.select(k.lt(i!, k.like(i!, 0)), k.add(i!, k.like(i!, n)), i!)
    return [k.min(k.max(from0, k.like(i!, 0)), k.like(i!, n - 1))]
  },
  differentiable: false,
})

/** Whether the numbers of `x` can be looked at here and now. */
export const canRead = (x: Tensor): boolean => (modes.tracer?.runs ?? !modes.tracer) && !x.isTracer && x.engine.synchronous

/**
 * Indices of an axis of size `n` as an int32 tensor in [0, n). Negative ones count from the end. One out of range is an error
 * where indices can be looked at (a synchronous engine, outside tracing), and is clamped elsewhere.
 */
export function resolveIndex(op: string, index: IndexLike, axis: number, shape: Shape): Tensor {
  const given = index instanceof Tensor ? index : tensor(index, { dtype: 'int32' })
  checkIndexDType(op, given)
  const n = shape[axis]!
  if (given.size === 0) return given.cast('int32')
  if (n === 0) outOfRange(op, 0, axis, shape)
  const range = extremesOf(op, given)
  if (range && range[0] < -n) outOfRange(op, range[0], axis, shape)
  if (range && range[1] >= n) outOfRange(op, range[1], axis, shape)
  return range && range[0] >= 0 ? given.cast('int32') : bind1(wrapPrimitive, [given], { n })
}

function checkIndexDType(op: string, { dtype }: Tensor): void {
  if (dtypeInfo[dtype].kind !== 'int') {
    throw new CotangentError('dtype-mismatch', {
      op,
      message: 'indices must be integers',
      dtypes: [dtype],
      hint: "Use index.cast('int32'), or at(mask) for a boolean mask.",
    })
  }
}

/** The least and the largest of some indices, where they can be looked at. */
export function extremesOf(op: string, index: Tensor): readonly [number, number] | null {
  checkIndexDType(op, index)
  if (index.size === 0 || !canRead(index)) return null
  return noGrad(() => bind(extremesPrimitive, [index], { axes: index.shape.map((_, a) => a) }).map((t) => t.item())) as [number, number]
}

/** Checks that `index` has the rank of an array of `shape`, and fits into it on the other axes. */
export function checkAlong(op: string, index: Spec, axis: number, shape: Shape): void {
  if (index.shape.length !== shape.length || index.shape.some((n, a) => a !== axis && n > shape[a]!)) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: 'the index must have as many axes as the tensor, and be no larger except on the axis',
      shapes: [shape, index.shape],
      hint: 'Use indexSelect(), take() or at() to pick whole rows.',
    })
  }
}

/** What reductions over rows share: their arguments, samples and sizes. */
import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { normalizeAxes } from '../layout.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { RowAttrs } from './kernel-op.ts'
import { type Sample, sampleTensor } from './table.ts'

/** Axes to reduce over; all, if not given. Negative ones count from the end. */
export type Axes = number | readonly number[] | undefined

/** Which axes are reduced (all of them, by default), and whether they stay with size 1. */
export interface ReduceOptions {
  readonly axis?: Axes
  /** Whether reduced axes stay, with size 1. */
  readonly keepDims?: boolean
}

/** `x.sum(1)` and `x.sum({ axis: 1, keepDims: true })` -> all options. */
export function reduceOptions<O extends object>(
  axis: Axes | (ReduceOptions & O),
  options: (ReduceOptions & O) | undefined,
): ReduceOptions & Partial<O> {
  const isOptions = typeof axis === 'object' && !Array.isArray(axis)
  if (isOptions) return axis as ReduceOptions & O
  return (axis === undefined ? (options ?? {}) : { ...options, axis }) as ReduceOptions & Partial<O>
}

/** The axes and `keepDims` of a reduction as attributes. */
export function rowAttrs(op: string, x: Tensor, axis: Axes | ReduceOptions, options?: ReduceOptions): RowAttrs {
  const given = reduceOptions(axis, options)
  return { axes: normalizeAxes(op, given.axis, x.rank), keepDims: given.keepDims ?? false }
}

export function checkNonEmpty(op: string, x: Tensor, { axes }: RowAttrs): void {
  if (axes.some((axis) => x.shape[axis] === 0)) {
    throw new CotangentError('empty-reduction', {
      op,
      message: 'has no value over no elements',
      shapes: [x.shape],
      hint: 'Check that the batch or mask is not empty.',
    })
  }
}

/** Elements a row. */
export const rowSize = ({ reduceAxes }: { readonly reduceAxes: readonly number[] }): number =>
  reduceAxes.reduce((n, extent) => n * extent, 1)

/** bool and narrow integers add up in int32. */
export const accumulator = (d: DType): DType => (d === 'bool' || d === 'uint8' || d === 'int8' ? 'int32' : d)

export const reduceSamples = (options: { low?: number; high?: number; gradient?: Sample['gradient']; empty?: boolean } = {}): Sample[] => {
  const { gradient, empty = true, ...range } = options
  const note = gradient ? { gradient } : {}
  return [
    { args: [sampleTensor([3, 5], range)], ...note },
    { args: [sampleTensor([3, 5], range), 1], ...note },
    { args: [sampleTensor([2, 3, 4], range), [0, -1], { keepDims: true }], ...note },
    { args: [sampleTensor([2, 7, 3], range), { axis: 1 }], ...note },
    { args: [sampleTensor([], range)], ...note },
    { args: [sampleTensor([0, 3], range), 1], ...note },
    ...(empty ? [{ args: [sampleTensor([2, 0], range), 1], ...note }] : []),
  ]
}

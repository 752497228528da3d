import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Combiner } from '../engine/scalar.ts'
import { normalizeAxes, sameShape, type Shape } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { kernelPrimitive, type RowAttrs } from './kernel-op.ts'
import { define, type Sample, sampleTensor } from './table.ts'

export interface ReduceOptions {
  /** Axes to reduce over; all, if not given. Negative ones count from the end. */
  readonly axis?: number | readonly number[]
  /** Whether reduced axes stay, with size 1. */
  readonly keepDims?: boolean
}

type Axis = number | readonly number[] | undefined

/** `x.sum(1)` and `x.sum({ axis: 1, keepDims: true })` -> attributes. */
export function rowAttrs(op: string, x: Tensor, axis: Axis | ReduceOptions, options: ReduceOptions = {}): RowAttrs {
  const given: ReduceOptions = typeof axis === 'object' && !Array.isArray(axis) ? (axis as ReduceOptions) : { ...options, ...(axis !== undefined && { axis: axis as number }) }
  return { axes: normalizeAxes(op, given.axis, x.rank), keepDims: given.keepDims ?? false }
}

export interface ReduceFunction {
  (x: Tensor, axis?: Axis | ReduceOptions, options?: ReduceOptions): Tensor
}

export const reduceSamples = (options: { low?: number; high?: number; gradient?: Sample['gradient'] } = {}): Sample[] => {
  const { gradient, ...range } = options
  const note = gradient ? { gradient } : {}
  return [
    { args: [sampleTensor([3, 5], range)], ...note },
    { args: [sampleTensor([3, 5], range), 1], ...note },
    { args: [sampleTensor([2, 3, 4], range), [0, -1], { keepDims: true }], ...note },
    { args: [sampleTensor([2, 7, 3], range), 1], ...note },
    { args: [sampleTensor([], range)], ...note },
  ]
}

/** bool and narrow integers add up in int32. */
const accumulator = (d: DType): DType => (d === 'bool' || d === 'uint8' || d === 'int8' ? 'int32' : d)

function reduction(name: string, combine: Combiner, doc: string, options: { compute?: (d: DType) => DType; nonEmpty?: boolean; differentiable?: boolean } = {}): ReduceFunction {
  const primitive = kernelPrimitive<RowAttrs>({
    name,
    ...(options.compute && { compute: options.compute }),
    ...(options.differentiable === undefined ? {} : { differentiable: options.differentiable }),
    axes: (attrs) => attrs.axes,
    levels: ['row'],
    code: (k, [x]) => [k.reduce(combine, x!)],
  })
  return define({
    name,
    doc,
    call: (x: Tensor, axis?: Axis | ReduceOptions, given?: ReduceOptions) => {
      const attrs = rowAttrs(name, x, axis, given)
      if (options.nonEmpty) checkNonEmpty(name, x, attrs)
      return bind1(primitive, [x], attrs)
    },
    samples: () => reduceSamples(),
  })
}

export function checkNonEmpty(op: string, x: Tensor, { axes }: RowAttrs): void {
  if (axes.some((axis) => x.shape[axis] === 0)) {
    throw new CotangentError('empty-reduction', { op, message: 'has no value over no elements', shapes: [x.shape], hint: 'Check that the batch or mask is not empty.' })
  }
}

export const sum = reduction('sum', 'sum', 'Sum over axes; bool, uint8 and int8 add up in int32.', { compute: accumulator })
export const max = reduction('max', 'max', 'Largest element; NaN if there is one. The gradient is shared evenly by equal maxima.', { nonEmpty: true })

export const any = reduction('any', 'or', 'Whether some element is not zero.', { compute: () => 'bool', differentiable: false })

/** Sums a gradient over the axes along which a tensor of `shape` was broadcast, and repeats it along those that it lacks. */
export const fitTo = define({
  name: 'fitTo',
  doc: 'Sums over axes that `shape` does not have or has with size 1, and expands axes of size 1: the adjoint of broadcasting.',
  call: (x: Tensor, shape: Shape): Tensor => {
    if (sameShape(x.shape, shape)) return x
    const lead = x.rank - shape.length
    const summed = x.shape.flatMap((n, axis) => (axis < lead || (shape[axis - lead] === 1 && n !== 1) ? [axis] : []))
    const fitted = summed.length > 0 ? sum(x, summed, { keepDims: true }) : x
    return fitted.reshape(fitted.shape.slice(lead)).expand(shape)
  },
  samples: () => [{ args: [sampleTensor([2, 3, 4]), [3, 1]] }, { args: [sampleTensor([3, 1]), [3, 4]] }, { args: [sampleTensor([2, 3]), []] }],
})

export interface ReduceMethods<_S extends Shape> {
  sum(axis?: Axis | ReduceOptions, options?: ReduceOptions): Tensor
  max(axis?: Axis | ReduceOptions, options?: ReduceOptions): Tensor
  any(axis?: Axis | ReduceOptions, options?: ReduceOptions): Tensor
  fitTo(shape: Shape): Tensor
}


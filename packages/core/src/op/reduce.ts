import { toFloat } from '../dtype.ts'
import type { Combiner } from '../engine/scalar.ts'
import { sameShape, type Shape } from '../layout.ts'
import type { Checked, Reduce, Result } from '../shape-types.ts'
import type { Precision } from '../tensor/autocast.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { SameMethods } from './elementwise.ts'
import { type KernelOp, kernelPrimitive, type RowAttrs } from './kernel-op.ts'
import { normOverRows } from './norm-over-rows.ts'
import { accumulator, type Axes, checkNonEmpty, reduceOptions, type ReduceOptions, reduceSamples, rowAttrs, rowSize } from './rows.ts'
import { one, zero } from './scalar-math.ts'
import { define, type Sample, sampleTensor } from './table.ts'

/** The shape rule of a reduction whose axes are given as `1`, `[0, 1]` or `{ axis: 1, keepDims: true }`. */
export type ReduceTo<S extends Shape, A, Keep extends boolean> = A extends Axes
  ? Reduce<S, A, Keep>
  : A extends ReduceOptions
    ? Reduce<
        S,
        A extends { readonly axis: infer X extends Axes } ? X : undefined,
        A extends { readonly keepDims: infer K extends boolean } ? K : false
      >
    : Shape

/** A reduction over axes, with options `O` besides. */
export interface ReduceFunction<O = unknown> {
  <S extends Shape, const A extends Axes | (ReduceOptions & O) = undefined, const Keep extends boolean = false>(
    x: Tensor<S>,
    axis?: Checked<ReduceTo<S, A, Keep>, A>,
    options?: { readonly keepDims?: Keep } & O,
  ): Tensor<Result<ReduceTo<S, A, Keep>>>
}

/** The same as a method. */
export interface ReduceMethod<O = unknown> {
  <S extends Shape, const A extends Axes | (ReduceOptions & O) = undefined, const Keep extends boolean = false>(
    this: Tensor<S>,
    axis?: Checked<ReduceTo<S, A, Keep>, A>,
    options?: { readonly keepDims?: Keep } & O,
  ): Tensor<Result<ReduceTo<S, A, Keep>>>
}

interface ReductionOptions extends Pick<KernelOp<RowAttrs>, 'code' | 'adjoint' | 'compute' | 'result' | 'differentiable'> {
  readonly doc: string
  /** Whether there is no value over no elements. */
  readonly nonEmpty?: boolean
  readonly precision?: Precision
  readonly gradient?: Sample['gradient']
}

function reduction(name: string, { doc, nonEmpty = false, gradient, precision, ...code }: ReductionOptions): ReduceFunction {
  const primitive = kernelPrimitive<RowAttrs>({ name, axes: (attrs) => attrs.axes, levels: ['row'], ...code })
  return define({
    name,
    doc,
    ...(precision && { precision }),
    call: ((x: Tensor, axis?: Axes | ReduceOptions, options?: ReduceOptions) => {
      const attrs = rowAttrs(name, x, axis, options)
      if (nonEmpty) checkNonEmpty(name, x, attrs)
      return bind1(primitive, [x], attrs)
    }) as ReduceFunction,
    samples: () => reduceSamples({ empty: !nonEmpty, ...(gradient && { gradient }) }),
  })
}

const combine =
  (combiner: Combiner): KernelOp<RowAttrs>['code'] =>
  (k, [x]) => [k.reduce(combiner, x!)]

export const sum = reduction('sum', {
  doc: 'Sum; bool, uint8 and int8 add up in int32.',
  compute: accumulator,
  code: combine('sum'),
  precision: 'float32',
})

export const prod = reduction('prod', {
  doc: 'Product; bool, uint8 and int8 multiply in int32. The gradient is right also at zeros.',
  compute: accumulator,
  code: combine('prod'),
  precision: 'float32',
})

export const mean = reduction('mean', {
  doc: 'Arithmetic mean; NaN over no elements.',
  compute: toFloat,
  code: (k, [x]) => {
    const total = k.reduce('sum', x!)
    return [k.div(total, k.like(total, rowSize(k)))]
  },
})

export const max = reduction('max', {
  doc: 'Largest element; NaN if there is one. The gradient is shared evenly by equal maxima.',
  nonEmpty: true,
  code: combine('max'),
})

export const min = reduction('min', {
  doc: 'Smallest element; NaN if there is one. The gradient is shared evenly by equal minima.',
  nonEmpty: true,
  code: combine('min'),
})

export const argmax = reduction('argmax', {
  doc: 'Position of the first largest element (or the first NaN), int32; over several axes counted in row-major order.',
  nonEmpty: true,
  differentiable: false,
  result: () => 'int32',
  code: combine('argmax'),
})

export const argmin = reduction('argmin', {
  doc: 'Position of the first smallest element (or the first NaN), int32; over several axes counted in row-major order.',
  nonEmpty: true,
  differentiable: false,
  result: () => 'int32',
  code: combine('argmin'),
})

export const any = reduction('any', {
  doc: 'Whether some element is not zero.',
  compute: () => 'bool',
  differentiable: false,
  code: combine('or'),
})
export const all = reduction('all', {
  doc: 'Whether no element is zero.',
  compute: () => 'bool',
  differentiable: false,
  code: combine('and'),
})

export const countNonzero = reduction('countNonzero', {
  doc: 'How many elements are not zero, int32.',
  differentiable: false,
  result: () => 'int32',
  code: (k, [x]) => [k.reduce('sum', k.cast(k.ne(x!, zero(k, x!)), 'int32'))],
})

export const nanSum = reduction('nanSum', {
  doc: 'Sum of the floats that are not NaN.',
  compute: toFloat,
  code: (k, [x]) => [k.reduce('sum', k.select(k.isNaN(x!), zero(k, x!), x!))],
})

export const nanMean = reduction('nanMean', {
  doc: 'Mean of the floats that are not NaN; NaN if there are none.',
  compute: toFloat,
  code: (k, [x]) => {
    const skip = k.isNaN(x!)
    return [k.div(k.reduce('sum', k.select(skip, zero(k, x!), x!)), k.reduce('sum', k.select(skip, zero(k, x!), one(k, x!))))]
  },
})

export const logSumExp = reduction('logSumExp', {
  doc: 'log of the sum of e^x, without overflow; -Infinity over no elements.',
  compute: toFloat,
  code: (k, [x]) => {
    const largest = k.reduce('max', x!)
    const base = k.select(k.lt(k.abs(largest), k.like(largest, Number.POSITIVE_INFINITY)), largest, zero(k, largest))
    return [k.add(k.log(k.reduce('sum', k.exp(k.sub(x!, base)))), base)]
  },
  adjoint: (k, [g], [x], [y]) => [
    // Where all are -Infinity, none has a share.
    k.mul(g!, k.exp(k.sub(x!, k.select(k.eq(y!, k.like(y!, Number.NEGATIVE_INFINITY)), zero(k, y!), y!)))),
  ],
  precision: 'float32',
})

/** Which norm is taken: that of Euclid, by default. */
export interface NormOptions {
  /** The order: 2 (default) is Euclid's, Infinity the largest magnitude, 0 counts what is not zero. */
  readonly p?: number
}

const normPrimitive = kernelPrimitive<RowAttrs & { readonly p: string }>({ name: 'norm', ...normOverRows })

export const norm = define({
  name: 'norm',
  precision: 'float32',
  doc: 'The p-norm (sum of |x|^p)^(1/p) over axes; its gradient at 0 is 0.',
  call: ((x: Tensor, axis?: Axes | (ReduceOptions & NormOptions), options?: ReduceOptions & NormOptions) => {
    const { p = 2, ...rest } = reduceOptions<NormOptions>(axis, options)
    const attrs = rowAttrs('norm', x, rest)
    if (Math.abs(p) === Number.POSITIVE_INFINITY) checkNonEmpty('norm', x, attrs)
    return bind1(normPrimitive, [x], { ...attrs, p: String(p) })
  }) as ReduceFunction<NormOptions>,
  samples: () => [
    ...reduceSamples().map((s, i) => (i === 6 ? { ...s, gradient: 'none' as const } : s)),
    ...[1, 3, 0.5, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((p) => ({
      args: [sampleTensor([3, 5], { low: 0.2, high: 2 }), 1, { p }],
    })),
    { args: [sampleTensor([3, 5]), { p: 0 }], gradient: 'none' as const },
  ],
})

/** Sums a gradient over the axes along which a tensor of `shape` was broadcast, and repeats it along those that it lacks. */
export const fitTo = define({
  name: 'fitTo',
  doc: 'Sums over axes that `shape` does not have or has with size 1, and expands axes of size 1: the adjoint of broadcasting.',
  call: (x: Tensor, shape: Shape): Tensor => {
    if (sameShape(x.shape, shape)) return x
    const lead = x.rank - shape.length
    const summed: number[] = []
    for (let axis = 0; axis < x.rank; axis++) if (axis < lead || (shape[axis - lead] === 1 && x.shape[axis] !== 1)) summed.push(axis)
    if (summed.length > 0 && summed.length === lead && sameShape(x.shape.slice(lead), shape)) return sum(x, summed)
    const fitted: Tensor = summed.length > 0 ? sum(x, summed, { keepDims: true }) : x
    return fitted.reshape(fitted.shape.slice(lead)).expand(shape)
  },
  samples: () => [
    { args: [sampleTensor([2, 3, 4]), [3, 1]] },
    { args: [sampleTensor([3, 1]), [3, 4]] },
    { args: [sampleTensor([2, 3]), []] },
  ],
})

type Module = typeof import('./reduce.ts')

type ReduceName =
  | 'sum'
  | 'prod'
  | 'mean'
  | 'max'
  | 'min'
  | 'argmax'
  | 'argmin'
  | 'any'
  | 'all'
  | 'countNonzero'
  | 'nanSum'
  | 'nanMean'
  | 'logSumExp'

/** Reductions over axes, as methods. */
export interface ReduceMethods<_S extends Shape> extends SameMethods<Module, ReduceName, ReduceMethod> {
  norm: ReduceMethod<NormOptions>
  fitTo(shape: Shape): Tensor
}

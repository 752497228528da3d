import { checkDType, type DType, isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { checkShape, normalizeAxis, type Shape } from '../layout.ts'
import type { OneHot } from '../shape-types.ts'
import { bind1 } from '../tensor/bind.ts'
import { Scalar } from '../tensor/scalar.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type CreationOptions, tensor } from './creation.ts'
import { take } from './gather.ts'
import { extremesOf, type IndexLike } from './index-tensor.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { reshape, unsqueeze } from './movement.ts'
import { readFor } from './positions.ts'
import { outOfRange } from './region.ts'
import { define, defineFunction, sampleTensor } from './table.ts'

interface ShapeAttrs {
  readonly shape: Shape
}

const ofShape = (_: readonly Shape[], { shape }: ShapeAttrs): Shape => shape

const arangePrimitive = kernelPrimitive<ShapeAttrs>({
  name: 'arange',
  space: ofShape,
  code: (k, [start, step]) => [k.add(start!, k.mul(k.cast(k.index(0), k.typeOf(step!)), step!))],
  differentiable: false,
})

const finish = (x: Tensor, { dtype, requiresGrad = false }: CreationOptions): Tensor<[number]> =>
  (dtype ? x.cast(dtype) : x).setRequiresGrad(requiresGrad) as Tensor<[number]>

/** Ranges of narrow integers and bools are made as int32 first. */
const computeIn = (dtype: DType): DType => (isFloat(dtype) || dtype === 'int64' ? dtype : 'int32')

const rangeFrom = (start: number, end: number, step: number, options: CreationOptions): Tensor<[number]> => {
  const size = Math.max(0, Math.ceil((end - start) / step))
  if (![start, end, step].every(Number.isFinite) || step === 0) {
    throw new CotangentError('invalid-argument', {
      op: 'arange',
      message: `there is no range from ${start} to ${end} in steps of ${step}`,
      hint: 'Give finite numbers and a step that is not 0.',
    })
  }
  const dtype = options.dtype ?? ([start, end, step].every(Number.isInteger) ? 'int32' : 'float32')
  checkDType(dtype, 'arange')
  const own = computeIn(dtype)
  return finish(bind1(arangePrimitive, [new Scalar(start, own), new Scalar(step, own)], { shape: [size] }), { ...options, dtype })
}

/**
 * The numbers from `start` (default 0) up to but not including `end`, in steps of `step` (default 1). Without `dtype` int32
 * if all are whole numbers, else float32.
 */
export function arange(end: number, options?: CreationOptions): Tensor<[number]>
export function arange(start: number, end: number, options?: CreationOptions): Tensor<[number]>
export function arange(start: number, end: number, step: number, options?: CreationOptions): Tensor<[number]>
export function arange(...args: (number | CreationOptions | undefined)[]): Tensor<[number]> {
  return ranged(...args)
}

const ranged = defineFunction({
  name: 'arange',
  doc: 'Evenly spaced numbers from a start (default 0) up to an end, in steps.',
  call: (...args: (number | CreationOptions | undefined)[]): Tensor<[number]> => {
    const numbers = args.filter((a) => typeof a === 'number')
    const options = args.find((a) => typeof a === 'object') ?? {}
    const [a, b, step] = numbers as [number, number?, number?]
    return b === undefined ? rangeFrom(0, a, 1, options) : rangeFrom(a, b, step ?? 1, options)
  },
  samples: () => [{ args: [5] }, { args: [2, 9, 3] }, { args: [1, -0.6, -0.25] }, { args: [3, { dtype: 'int64' }] }, { args: [4, 2] }],
})

/** Both halves count from their own end, so that the last element is exactly `end`. */
const linspacePrimitive = kernelPrimitive<ShapeAttrs>({
  name: 'linspace',
  space: ofShape,
  code: (k, [start, end, step], { shape }) => {
    const n = shape[0]!
    const i = k.index(0)
    const asFloat = (v: typeof i) => k.cast(v, k.typeOf(step!))
    const fromStart = k.add(start!, k.mul(asFloat(i), step!))
    const fromEnd = k.sub(end!, k.mul(asFloat(k.sub(k.constant('int32', n - 1), i)), step!))
    return [k.select(k.lt(i, k.constant('int32', Math.ceil(n / 2))), fromStart, fromEnd)]
  },
  differentiable: false,
})

export const linspace = defineFunction({
  name: 'linspace',
  doc: '`count` evenly spaced numbers from `start` to `end`, both included. float32 by default.',
  call: (start: number, end: number, count: number, options: CreationOptions = {}): Tensor<[number]> => {
    checkShape('linspace', [count])
    if (options.dtype) checkDType(options.dtype, 'linspace')
    const own = options.dtype && isFloat(options.dtype) ? options.dtype : 'float32'
    const step = count > 1 ? (end - start) / (count - 1) : 0
    return finish(
      bind1(
        linspacePrimitive,
        [start, end, step].map((v) => new Scalar(v, own)),
        { shape: [count] },
      ),
      options,
    )
  },
  samples: () => [{ args: [0, 1, 5] }, { args: [-2, 3, 4] }, { args: [1, 2, 1] }, { args: [1, 2, 0] }],
})

export interface LogspaceOptions extends CreationOptions {
  /** Default 10. */
  readonly base?: number
}

const powerPrimitive = kernelPrimitive<undefined>({ name: 'logspace', code: (k, [x, base]) => [k.pow(base!, x!)], differentiable: false })

export const logspace = defineFunction({
  name: 'logspace',
  doc: '`count` numbers whose logarithms are evenly spaced: from base^start to base^end, both included.',
  call: (start: number, end: number, count: number, { base = 10, ...options }: LogspaceOptions = {}): Tensor<[number]> => {
    if (options.dtype) checkDType(options.dtype, 'logspace')
    const exponents = linspace(start, end, count, options.dtype && isFloat(options.dtype) ? { dtype: options.dtype } : {})
    return finish(bind1(powerPrimitive, [exponents, new Scalar(base, exponents.dtype)], undefined), options)
  },
  samples: () => [{ args: [0, 2, 3] }, { args: [-1, 3, 5, { base: 2 }] }],
})

const eyePrimitive = kernelPrimitive<ShapeAttrs & { dtype: DType }>({
  name: 'eye',
  space: ofShape,
  code: (k, _, { dtype }) => [k.narrow(k.eq(k.index(0), k.index(1)), dtype)],
  compute: (_, { dtype }) => dtype,
  result: (_, { dtype }) => dtype,
  differentiable: false,
})

/** A matrix with ones on the diagonal: `rows` x `columns` (default: square). */
export function eye<const N extends number>(size: N, options?: CreationOptions): Tensor<[N, N]>
export function eye<const N extends number, const M extends number>(rows: N, columns: M, options?: CreationOptions): Tensor<[N, M]>
export function eye(rows: number, columns?: number | CreationOptions, options?: CreationOptions): Tensor {
  return identity(rows, columns, options)
}

const identity = defineFunction({
  name: 'eye',
  doc: 'A matrix with ones on the diagonal, zeros elsewhere.',
  call: (rows: number, columns?: number | CreationOptions, options?: CreationOptions): Tensor => {
    const { dtype = 'float32', requiresGrad = false } = options ?? (typeof columns === 'object' ? columns : {})
    const shape = [rows, typeof columns === 'number' ? columns : rows]
    checkShape('eye', shape)
    checkDType(dtype, 'eye')
    return bind1(eyePrimitive, [], { shape, dtype }).setRequiresGrad(requiresGrad)
  },
  samples: () => [{ args: [3] }, { args: [2, 4] }, { args: [2, { dtype: 'int32' }] }, { args: [0] }],
})

const oneHotPrimitive = kernelPrimitive<{ classes: number; dtype: DType }>({
  name: 'oneHot',
  operands: ['int32'],
  space: ([indices], { classes }) => [...indices!.slice(0, -1), classes],
  code: (k, [index], { dtype }) => [k.narrow(k.eq(index!, k.index(k.parallel.length - 1)), dtype)],
  compute: (_, { dtype }) => dtype,
  result: (_, { dtype }) => dtype,
  differentiable: false,
})

/**
 * 1 at the class of each element on a new last axis, 0 elsewhere. float32 by default. A class out of range is an error where
 * values can be looked at, and gives zeros elsewhere.
 */
export function oneHot<S extends Shape, const N extends number>(
  indices: Tensor<S>,
  classes: N,
  options?: { readonly dtype?: DType },
): Tensor<OneHot<S, N>> {
  return hot(indices as Tensor, classes, options) as Tensor<OneHot<S, N>>
}

const hot = define({
  name: 'oneHot',
  doc: '1 at the class of each element on a new last axis, 0 elsewhere.',
  call: (indices: Tensor, classes: number, { dtype = 'float32' }: { readonly dtype?: DType } = {}): Tensor => {
    checkShape('oneHot', [classes])
    checkDType(dtype, 'oneHot')
    const range = extremesOf('oneHot', indices)
    if (range && (range[0] < 0 || range[1] >= classes))
      outOfRange('oneHot', range[0] < 0 ? range[0] : range[1], -1, [...indices.shape, classes])
    return bind1(oneHotPrimitive, [unsqueeze(indices, -1)], { classes, dtype })
  },
  samples: () => [
    { args: [sampleTensor([2, 2], { dtype: 'int32', values: [0, 2, 1, 1] }), 3] },
    { args: [sampleTensor([3], { dtype: 'int32', values: [0, 2, 1] }), 4, { dtype: 'bool' }] },
    { args: [sampleTensor([], { dtype: 'int32', values: [1] }), 2] },
    { args: [sampleTensor([0], { dtype: 'int32', values: [] }), 2] },
  ],
})

export const repeatInterleave = define({
  name: 'repeatInterleave',
  doc: 'Each element of `axis` (of the flattened tensor, if not given) repeated in place: all equally often, or as often as `repeats` says for each.',
  call: (x: Tensor, repeats: number | IndexLike, axis?: number): Tensor => {
    if (axis === undefined) return repeatInterleave(reshape(x, [x.size]), repeats, 0)
    const at = normalizeAxis('repeatInterleave', axis, x.rank)
    const n = x.shape[at]!
    if (typeof repeats === 'number') {
      checkShape('repeatInterleave', [repeats])
      const spread = unsqueeze(x, at + 1).expand([...x.shape.slice(0, at + 1), repeats, ...x.shape.slice(at + 1)])
      return reshape(spread, [...x.shape.slice(0, at), n * repeats, ...x.shape.slice(at + 1)])
    }
    const counts = Array.isArray(repeats)
      ? (repeats as readonly number[])
      : Array.from(readFor('repeatInterleave', repeats as Tensor, 'Give the repeats as an array.'), Number)
    if (counts.length !== n || counts.some((c) => !Number.isInteger(c) || c < 0)) {
      throw new CotangentError('invalid-argument', {
        op: 'repeatInterleave',
        message: `repeats [${counts.join(', ')}] do not fit an axis of size ${n}`,
        shapes: [x.shape],
        hint: 'Give one number of at least 0 for each element of the axis.',
      })
    }
    return take(x, tensor(Int32Array.from(counts.flatMap((c, i) => new Array<number>(c).fill(i)))), at)
  },
  samples: () => [
    { args: [sampleTensor([2, 3]), 2] },
    { args: [sampleTensor([2, 3]), 2, 1] },
    { args: [sampleTensor([2, 3]), [2, 0, 1], -1] },
  ],
})

/** Classes as one-hot vectors, and repeats of elements, as methods. */
export interface RangeMethods<_S extends Shape> {
  oneHot<A extends Shape, const N extends number>(this: Tensor<A>, classes: N, options?: { readonly dtype?: DType }): Tensor<OneHot<A, N>>
  repeatInterleave(repeats: number | IndexLike, axis?: number): Tensor
}

import { isFloat, promote, roundHalfEven, toFloat } from '../dtype.ts'
import { KernelBuilder, type Value } from '../engine/kernel.ts'
import { scalarTypeOf } from '../engine/scalar.ts'
import { CotangentError } from '../errors.ts'
import { normalizeAxis, sameShape, type Shape, sizeOf } from '../layout.ts'
import * as routines from '../routines.ts'
import { bind, bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tensor } from './creation.ts'
import { scatterInto } from './gather-scatter.ts'
import { stack } from './join.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { permute, reshape, transpose } from './movement.ts'
import { readFor } from './positions.ts'
import { checkNonEmpty, type ReduceOptions, rowAttrs } from './rows.ts'
import { narrow, select } from './slice.ts'
import { define, defineFunction, sampleTensor } from './table.ts'

/** Sorts the last axis: values and int32 positions. */
const sortPrimitive: Primitive<{ descending: boolean }> = {
  name: 'sort',
  infer: ([x]) => [
    { dtype: x!.dtype, shape: x!.shape },
    { dtype: 'int32', shape: x!.shape },
  ],
  lower: (inputs, outputs, { descending }) => routines.sort({ descending }, inputs, outputs),
  // Each position is named once, so setting is enough.
  gradient: ([g], { outputs: [, positions] }) => [scatterInto(g!.newFull(g!.shape, 0), positions!, g!, g!.rank - 1, 'set')],
  saves: () => ({ inputs: [false], outputs: [false, true] }),
}

/** Along which axis, and from which end, elements are sorted. */
export interface SortOptions {
  /** Default: the last. */
  readonly axis?: number
  /** Largest first. */
  readonly descending?: boolean
}

/** Values with where they come from on the axis (int32). */
export interface Ranked {
  readonly values: Tensor
  readonly indices: Tensor
}

function sorted(op: string, x: Tensor, { axis = -1, descending = false }: SortOptions): Ranked {
  if (x.rank === 0) return { values: x, indices: x.newFull([], 0, { dtype: 'int32' }) }
  const at = normalizeAxis(op, axis, x.rank)
  const [values, indices] = bind(sortPrimitive, [transpose(x, at, -1)], { descending }) as [Tensor, Tensor]
  return { values: transpose(values, at, -1), indices: transpose(indices, at, -1) }
}

export const sort = define({
  name: 'sort',
  doc: 'Sorts along an axis (default the last): { values, indices }. Stable; NaN counts as largest.',
  call: (x: Tensor, options: SortOptions = {}): Ranked => sorted('sort', x, options),
  samples: () => [
    { args: [sampleTensor([3, 5])] },
    { args: [sampleTensor([4, 3]), { axis: 0, descending: true }] },
    { args: [sampleTensor([0, 3])] },
    { args: [sampleTensor([])] },
  ],
})

export const argSort = define({
  name: 'argSort',
  doc: 'The int32 indices that sort along an axis (default the last). Stable; NaN counts as largest.',
  call: (x: Tensor, options: SortOptions = {}): Tensor => sorted('argSort', x, options).indices,
  samples: () => [{ args: [sampleTensor([3, 5])] }, { args: [sampleTensor([4, 3]), { axis: 0, descending: true }] }],
})

/** Along which axis elements are picked, and from which end. */
export interface TopkOptions {
  /** Default: the last. */
  readonly axis?: number
  /** Default true; else the smallest. */
  readonly largest?: boolean
}

export const topk = define({
  name: 'topk',
  doc: 'The k largest (or smallest) elements along an axis, in order: { values, indices }. NaN counts as largest.',
  call: (x: Tensor, k: number, { axis = -1, largest = true }: TopkOptions = {}): Ranked => {
    const at = normalizeAxis('topk', axis, x.rank)
    if (!Number.isInteger(k) || k < 0 || k > x.shape[at]!) {
      throw new CotangentError('invalid-argument', {
        op: 'topk',
        message: `${k} elements cannot be picked from ${x.shape[at]}`,
        shapes: [x.shape],
        hint: 'k is a whole number from 0 to the size of the axis.',
      })
    }
    const { values, indices } = sorted('topk', x, { axis: at, descending: largest })
    return { values: narrow(values, at, 0, k), indices: narrow(indices, at, 0, k) }
  },
  samples: () => [{ args: [sampleTensor([3, 5]), 2] }, { args: [sampleTensor([4, 3]), 3, { axis: 0, largest: false }] }],
})

export interface KthOptions {
  /** Default: the last. */
  readonly axis?: number
  readonly keepDims?: boolean
}

export const kthvalue = define({
  name: 'kthvalue',
  doc: 'The k-th smallest element along an axis, k counted from 1: { values, indices }.',
  call: (x: Tensor, k: number, { axis = -1, keepDims = false }: KthOptions = {}): Ranked => {
    const at = normalizeAxis('kthvalue', axis, x.rank)
    if (!Number.isInteger(k) || k < 1 || k > x.shape[at]!) {
      throw new CotangentError('invalid-argument', {
        op: 'kthvalue',
        message: `there is no element number ${k} among ${x.shape[at]}`,
        shapes: [x.shape],
        hint: 'Count from 1.',
      })
    }
    const { values, indices } = sorted('kthvalue', x, { axis: at })
    const pick = (y: Tensor) => (keepDims ? narrow(y, at, k - 1, 1) : select(y, at, k - 1))
    return { values: pick(values), indices: pick(indices) }
  },
  samples: () => [{ args: [sampleTensor([3, 5]), 2] }, { args: [sampleTensor([4, 3]), 1, { axis: 0, keepDims: true }] }],
})

/** `x`, or the last element of its row where that is NaN: as NaN sorts last, one anywhere in the row. */
const orNaNPrimitive = kernelPrimitive<undefined>({ name: 'orNaN', code: (k, [x, last]) => [k.select(k.isNaN(last!), last!, x!)] })

/** The reduced axes sorted as one last axis, and the shape of a result with one value for each row. */
function sortedRows(op: string, x: Tensor, axis: Parameters<typeof rowAttrs>[2], options: ReduceOptions | undefined) {
  const attrs = rowAttrs(op, x, axis, options)
  checkNonEmpty(op, x, attrs)
  const kept = x.shape.map((_, a) => a).filter((a) => !attrs.axes.includes(a))
  const keptShape = kept.map((a) => x.shape[a]!)
  const n = sizeOf(attrs.axes.map((a) => x.shape[a]!))
  const { values } = sorted(op, reshape(permute(x, [...kept, ...attrs.axes]), [...keptShape, n]), {})
  const shape = attrs.keepDims ? x.shape.map((m, a) => (attrs.axes.includes(a) ? 1 : m)) : keptShape
  const last = select(values, -1, n - 1)
  const pick = (i: number) => (isFloat(x.dtype) ? bind1(orNaNPrimitive, [select(values, -1, i), last], undefined) : select(values, -1, i))
  return { n, shape, pick }
}

export const median = define({
  name: 'median',
  doc: "The middle element; the lower one of two, as PyTorch's (the mean of both is quantile(0.5)). NaN if there is one.",
  call: (x: Tensor, axis?: number | readonly number[] | ReduceOptions, options?: ReduceOptions): Tensor => {
    const { n, shape, pick } = sortedRows('median', x, axis, options)
    return reshape(pick(Math.floor((n - 1) / 2)), shape)
  },
  samples: () => [
    { args: [sampleTensor([3, 5])] },
    { args: [sampleTensor([4, 3]), 0] },
    { args: [sampleTensor([2, 3, 4]), [0, 2], { keepDims: true }] },
  ],
})

const interpolations = ['linear', 'lower', 'higher', 'nearest', 'midpoint'] as const

/** Along which axis quantiles are taken, and what lies between two elements. */
export interface QuantileOptions extends ReduceOptions {
  /** What is taken between two elements; default `linear`. */
  readonly interpolation?: (typeof interpolations)[number]
}

export const quantile = define({
  name: 'quantile',
  precision: 'float32',
  doc: 'The value below which a fraction q of the elements lies. With several q, they make a new first axis. NaN if there is one.',
  call: (x: Tensor, q: number | readonly number[], { interpolation = 'linear', ...options }: QuantileOptions = {}): Tensor => {
    const wrong = [q].flat().find((p) => !(p >= 0 && p <= 1))
    if (wrong !== undefined || !interpolations.includes(interpolation)) {
      throw new CotangentError('invalid-argument', {
        op: 'quantile',
        message: wrong === undefined ? `unknown interpolation '${interpolation}'` : `${wrong} is not a fraction`,
        hint: wrong === undefined ? `Use one of ${interpolations.join(', ')}.` : 'Give numbers from 0 to 1.',
      })
    }
    const { n, shape, pick } = sortedRows('quantile', x.cast(toFloat(x.dtype)), options, undefined)
    const one = (p: number): Tensor => {
      const exact = p * (n - 1)
      const [low, high] = [Math.floor(exact), Math.ceil(exact)]
      const weight = {
        linear: exact - low,
        lower: 0,
        higher: high === low ? 0 : 1,
        nearest: roundHalfEven(exact) - low,
        midpoint: high === low ? 0 : 0.5,
      }[interpolation]
      if (weight === 0 || weight === 1) return pick(weight === 0 ? low : high)
      return pick(low)
        .mul(1 - weight)
        .add(pick(high).mul(weight)) as Tensor
    }
    if (typeof q === 'number') return reshape(one(q), shape)
    return reshape(stack(q.map(one)) as Tensor, [q.length, ...shape])
  },
  samples: () => [
    { args: [sampleTensor([3, 5]), 0.5] },
    { args: [sampleTensor([4, 3]), 0.3, { axis: 0 }] },
    { args: [sampleTensor([2, 3, 4]), [0.25, 0.8, 1], { axis: [0, 2], keepDims: true }] },
    { args: [sampleTensor([6]), 0.3, { interpolation: 'midpoint' }] },
  ],
})

interface SearchAttrs {
  readonly right: boolean
}

const searchPrimitive: Primitive<SearchAttrs> = {
  name: 'searchSorted',
  infer: ([, values]) => [{ dtype: 'int32', shape: values!.shape }],
  lower([row, values], [y], { right }) {
    const k = new KernelBuilder('searchSorted', y!.shape)
    const type = scalarTypeOf[promote(row!.dtype, values!.dtype)]
    const from = k.input(row!.dtype)
    const x = k.cast(k.load(k.input(values!.dtype), values!.strides), type)
    const n = row!.shape.at(-1)!
    const int = (v: number) => k.constant('int32', v)
    const start = row!.shape
      .slice(0, -1)
      .reduce<Value>((sum, _, axis) => k.add(sum, k.mul(k.index(axis), int(row!.strides[axis]!))), int(0))
    const isNaN = (v: Value) => k.ne(v, v)
    // How many elements come before x: bit by bit, from the highest.
    let count: Value = int(0)
    for (let bit = n === 0 ? 0 : 2 ** Math.floor(Math.log2(n)); bit >= 1; bit /= 2) {
      const next = k.add(count, int(bit))
      const probe = k.sub(k.min(next, int(n)), int(1))
      const v = k.cast(k.gather(from, k.add(start, k.mul(probe, int(row!.strides.at(-1)!)))), type)
      // NaN comes after all numbers.
      const numbers = right ? k.le(v, x) : k.lt(v, x)
      const before = k.or(numbers, right ? isNaN(x) : k.and(isNaN(x), k.not(isNaN(v))))
      count = k.select(k.and(k.le(next, int(n)), before), next, count)
    }
    k.output('int32', count, y!.strides)
    return k.build()
  },
}

export const searchSorted = defineFunction({
  name: 'searchSorted',
  doc: 'Where values would go into a sorted last axis to keep it sorted: before equal elements, or after them (right). int32.',
  call: (x: Tensor, values: Tensor, { right = false }: Partial<SearchAttrs> = {}): Tensor => {
    const rows = x.shape.slice(0, -1)
    if (x.rank === 0 || (x.rank > 1 && !sameShape(rows, values.shape.slice(0, -1)))) {
      throw new CotangentError('shape-mismatch', {
        op: 'searchSorted',
        message: 'needs one sorted row, or one for each row of values',
        shapes: [x.shape, values.shape],
        hint: 'The leading sizes must be equal.',
      })
    }
    return bind1(searchPrimitive, [x, values], { right })
  },
  samples: () => [
    { args: [sampleTensor([5], { values: [-1, 0, 0, 1, 2] }), sampleTensor([2, 3], { values: [0, -2, 3, 0.5, 2, 1] })] },
    { args: [sampleTensor([5], { values: [-1, 0, 0, 1, 2] }), sampleTensor([3], { values: [0, 2, -1] }), { right: true }] },
    { args: [sampleTensor([2, 3], { values: [1, 2, 3, 4, 5, 6] }), sampleTensor([2, 2], { values: [0, 2, 5, 9] })] },
    { args: [sampleTensor([0]), sampleTensor([2])] },
  ],
})

/** What `unique` gives. */
export interface Unique {
  /** The distinct values, ascending, NaN last. */
  readonly values: Tensor<[number]>
  /** For each element, where its value stands: int32, of the tensor's shape. */
  readonly inverse: Tensor
  /** How often each value occurs: int32. */
  readonly counts: Tensor<[number]>
}

export const unique = define({
  name: 'unique',
  doc: 'The distinct values in ascending order, with { inverse, counts }. Its shape depends on values; no gradient.',
  call: (x: Tensor): Unique => {
    const data = readFor('unique', x, 'Call it outside traced functions, on a CPU engine.')
    const places = new Map<number | bigint, number>()
    const counts: number[] = []
    for (const v of data.slice().sort()) {
      const place = places.get(v)
      if (place === undefined) {
        places.set(v, counts.length)
        counts.push(1)
      } else counts[place]!++
    }
    const inverse = Int32Array.from(data as ArrayLike<number>, (v) => places.get(v)!)
    return {
      values: tensor([...places.keys()], { dtype: x.dtype }) as Tensor<[number]>,
      inverse: tensor(inverse, { shape: x.shape }) as Tensor,
      counts: tensor(counts, { dtype: 'int32' }) as Tensor<[number]>,
    }
  },
  samples: () => [
    { args: [sampleTensor([2, 3], { values: [3, 1, 2, 1, 3, 3] })], gradient: 'none' },
    { args: [sampleTensor([0])], gradient: 'none' },
  ],
})

/** Order, quantiles and largest elements, as methods. */
export interface SortMethods<S extends Shape> {
  sort(options?: SortOptions): { readonly values: Tensor<S>; readonly indices: Tensor<S> }
  argSort(options?: SortOptions): Tensor<S>
  topk(k: number, options?: TopkOptions): Ranked
  kthvalue(k: number, options?: KthOptions): Ranked
  median(axis?: number | readonly number[] | ReduceOptions, options?: ReduceOptions): Tensor
  quantile(q: number | readonly number[], options?: QuantileOptions): Tensor
  unique(): Unique
}

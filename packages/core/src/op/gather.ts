import { dtypeInfo } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { KernelBuilder, type Value } from '../engine/kernel.ts'
import { broadcastShapes, broadcastStrides, normalizeAxis, rowMajor, type Shape, sizeOf, type Spec } from '../layout.ts'
import type { Checked, Gather, Result, Take } from '../shape-types.ts'
import { bind, bind1 } from '../tensor/bind.ts'
import type { Nested } from '../tensor/elements.ts'
import { modes, noGrad } from '../tensor/modes.ts'
import type { Primitive } from '../tensor/primitive.ts'
import { Tensor } from '../tensor/tensor.ts'
import { tensor } from './creation.ts'
import { kernelPrimitive, type RowAttrs } from './kernel-op.ts'
import { inverseOrder, permute, reshape } from './movement.ts'
import { scatterInto } from './scatter.ts'
import { define, sampleTensor } from './table.ts'

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
export const canRead = (x: Tensor): boolean => !modes.tracer && !x.isTracer && x.engine.synchronous

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
    throw new CotangentError('dtype-mismatch', { op, message: 'indices must be integers', dtypes: [dtype], hint: "Use index.cast('int32'), or at(mask) for a boolean mask." })
  }
}

/** The least and the largest of some indices, where they can be looked at. */
export function extremesOf(op: string, index: Tensor): readonly [number, number] | null {
  checkIndexDType(op, index)
  if (index.size === 0 || !canRead(index)) return null
  return noGrad(() => bind(extremesPrimitive, [index], { axes: index.shape.map((_, a) => a) }).map((t) => t.item())) as [number, number]
}

export function outOfRange(op: string, index: number, axis: number, shape: Shape): never {
  const n = shape[axis]!
  throw new CotangentError('index-out-of-range', {
    op,
    message: `index ${index} does not exist on axis ${axis} of size ${n}`,
    shapes: [shape],
    hint: n === 0 ? 'The axis is empty.' : `Indices go from ${-n} to ${n - 1}.`,
  })
}

/** Sum of `positions[i]·strides[i]`; those with stride 1 come last, so that a dense inner axis is easy to see. */
function address(k: KernelBuilder, positions: readonly Value[], strides: readonly number[]): Value {
  const terms = positions.flatMap((p, i) => (strides[i] === 0 ? [] : [{ p, stride: strides[i]! }])).sort((a, b) => Math.abs(b.stride) - Math.abs(a.stride))
  const values = terms.map(({ p, stride }) => (stride === 1 ? p : k.mul(p, k.like(p, stride))))
  return values.length === 0 ? k.constant('int32', 0) : values.reduce((a, b) => k.add(a, b))
}

/** Integer indexing: the indexed axes go away, and the index's own axes stand at place `at` of the result. */
export interface TakeAttrs {
  /** Ascending; one for each index. */
  readonly axes: readonly number[]
  readonly at: number
}

const takePrimitive: Primitive<TakeAttrs> = {
  name: 'take',
  infer([x, ...indices], { axes, at }) {
    const rest = x!.shape.filter((_, axis) => !axes.includes(axis))
    return [{ dtype: x!.dtype, shape: [...rest.slice(0, at), ...broadcastShapes('take', ...indices.map((i) => i.shape)), ...rest.slice(at)] }]
  },
  lower([x, ...indices], [y], { axes, at }) {
    const k = new KernelBuilder('take', y!.shape)
    const from = k.input(x!.dtype)
    const rank = y!.shape.length - (x!.shape.length - axes.length)
    const looked = indices.map((i) => {
      const strides = y!.shape.map(() => 0)
      broadcastStrides(i.shape, i.strides, y!.shape.slice(at, at + rank)).forEach((s, axis) => (strides[at + axis] = s))
      return k.load(k.input(i.dtype), strides)
    })
    let next = 0
    const positions = x!.shape.map((_, axis) => {
      const which = axes.indexOf(axis)
      if (which >= 0) return looked[which]!
      const own = next++
      return k.index(own < at ? own : own + rank)
    })
    k.output(y!.dtype, k.gather(from, address(k, positions, x!.strides)), y!.strides)
    return k.build()
  },
  gradient([g], { attrs, inputs, inputSpecs }) {
    const [x, ...others] = inputSpecs
    return [putTaken(g!.newFull(x!.shape, 0), inputs.slice(1) as Tensor[], attrs, g!, 'add'), ...others.map(() => null)]
  },
  saves: (inputs) => ({ inputs: inputs.map((_, i) => i > 0), outputs: [false] }),
}

/** The elements of `x` at int32 indices that are in range already. */
export function takeAt(x: Tensor, indices: readonly Tensor[], attrs: TakeAttrs): Tensor {
  return bind1(takePrimitive, [x, ...indices], attrs)
}

const linearPrimitive = kernelPrimitive<{ sizes: Shape }>({
  name: 'linearIndex',
  code: (k, indices, { sizes }) => [address(k, indices, rowMajor(sizes))],
  differentiable: false,
})

/** `base` with `values` combined into the places that `takeAt` would read; where a place is named twice, `set` keeps the last. */
export function putTaken(base: Tensor, indices: readonly Tensor[], { axes, at }: TakeAttrs, values: Tensor, mode: 'set' | 'add'): Tensor {
  const sizes = axes.map((axis) => base.shape[axis]!)
  const rest = base.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis))
  const order = [...axes, ...rest]
  const restShape = rest.map((axis) => base.shape[axis]!)
  const width = sizeOf(restShape)
  const linear = indices.length === 1 ? indices[0]! : bind1(linearPrimitive, indices, { sizes })
  const count = linear.size
  const own = linear.rank
  const front = values.shape.map((_, axis) => axis)
  const sourceOrder = [...front.slice(at, at + own), ...front.slice(0, at), ...front.slice(at + own)]
  const put = scatterInto(
    reshape(permute(base, order), [sizeOf(sizes), width]),
    reshape(linear, [count, 1]).expand([count, width]),
    reshape(permute(values, sourceOrder), [count, width]),
    0,
    mode,
  )
  return permute(reshape(put, [...sizes, ...restShape]), inverseOrder(order))
}

const gatherPrimitive: Primitive<{ axis: number }> = {
  name: 'gather',
  infer: ([x, index]) => [{ dtype: x!.dtype, shape: index!.shape }],
  lower([x, index], [y], { axis }) {
    const k = new KernelBuilder('gather', y!.shape)
    const from = k.input(x!.dtype)
    const at = k.load(k.input(index!.dtype), index!.strides)
    const positions = x!.shape.map((_, a) => (a === axis ? at : k.index(a)))
    k.output(y!.dtype, k.gather(from, address(k, positions, x!.strides)), y!.strides)
    return k.build()
  },
  gradient([g], { attrs: { axis }, inputs, inputSpecs }) {
    return [scatterInto(g!.newFull(inputSpecs[0]!.shape, 0), inputs[1]!, g!, axis, 'add'), null]
  },
  saves: () => ({ inputs: [false, true], outputs: [false] }),
}

/** `gather` with int32 indices that are in range already. */
export function gatherAt(x: Tensor, index: Tensor, axis: number): Tensor {
  return bind1(gatherPrimitive, [x, index], { axis })
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

const indexTensor = (shape: Shape, values: readonly number[]) => sampleTensor(shape, { dtype: 'int32', values })

export const gather = define({
  name: 'gather',
  doc: "Element [i, j] of the result is x[index[i, j], j] for axis 0, and so on: PyTorch's gather.",
  call: (x: Tensor, axis: number, index: IndexLike): Tensor => {
    const along = normalizeAxis('gather', axis, x.rank)
    const given = index instanceof Tensor ? index : tensor(index, { dtype: 'int32' })
    checkAlong('gather', given.spec, along, x.shape)
    return gatherAt(x, resolveIndex('gather', given, along, x.shape), along)
  },
  samples: () => [
    { args: [sampleTensor([3, 4]), 0, indexTensor([2, 4], [0, 1, 2, 0, 2, 2, -1, 1])] },
    { args: [sampleTensor([3, 4]), -1, indexTensor([2, 2], [3, 0, 1, 1])] },
    { args: [sampleTensor([2, 3, 2]), 1, indexTensor([1, 0, 2], [])] },
  ],
})

export const takeAlongAxis = define({
  name: 'takeAlongAxis',
  doc: "`gather` with the other axes broadcast: NumPy's take_along_axis, for use with argSort and argmax.",
  call: (x: Tensor, index: Tensor, axis = -1): Tensor => {
    const along = normalizeAxis('takeAlongAxis', axis, x.rank)
    if (index.rank !== x.rank) throw new CotangentError('shape-mismatch', { op: 'takeAlongAxis', message: 'the index must have as many axes as the tensor', shapes: [x.shape, index.shape] })
    const without = (shape: Shape) => shape.map((n, a) => (a === along ? 1 : n))
    const common = broadcastShapes('takeAlongAxis', without(x.shape), without(index.shape))
    const grown = (t: Tensor) => t.expand(common.map((n, a) => (a === along ? t.shape[a]! : n)))
    return gatherAt(grown(x), resolveIndex('takeAlongAxis', grown(index), along, x.shape), along)
  },
  samples: () => [{ args: [sampleTensor([2, 3]), indexTensor([2, 1], [2, 0]), 1] }, { args: [sampleTensor([2, 3]), indexTensor([1, 2], [-1, 0]), 1] }],
})

export const take = define({
  name: 'take',
  doc: 'Elements at `index`, whose axes take the place of `axis`; without an axis, of the flattened tensor.',
  call: (x: Tensor, index: IndexLike, axis?: number): Tensor => {
    if (axis === undefined) return take(reshape(x, [x.size]), index, 0)
    const at = normalizeAxis('take', axis, x.rank)
    return takeAt(x, [resolveIndex('take', index, at, x.shape)], { axes: [at], at })
  },
  samples: () => [
    { args: [sampleTensor([4, 3]), indexTensor([2, 2], [0, 3, -1, 0]), 0] },
    { args: [sampleTensor([2, 5]), indexTensor([3], [4, 4, 0]), 1] },
    { args: [sampleTensor([2, 3]), indexTensor([], [4])] },
  ],
})

export const indexSelect = define({
  name: 'indexSelect',
  doc: 'The elements of `axis` at the indices, in their order: PyTorch\'s index_select.',
  call: (x: Tensor, axis: number, index: IndexLike): Tensor => take(x, index, normalizeAxis('indexSelect', axis, x.rank)),
  samples: () => [{ args: [sampleTensor([4, 3]), 0, indexTensor([5], [0, 3, 1, 1, -2])] }, { args: [sampleTensor([2, 3]), 1, indexTensor([0], [])] }],
})

export interface EmbeddingOptions {
  /** A row that gets no gradient: that of the padding token. */
  readonly paddingIdx?: number
}

/** The rows of `weight` `[count, size]` at integer `indices` of any shape: `[...indices.shape, size]`. */
export function embedding<A extends Shape, I extends Shape>(weight: Checked<Take<A, I>, Tensor<A>>, indices: Tensor<I>, options?: EmbeddingOptions): Tensor<Result<Take<A, I>>>
export function embedding(weight: Tensor, indices: Tensor, options?: EmbeddingOptions): Tensor {
  return lookUp(weight, indices, options)
}

const paddedPrimitive: Primitive<{ padding: number }> = {
  name: 'embedding',
  infer: (inputs) => takePrimitive.infer(inputs, { axes: [0], at: 0 }),
  lower: (inputs, outputs) => takePrimitive.lower(inputs, outputs, { axes: [0], at: 0 }),
  gradient([g], { attrs: { padding }, inputs: [, indices], inputSpecs }) {
    const rest = inputSpecs[0]!.shape.slice(1).map(() => 1)
    const own = g!.mul(reshape(indices!.ne(padding), [...indices!.shape, ...rest]))
    return [putTaken(g!.newFull(inputSpecs[0]!.shape, 0), [indices!], { axes: [0], at: 0 }, own, 'add'), null]
  },
  saves: () => ({ inputs: [false, true], outputs: [false] }),
}

const lookUp = define({
  name: 'embedding',
  doc: 'Rows of a table at integer indices.',
  method: false,
  call: (weight: Tensor, indices: Tensor, { paddingIdx }: EmbeddingOptions = {}): Tensor => {
    if (weight.rank < 1) throw new CotangentError('shape-mismatch', { op: 'embedding', message: 'the table must have rows', shapes: [weight.shape] })
    const rows = resolveIndex('embedding', indices, 0, weight.shape)
    if (paddingIdx === undefined) return takeAt(weight, [rows], { axes: [0], at: 0 })
    const count = weight.shape[0]!
    return bind1(paddedPrimitive, [weight, rows], { padding: paddingIdx < 0 ? paddingIdx + count : paddingIdx })
  },
  samples: () => [
    { args: [sampleTensor([5, 3]), indexTensor([2, 2], [0, 4, 1, 1])] },
    { args: [sampleTensor([5, 3]), indexTensor([4], [0, 4, 0, 1]), { paddingIdx: 0 }], gradient: 'none' },
    { args: [sampleTensor([5, 3]), indexTensor([], [2])] },
    { args: [sampleTensor([5, 3]), indexTensor([0], [])] },
  ],
})

export interface GatherMethods<_S extends Shape> {
  gather<A extends Shape, I extends Shape>(this: Tensor<A>, axis: number, index: Checked<Gather<A, I>, Tensor<I>>): Tensor<Result<Gather<A, I>>>
  gather(axis: number, index: readonly Nested<number>[]): Tensor
  takeAlongAxis(index: Tensor, axis?: number): Tensor
  take<A extends Shape, I extends Shape, const X extends number>(this: Tensor<A>, index: Tensor<I>, axis: Checked<Take<A, I, X>, X>): Tensor<Result<Take<A, I, X>>>
  take(index: IndexLike, axis?: number): Tensor
  indexSelect(axis: number, index: IndexLike): Tensor
}

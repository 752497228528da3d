import { CotangentError } from '../errors.ts'
import { broadcastShapes, normalizeAxis, type Shape } from '../layout.ts'
import type { Checked, Gather, Result, Take } from '../shape-types.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Nested } from '../tensor/elements.ts'
import type { Primitive } from '../tensor/primitive.ts'
import { Tensor } from '../tensor/tensor.ts'
import { tensor } from './creation.ts'
import { gatherAt, putTaken, takeAt, takePrimitive } from './gather-scatter.ts'
import { checkAlong, type IndexLike, resolveIndex } from './index-tensor.ts'
import { reshape } from './movement.ts'
import { define, defineFunction, sampleTensor } from './table.ts'

export type { IndexLike } from './index-tensor.ts'

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
    if (index.rank !== x.rank)
      throw new CotangentError('shape-mismatch', {
        op: 'takeAlongAxis',
        message: 'the index must have as many axes as the tensor',
        shapes: [x.shape, index.shape],
        hint: 'Use take() for one list of positions along an axis.',
      })
    const without = (shape: Shape) => shape.map((n, a) => (a === along ? 1 : n))
    const common = broadcastShapes('takeAlongAxis', without(x.shape), without(index.shape))
    const grown = (t: Tensor) => t.expand(common.map((n, a) => (a === along ? t.shape[a]! : n)))
    return gatherAt(grown(x), resolveIndex('takeAlongAxis', grown(index), along, x.shape), along)
  },
  samples: () => [
    { args: [sampleTensor([2, 3]), indexTensor([2, 1], [2, 0]), 1] },
    { args: [sampleTensor([2, 3]), indexTensor([1, 2], [-1, 0]), 1] },
  ],
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
  doc: "The elements of `axis` at the indices, in their order: PyTorch's index_select.",
  call: (x: Tensor, axis: number, index: IndexLike): Tensor => take(x, index, normalizeAxis('indexSelect', axis, x.rank)),
  samples: () => [
    { args: [sampleTensor([4, 3]), 0, indexTensor([5], [0, 3, 1, 1, -2])] },
    { args: [sampleTensor([2, 3]), 1, indexTensor([0], [])] },
  ],
})

/** The row of an embedding that gets no gradient. */
export interface EmbeddingOptions {
  /** A row that gets no gradient: that of the padding token. */
  readonly paddingIdx?: number
}

/** The rows of `weight` `[count, size]` at integer `indices` of any shape: `[...indices.shape, size]`. */
export function embedding<A extends Shape, I extends Shape>(
  weight: Checked<Take<A, I>, Tensor<A>>,
  indices: Tensor<I>,
  options?: EmbeddingOptions,
): Tensor<Result<Take<A, I>>>
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

const lookUp = defineFunction({
  name: 'embedding',
  doc: 'Rows of a table at integer indices.',
  call: (weight: Tensor, indices: Tensor, { paddingIdx }: EmbeddingOptions = {}): Tensor => {
    if (weight.rank < 1)
      throw new CotangentError('shape-mismatch', {
        op: 'embedding',
        message: 'the table must have rows',
        shapes: [weight.shape],
        hint: 'The table is [rows, ...features].',
      })
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

/** Reading elements and rows at indices, as methods. */
export interface GatherMethods<_S extends Shape> {
  gather<A extends Shape, I extends Shape>(
    this: Tensor<A>,
    axis: number,
    index: Checked<Gather<A, I>, Tensor<I>>,
  ): Tensor<Result<Gather<A, I>>>
  gather(axis: number, index: readonly Nested<number>[]): Tensor
  takeAlongAxis(index: Tensor, axis?: number): Tensor
  take<A extends Shape, I extends Shape, const X extends number>(
    this: Tensor<A>,
    index: Tensor<I>,
    axis: Checked<Take<A, I, X>, X>,
  ): Tensor<Result<Take<A, I, X>>>
  take(index: IndexLike, axis?: number): Tensor
  indexSelect(axis: number, index: IndexLike): Tensor
}

import type { ScatterMode } from '../engine/routine.ts'
import { CotangentError } from '../errors.ts'
import { broadcastShapes, normalizeAxis, type Shape } from '../layout.ts'
import { Tensor } from '../tensor/tensor.ts'
import { ones, tensor, zeros } from './creation.ts'
import type { ScalarLike } from './elementwise.ts'
import { scatterInto } from './gather-scatter.ts'
import { canRead, checkAlong, type IndexLike, resolveIndex } from './index-tensor.ts'
import { define, sampleTensor } from './table.ts'

/** What happens where a value is written to where there is one already. */
export interface ScatterOptions {
  /** How a value meets what is there; default `set`, where the last one wins. */
  readonly mode?: ScatterMode
}

const indexTensor = (shape: Shape, values: readonly number[]) => sampleTensor(shape, { dtype: 'int32', values })

export const scatter = define({
  name: 'scatter',
  precision: 'widest',
  doc: 'A copy in which the element at [index[i, j], j] (for axis 0, and so on) is combined with source[i, j]: `set`, `add`, `mul`, `max` or `min`.',
  call: (x: Tensor, axis: number, index: IndexLike, source: Tensor | ScalarLike, { mode = 'set' }: ScatterOptions = {}): Tensor => {
    const along = normalizeAxis('scatter', axis, x.rank)
    const given = index instanceof Tensor ? index : tensor(index, { dtype: 'int32' })
    checkAlong('scatter', given.spec, along, x.shape)
    if (source instanceof Tensor && (source.rank !== given.rank || source.shape.some((n, a) => n < given.shape[a]!))) {
      throw new CotangentError('shape-mismatch', {
        op: 'scatter',
        message: 'the source must have a value for each index',
        shapes: [given.shape, source.shape],
        hint: "Give a source of the index's shape, or one number.",
      })
    }
    const values =
      source instanceof Tensor ? source.slice(...given.shape.map((n) => [0, n] as const)) : x.newFull([], source).expand(given.shape)
    return scatterInto(x, resolveIndex('scatter', given, along, x.shape), values, along, mode)
  },
  samples: () => {
    const index = indexTensor([2, 4], [0, 1, 2, 0, 2, 0, -1, 1])
    return [
      { args: [sampleTensor([3, 4]), 0, indexTensor([2, 4], [0, 1, 2, 0, 2, 0, -2, 1]), sampleTensor([2, 4])] },
      { args: [sampleTensor([3, 4]), 0, index, sampleTensor([2, 4]), { mode: 'add' }] },
      { args: [sampleTensor([3, 4]), 0, index, sampleTensor([2, 4]), { mode: 'mul' }] },
      { args: [sampleTensor([3, 4]), 0, index, sampleTensor([2, 4]), { mode: 'max' }] },
      { args: [sampleTensor([3, 4]), 0, index, sampleTensor([2, 4]), { mode: 'min' }] },
      { args: [sampleTensor([2, 3]), 1, indexTensor([2, 1], [2, 0]), 1.5] },
      { args: [sampleTensor([2, 3]), 1, indexTensor([0, 1], []), sampleTensor([0, 1])] },
    ]
  },
})

export const scatterReduce = define({
  name: 'scatterReduce',
  precision: 'widest',
  doc: "`scatter` under PyTorch's name for combining: `add`, `mul`, `max` or `min`, with what is there included.",
  call: (x: Tensor, axis: number, index: IndexLike, source: Tensor, mode: Exclude<ScatterMode, 'set'>): Tensor =>
    scatter(x, axis, index, source, { mode }),
  samples: () => [{ args: [sampleTensor([3, 2]), 0, indexTensor([4, 2], [0, 1, 2, 0, 2, 0, 1, 1]), sampleTensor([4, 2]), 'add'] }],
})

export const indexAdd = define({
  name: 'indexAdd',
  precision: 'widest',
  doc: 'A copy in which slice i of `source` is added to slice index[i] of `axis`.',
  call: (x: Tensor, axis: number, index: IndexLike, source: Tensor): Tensor => {
    const along = normalizeAxis('indexAdd', axis, x.rank)
    const at = resolveIndex('indexAdd', index, along, x.shape)
    if (at.rank !== 1)
      throw new CotangentError('shape-mismatch', {
        op: 'indexAdd',
        message: 'the index must have one axis',
        shapes: [at.shape],
        hint: 'Use scatter() for an index of several axes.',
      })
    const shape = x.shape.map((n, a) => (a === along ? at.size : n))
    broadcastShapes('indexAdd', shape, source.shape)
    const spread = at.reshape(shape.map((n, a) => (a === along ? n : 1))).expand(shape)
    return scatterInto(x, spread, source.expand(shape), along, 'add')
  },
  samples: () => [
    { args: [sampleTensor([3, 2]), 0, indexTensor([4], [0, 2, 2, -1]), sampleTensor([4, 2])] },
    { args: [sampleTensor([2, 3]), 1, indexTensor([0], []), sampleTensor([2, 0])] },
  ],
})

/** What elements count, and how many bins there are. Without `length` the values are looked at to know it. */
export interface BincountOptions {
  /** What each element counts, of its shape; default 1. */
  readonly weights?: Tensor
  /** At least so many bins. Default 0. */
  readonly minLength?: number
  /** Exactly so many bins: then no values need to be looked at, and it can be traced. */
  readonly length?: number
}

export const bincount = define({
  name: 'bincount',
  doc: 'How often each of 0, 1, 2... occurs (or the sum of `weights` there). int32, or the dtype of the weights.',
  call: (x: Tensor, { weights, minLength = 0, length }: BincountOptions = {}): Tensor => {
    const flat = x.reshape([x.size])
    let bins = length ?? minLength
    if (length === undefined && x.size > 0) {
      if (!canRead(x)) {
        throw new CotangentError(x.isTracer ? 'tracer-read' : 'async-only', {
          op: 'bincount',
          message: 'the number of bins depends on values that cannot be looked at here',
          shapes: [x.shape],
          hint: 'Give the number of bins: { length }.',
        })
      }
      if (flat.neg().max().item() > 0)
        throw new CotangentError('index-out-of-range', {
          op: 'bincount',
          message: 'a value is negative',
          shapes: [x.shape],
          dtypes: [x.dtype],
          hint: 'Count from 0: subtract the minimum first.',
        })
      bins = Math.max(bins, flat.max().item() + 1)
    }
    const dtype = weights?.dtype ?? 'int32'
    const counted = weights ? weights.reshape([x.size]) : ones([1], { dtype }).expand([x.size])
    return scatterInto(zeros([bins], { dtype }), resolveIndex('bincount', flat, 0, [bins]), counted, 0, 'add')
  },
  samples: () => [
    { args: [indexTensor([6], [0, 3, 1, 1, 3, 3])] },
    { args: [indexTensor([2, 2], [0, 2, 2, 1]), { length: 5 }] },
    { args: [indexTensor([0], []), { minLength: 2 }] },
  ],
})

/** Writing to indices, as methods; each gives a new tensor. */
export interface ScatterMethods<_S extends Shape> {
  scatter<A extends Shape>(
    this: Tensor<A>,
    axis: number,
    index: IndexLike,
    source: Tensor | ScalarLike,
    options?: ScatterOptions,
  ): Tensor<A>
  scatterReduce<A extends Shape>(
    this: Tensor<A>,
    axis: number,
    index: IndexLike,
    source: Tensor,
    mode: Exclude<ScatterMode, 'set'>,
  ): Tensor<A>
  indexAdd<A extends Shape>(this: Tensor<A>, axis: number, index: IndexLike, source: Tensor): Tensor<A>
  bincount(options?: BincountOptions): Tensor<[number]>
}

import { CotangentError } from '../errors.ts'
import { normalizeAxes, normalizeAxis, type Shape } from '../layout.ts'
import type { Checked, Narrow, Result, Select, Slice } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { normalizeIndex, type Range, type Resolved, resolveRange, sliceRegion } from './region.ts'
import { define, sampleTensor } from './table.ts'

/** One axis sliced. */
function sliceAxis(x: Tensor, axis: number, part: Resolved): Tensor {
  return sliceRegion(
    x,
    x.shape.map((n, a) => (a === axis ? part : { start: 0, size: n, step: 1 })),
  )
}

export const slice = define({
  name: 'slice',
  doc: 'A range of each axis, the first ones first; axes not named stay whole. A view.',
  call: (x: Tensor, ...ranges: readonly Range[]): Tensor => {
    if (ranges.length > x.rank) {
      throw new CotangentError('axis-out-of-range', {
        op: 'slice',
        message: `${ranges.length} ranges for ${x.rank} axes`,
        shapes: [x.shape],
        hint: 'Give at most one range an axis.',
      })
    }
    return sliceRegion(
      x,
      x.shape.map((n, axis) => resolveRange('slice', ranges[axis] ?? null, n)),
    )
  },
  samples: () => [
    { args: [sampleTensor([5, 7]), { start: 1, end: -1 }, [null, null, 2]] },
    { args: [sampleTensor([5, 7]), '::-2', '6:1:-1'] },
    { args: [sampleTensor([4]), [3, 1]] },
    { args: [sampleTensor([2, 3]), null, '-2:'] },
    { args: [sampleTensor([3, 4]), '::-1'] },
    { args: [sampleTensor([])] },
  ],
})

export const narrow = define({
  name: 'narrow',
  doc: '`length` elements of `axis` from `start` on. A view.',
  call: (x: Tensor, axis: number, start: number, length: number): Tensor => {
    const at = normalizeAxis('narrow', axis, x.rank)
    const n = x.shape[at]!
    const first = start < 0 ? start + n : start
    if (!Number.isInteger(first) || !Number.isInteger(length) || first < 0 || length < 0 || first + length > n) {
      throw new CotangentError('index-out-of-range', {
        op: 'narrow',
        message: `elements ${start} to ${start + length} do not all exist on axis ${axis} of size ${n}`,
        shapes: [x.shape],
        hint: 'The start and start + length must lie within the axis.',
      })
    }
    return sliceAxis(x, at, { start: first, size: length, step: 1 })
  },
  samples: () => [
    { args: [sampleTensor([3, 5]), 1, 1, 3] },
    { args: [sampleTensor([3, 5]), 0, -2, 2] },
    { args: [sampleTensor([3]), 0, 1, 0] },
  ],
})

export const select = define({
  name: 'select',
  doc: 'Element `index` of `axis`, which goes away. A view.',
  call: (x: Tensor, axis: number, index: number): Tensor => {
    const at = normalizeAxis('select', axis, x.rank)
    const part = sliceAxis(x, at, { start: normalizeIndex('select', index, at, x.shape), size: 1, step: 1 })
    return part.reshape(part.shape.filter((_, a) => a !== at))
  },
  samples: () => [{ args: [sampleTensor([3, 5]), 1, -1] }, { args: [sampleTensor([3]), 0, 1] }, { args: [sampleTensor([2, 3, 4]), 1, 0] }],
})

export const flip = define({
  name: 'flip',
  doc: 'The elements of these axes (all, if not given) in reverse order. A view.',
  call: (x: Tensor, axis?: number | readonly number[]): Tensor => {
    const axes = normalizeAxes('flip', axis, x.rank)
    return sliceRegion(
      x,
      x.shape.map((n, a) => (axes.includes(a) && n > 0 ? { start: n - 1, size: n, step: -1 } : { start: 0, size: n, step: 1 })),
    )
  },
  samples: () => [
    { args: [sampleTensor([3, 5])] },
    { args: [sampleTensor([3, 5]), 1] },
    { args: [sampleTensor([0, 2]), [0, 1]] },
    { args: [sampleTensor([])] },
  ],
})

type Ranges<S extends Shape, R extends readonly Range[]> = Slice<S, R> extends string ? [Slice<S, R>] : R

/** Parts of a tensor along an axis, as methods. */
export interface SliceMethods<_S extends Shape> {
  slice<A extends Shape, const R extends readonly Range[]>(this: Tensor<A>, ...ranges: Ranges<A, R>): Tensor<Result<Slice<A, R>>>
  narrow<A extends Shape, const X extends number, const L extends number>(
    this: Tensor<A>,
    axis: Checked<Narrow<A, X, L>, X>,
    start: number,
    length: L,
  ): Tensor<Result<Narrow<A, X, L>>>
  select<A extends Shape, const X extends number>(
    this: Tensor<A>,
    axis: Checked<Select<A, X>, X>,
    index: number,
  ): Tensor<Result<Select<A, X>>>
  flip<A extends Shape>(this: Tensor<A>, axis?: number | readonly number[]): Tensor<A>
}

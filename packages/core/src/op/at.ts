import { CotangentError, formatShape } from '../errors.ts'
import { broadcastShapes, sameShape, type Shape } from '../layout.ts'
import type { Index, Result } from '../shape-types.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Nested } from '../tensor/elements.ts'
import type { Primitive } from '../tensor/primitive.ts'
import { Tensor } from '../tensor/tensor.ts'
import { assign } from './copy.ts'
import { tensor } from './creation.ts'
import type { ScalarLike } from './elementwise.ts'
import { putTaken, type TakeAttrs, takeAt } from './gather-scatter.ts'
import { resolveIndex } from './index-tensor.ts'
import { reshape } from './movement.ts'
import { positionsOf } from './positions.ts'
import { copyStep, normalizeIndex, type Range, type RangeText, type Region, type Resolved, resolveRange, sliceRegion } from './region.ts'
import { define, sampleTensor } from './table.ts'

/**
 * One index of `at`, as in NumPy:
 * - an integer picks one element, and its axis goes away;
 * - `':'`, `'1:5'`, `'::-1'` or `{ start, end, step }` takes a range;
 * - `'...'` stands for all axes that are not named; `null` is a new axis of size 1;
 * - an integer tensor or array picks by index, and several of them broadcast together;
 * - a bool tensor or array picks where it is true, and stands for as many axes as it has.
 */
export type IndexItem =
  | number
  | RangeText
  | '...'
  | null
  | Exclude<Range, readonly unknown[] | string | null>
  | Tensor
  | readonly Nested<number | boolean>[]

/** The shape rule, where index arrays are as good as tensors. */
type At<S extends Shape, I extends readonly unknown[]> = Extract<I[number], readonly unknown[]> extends never ? Index<S, I> : Shape

type Items<S extends Shape, I extends readonly IndexItem[]> = At<S, I> extends string ? [At<S, I>] : I

/** An index taken apart: a region, reshaped to `shape`, then maybe index tensors. */
interface Located {
  readonly parts: readonly Resolved[]
  readonly shape: Shape
  readonly indices: readonly Tensor[]
  readonly attrs: TakeAttrs
}

function locate(op: string, x: Tensor, items: readonly IndexItem[]): Located {
  const given = items.map((item) => (Array.isArray(item) ? arrayIndex(op, item) : (item as Exclude<IndexItem, readonly unknown[]>)))
  const used = given.reduce<number>((sum, item) => sum + axesOf(item), 0)
  const dots = given.indexOf('...')
  if (used > x.rank || dots !== given.lastIndexOf('...')) {
    const message = used > x.rank ? `${used} indices for ${x.rank} axes` : "only one index can be '...'"
    throw new CotangentError('index-out-of-range', {
      op,
      message,
      shapes: [x.shape],
      hint: 'Leave indices out at the end to take whole axes.',
    })
  }
  const missing = new Array<string>(x.rank - used).fill(':')
  const whole = dots < 0 ? [...given, ...missing] : [...given.slice(0, dots), ...missing, ...given.slice(dots + 1)]

  const parts: Resolved[] = []
  const shape: number[] = []
  const indices: Tensor[] = []
  const axes: number[] = []
  const lookUp = (index: Tensor) => {
    indices.push(index)
    axes.push(shape.length)
    const n = x.shape[parts.length]!
    parts.push({ start: 0, size: n, step: 1 })
    shape.push(n)
  }
  for (const item of whole) {
    const axis = parts.length
    if (item === null) shape.push(1)
    else if (typeof item === 'number') parts.push({ start: normalizeIndex(op, item, axis, x.shape), size: 1, step: 1 })
    else if (!(item instanceof Tensor)) {
      const part = resolveRange(op, item as Range, x.shape[axis]!)
      parts.push(part)
      shape.push(part.size)
    } else if (item.dtype === 'bool') {
      const own = x.shape.slice(axis, axis + item.rank)
      if (item.rank === 0)
        throw new CotangentError('shape-mismatch', {
          op,
          message: 'a mask needs at least one axis',
          shapes: [item.shape],
          hint: 'Use where() for a 0-d condition.',
        })
      if (!sameShape(own, item.shape)) {
        throw new CotangentError('shape-mismatch', {
          op,
          message: `a mask of ${formatShape(item.shape)} does not fit axes of sizes ${formatShape(own)}`,
          shapes: [x.shape, item.shape],
          hint: 'A mask covers whole axes; expand it, or index the other axes first.',
        })
      }
      positionsOf(op, item).forEach(lookUp)
    } else lookUp(resolveIndex(op, item, axis, x.shape))
  }
  const together = axes.every((a, i) => a === axes[0]! + i)
  return { parts, shape, indices, attrs: { axes, at: together ? (axes[0] ?? 0) : 0 } }
}

const axesOf = (item: unknown): number => {
  if (item === null || item === '...') return 0
  if (!(item instanceof Tensor) || item.dtype !== 'bool') return 1
  return item.rank
}

function arrayIndex(op: string, values: readonly Nested<number | boolean>[]): Tensor {
  const flat = values.flat(Infinity as 1)
  if (flat.length > 0 && flat.every((v) => typeof v === 'boolean')) return tensor(values)
  const wrong = flat.find((v) => !Number.isInteger(v))
  if (wrong === undefined) return tensor(values, { dtype: 'int32' })
  throw new CotangentError('invalid-argument', {
    op,
    message: `${String(wrong)} is not an index`,
    hint: 'An index array holds integers, or booleans only.',
  })
}

/** The part of `x` that integers, ranges and new axes name: a view. */
const basic = (x: Tensor, { parts, shape }: Located): Tensor => {
  const region = sliceRegion(x, parts)
  return sameShape(region.shape, shape) ? region : reshape(region, shape)
}

export const at = define({
  name: 'at',
  doc: "Indexing like NumPy's: integers, ranges ('1:5', { start, end, step }), '...', null for a new axis, integer arrays or tensors, and bool masks. A view, unless there are arrays or tensors.",
  call: (x: Tensor, ...items: readonly IndexItem[]): Tensor => {
    const located = locate('at', x, items)
    const part = basic(x, located)
    return located.indices.length === 0 ? part : takeAt(part, located.indices, located.attrs)
  },
  samples: () => [
    { args: [sampleTensor([3, 4]), 1] },
    { args: [sampleTensor([3, 4]), '...', -1] },
    { args: [sampleTensor([3, 4, 2]), '::-1', null, { start: 1 }] },
    { args: [sampleTensor([3, 4]), [0, 2, 2, -1]] },
    { args: [sampleTensor([3, 4]), [0, 2], [1, 3]] },
    { args: [sampleTensor([3, 4, 5]), [[0], [2]], '1:', [1, 3]] },
    { args: [sampleTensor([3, 4, 5]), ':', sampleTensor([2, 2], { dtype: 'int32', values: [0, 3, -1, 1] }), '::2'] },
    { args: [sampleTensor([2, 3]), sampleTensor([2, 3], { dtype: 'bool', values: [1, 0, 1, 0, 0, 1] })] },
    { args: [sampleTensor([2, 3, 2]), 0, [true, false, true]] },
    { args: [sampleTensor([]), null] },
  ],
})

/** `x` with the elements of a region replaced. */
const replacePrimitive: Primitive<Region> = {
  name: 'replace',
  tangent: 'linear',
  infer: ([x]) => [{ dtype: x!.dtype, shape: x!.shape }],
  lower([x, value], [y], { starts, steps }) {
    const none = x!.shape.map(() => 0)
    const ones = x!.shape.map(() => 1)
    const to = { spec: y!, buffer: 2 }
    const whole = copyStep({ spec: x!, buffer: 0 }, to, { starts: none, steps: ones })
    return { kind: 'sequence', steps: [whole, copyStep({ spec: value!, buffer: 1 }, to, { starts, steps })] }
  },
  gradient([g], { attrs, inputSpecs, wanted }) {
    const value = inputSpecs[1]!
    return [
      wanted[0] ? bind1(replacePrimitive, [g!, g!.newFull([], 0).expand(value.shape)], attrs) : null,
      wanted[1] ? sliceRegion(g!, partsOf(attrs)).cast(value.dtype) : null,
    ]
  },
  saves: () => ({ inputs: [false, false], outputs: [false] }),
}

const partsOf = ({ starts, sizes, steps }: Region): Resolved[] =>
  starts.map((start, axis) => ({ start, size: sizes[axis]!, step: steps[axis]! }))

export interface IndexPutOptions {
  /** Add the values to what is there, also where a place is named twice. Default: replace; the last one wins. */
  readonly accumulate?: boolean
}

export const indexPut = define({
  name: 'indexPut',
  precision: 'widest',
  doc: 'A copy in which the elements that `at(...items)` names are replaced by `value`, which broadcasts, or have it added (accumulate).',
  call: <S extends Shape>(
    x: Tensor<S>,
    items: readonly IndexItem[],
    value: Tensor | ScalarLike,
    { accumulate = false }: IndexPutOptions = {},
  ): Tensor<S> => {
    const plain: Tensor = x as Tensor
    const located = locate('indexPut', plain, items)
    const { parts, shape, indices, attrs } = located
    const values: Tensor = value instanceof Tensor ? value.cast(x.dtype) : plain.newFull([], value)
    let part: Tensor
    if (indices.length === 0) {
      const given = values.expand(shape)
      part = accumulate ? (basic(plain, located).add(given) as Tensor) : given
    } else {
      const rest = shape.filter((_, axis) => !attrs.axes.includes(axis))
      const wide = broadcastShapes('indexPut', ...indices.map((i) => i.shape))
      const taken = [...rest.slice(0, attrs.at), ...wide, ...rest.slice(attrs.at)]
      part = putTaken(
        basic(plain, located),
        indices.map((i) => i.expand(wide)),
        attrs,
        values.expand(taken),
        accumulate ? 'add' : 'set',
      )
    }
    const sizes = parts.map((p) => p.size)
    const region = { starts: parts.map((p) => p.start), sizes, steps: parts.map((p) => p.step) }
    return bind1(replacePrimitive, [plain, reshape(part, sizes)], region) as Tensor<S>
  },
  samples: () => [
    { args: [sampleTensor([3, 4]), [1], sampleTensor([4])] },
    { args: [sampleTensor([3, 4]), ['::-2', '1:3'], 1.5] },
    { args: [sampleTensor([3, 4]), [[0, 2], ':'], sampleTensor([4])] },
    {
      args: [
        sampleTensor([3, 4]),
        [
          [0, 2, 0],
          [1, 3, 1],
        ],
        sampleTensor([3]),
        { accumulate: true },
      ],
    },
    { args: [sampleTensor([3, 4]), [':', '1:'], sampleTensor([3, 3]), { accumulate: true }] },
  ],
})

/**
 * Writes `value`, which broadcasts, in place of the elements that `at(...items)` names: `x.setAt([0, '1:3'], 5)`. Views of the
 * tensor see it. Returns the tensor. Refuses where gradients are recorded, as `assign` does.
 */
export function setAt<T extends Tensor>(x: T, items: readonly IndexItem[], value: Tensor | ScalarLike): T {
  const located = locate('setAt', x, items)
  const part = basic(x, located)
  if (located.indices.length === 0) assign(part, value)
  else
    assign(
      part,
      indexPut(
        part,
        part.shape.map((_, axis) => (located.attrs.axes.includes(axis) ? located.indices[located.attrs.axes.indexOf(axis)]! : ':')),
        value,
      ),
    )
  return x
}

Object.defineProperty(Tensor.prototype, 'setAt', {
  value(this: Tensor, items: readonly IndexItem[], value: Tensor | ScalarLike) {
    return setAt(this, items, value)
  },
  writable: true,
  configurable: true,
})

/** Reading and writing parts of a tensor by indices, as methods. */
export interface AtMethods<S extends Shape> {
  at<A extends Shape, const I extends readonly IndexItem[]>(this: Tensor<A>, ...items: Items<A, I>): Tensor<Result<At<A, I>>>
  indexPut(items: readonly IndexItem[], value: Tensor | ScalarLike, options?: IndexPutOptions): Tensor<S>
  /** Writes `value` in place of the elements that `at(...items)` names; views see it. Not where gradients are recorded. */
  setAt(items: readonly IndexItem[], value: Tensor | ScalarLike): this
}

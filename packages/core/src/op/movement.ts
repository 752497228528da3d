import { CotangentError } from '../errors.ts'
import { broadcastStrides, checkShape, inverseOrder, normalizeAxes, normalizeAxis, reshapeStrides, type Shape, sizeOf } from '../layout.ts'
import type { Checked, Expand, Flatten, Permute, Reshape, Result, Squeeze, Transpose, Unsqueeze } from '../shape-types.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import { Tensor } from '../tensor/tensor.ts'
import { define, sampleTensor } from './table.ts'

const nothing = () => ({ inputs: [false], outputs: [false] })

const reshapePrimitive: Primitive<{ shape: Shape }> = {
  name: 'reshape',
  tangent: 'linear',
  infer: ([x], { shape }) => [{ dtype: x!.dtype, shape }],
  lower([x], _, { shape }) {
    const strides = reshapeStrides(x!, shape)
    return strides && { kind: 'view', shape, strides, offset: 0 }
  },
  gradient: ([g], { inputSpecs }) => [g!.reshape(inputSpecs[0]!.shape)],
  saves: nothing,
}

export const reshape = define({
  name: 'reshape',
  doc: 'The same elements in another shape; one size may be -1. A view where possible.',
  call: (x: Tensor, shape: Shape): Tensor => bind1(reshapePrimitive, [x], { shape: resolveShape('reshape', x, shape) }),
  samples: () => [
    { args: [sampleTensor([2, 6]), [3, -1]] },
    { args: [sampleTensor([]), [1, 1]] },
    { args: [sampleTensor([0, 3]), [3, 0]] },
    { args: [sampleTensor([7]), [7]] },
  ],
})

function resolveShape(op: string, x: Tensor, shape: Shape): Shape {
  const unknown = Array.isArray(shape) ? shape.indexOf(-1) : -1
  const known = unknown < 0 ? shape : shape.filter((_, i) => i !== unknown)
  checkShape(op, known)
  const resolved = [...shape]
  if (unknown >= 0) {
    const others = sizeOf(known)
    resolved[unknown] = others === 0 ? 0 : x.size / others
  }
  if (sizeOf(resolved) !== x.size || !Number.isInteger(resolved[unknown] ?? 0)) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: `${x.size} elements do not fill [${shape.join(', ')}]`,
      shapes: [x.shape, shape],
      hint: 'Sizes must multiply to the number of elements; one of them may be -1.',
    })
  }
  return resolved
}

export const view = define({
  name: 'view',
  doc: 'A new tensor on the same memory, which the gradient passes through; with a shape, `reshape` that never copies.',
  call: (x: Tensor, shape: Shape = x.shape): Tensor => {
    const resolved = resolveShape('view', x, shape)
    if (!reshapeStrides(x.spec, resolved)) {
      throw new CotangentError('unsupported', {
        op: 'view',
        message: `the elements do not lie in memory so that they read as [${resolved.join(', ')}]`,
        shapes: [x.shape],
        hint: 'Use reshape(), which copies where it must.',
      })
    }
    return bind1(reshapePrimitive, [x], { shape: resolved })
  },
  samples: () => [{ args: [sampleTensor([2, 3])] }, { args: [sampleTensor([2, 3]), [3, 2]] }, { args: [sampleTensor([])] }],
})

export const flatten = define({
  name: 'flatten',
  doc: 'The axes from `start` (default 0) to `end` (inclusive, default the last) as one; a 0-d tensor becomes [1].',
  call: (x: Tensor, start = 0, end = -1): Tensor => {
    if (x.rank === 0) return reshape(x, [1])
    const first = normalizeAxis('flatten', start, x.rank)
    const last = normalizeAxis('flatten', end, x.rank)
    if (last < first)
      throw new CotangentError('invalid-argument', {
        op: 'flatten',
        message: `axis ${start} comes after axis ${end}`,
        shapes: [x.shape],
        hint: 'Name the first axis first.',
      })
    return reshape(x, [...x.shape.slice(0, first), sizeOf(x.shape.slice(first, last + 1)), ...x.shape.slice(last + 1)])
  },
  samples: () => [
    { args: [sampleTensor([2, 3, 4])] },
    { args: [sampleTensor([2, 3, 4]), 1] },
    { args: [sampleTensor([2, 3, 4, 5]), 1, -2] },
    { args: [sampleTensor([])] },
  ],
})

export const unflatten = define({
  name: 'unflatten',
  doc: 'Splits `axis` into axes of the given sizes, one of which may be -1.',
  call: (x: Tensor, axis: number, sizes: Shape): Tensor => {
    const at = normalizeAxis('unflatten', axis, x.rank)
    const n = x.shape[at]!
    const unknown = sizes.indexOf(-1)
    const known = sizeOf(sizes.filter((_, i) => i !== unknown))
    const resolved = sizes.map((m, i) => (i === unknown ? (known === 0 ? 0 : n / known) : m))
    if (sizeOf(resolved) !== n || resolved.some((m) => !Number.isInteger(m) || m < 0)) {
      throw new CotangentError('shape-mismatch', {
        op: 'unflatten',
        message: `axis ${axis} of size ${n} does not split into [${sizes.join(', ')}]`,
        shapes: [x.shape],
        hint: 'The new sizes must multiply to the size of the axis.',
      })
    }
    return reshape(x, [...x.shape.slice(0, at), ...resolved, ...x.shape.slice(at + 1)])
  },
  samples: () => [{ args: [sampleTensor([2, 12]), 1, [3, -1]] }, { args: [sampleTensor([6, 2]), -2, [2, 3]] }],
})

const permutePrimitive: Primitive<{ axes: readonly number[] }> = {
  name: 'permute',
  tangent: 'linear',
  infer: ([x], { axes }) => [{ dtype: x!.dtype, shape: axes.map((a) => x!.shape[a]!) }],
  lower: ([x], _, { axes }) => ({
    kind: 'view',
    shape: axes.map((a) => x!.shape[a]!),
    strides: axes.map((a) => x!.strides[a]!),
    offset: 0,
  }),
  gradient: ([g], { attrs }) => [permute(g!, inverseOrder(attrs.axes))],
  saves: nothing,
}

export const permute = define({
  name: 'permute',
  doc: 'The axes in another order: axis i of the result is axis axes[i]. A view.',
  call: (x: Tensor, axes: readonly number[]): Tensor => {
    const order = axes.map((a) => normalizeAxis('permute', a, x.rank))
    if (order.length !== x.rank || order.some((a, i) => order.indexOf(a) !== i)) {
      throw new CotangentError('invalid-argument', {
        op: 'permute',
        message: `[${axes}] is not an order of all axes`,
        shapes: [x.shape],
        hint: `Name each of the ${x.rank} axes once.`,
      })
    }
    return order.every((a, i) => a === i) ? x : bind1(permutePrimitive, [x], { axes: order })
  },
  samples: () => [
    { args: [sampleTensor([2, 3, 4]), [2, 0, 1]] },
    { args: [sampleTensor([2, 3]), [-1, 0]] },
    { args: [sampleTensor([]), []] },
  ],
})

export const transpose = define({
  name: 'transpose',
  doc: 'Swaps two axes, the last two by default. A view.',
  call: (x: Tensor, a = -2, b = -1): Tensor => {
    const first = normalizeAxis('transpose', a, x.rank)
    const second = normalizeAxis('transpose', b, x.rank)
    const order = x.shape.map((_, axis) => (axis === first ? second : axis === second ? first : axis))
    return permute(x, order)
  },
  samples: () => [{ args: [sampleTensor([2, 3])] }, { args: [sampleTensor([2, 3, 4]), 0, -1] }, { args: [sampleTensor([0, 3]), 0, 1] }],
})

export const moveAxis = define({
  name: 'moveAxis',
  doc: 'Moves axes to other places; the rest keep their order. A view.',
  call: (x: Tensor, source: number | readonly number[], destination: number | readonly number[]): Tensor => {
    const from = listOf(source).map((a) => normalizeAxis('moveAxis', a, x.rank))
    const to = listOf(destination).map((a) => normalizeAxis('moveAxis', a, x.rank))
    if (from.length !== to.length || new Set(from).size !== from.length || new Set(to).size !== to.length) {
      throw new CotangentError('invalid-argument', {
        op: 'moveAxis',
        message: `cannot move axes [${listOf(source)}] to [${listOf(destination)}]`,
        shapes: [x.shape],
        hint: 'Name as many distinct places as axes.',
      })
    }
    const rest = x.shape.map((_, axis) => axis).filter((axis) => !from.includes(axis))
    return permute(
      x,
      x.shape.map((_, axis) => (to.includes(axis) ? from[to.indexOf(axis)]! : rest.shift()!)),
    )
  },
  samples: () => [{ args: [sampleTensor([2, 3, 4]), 0, -1] }, { args: [sampleTensor([2, 3, 4]), [0, 1], [-1, 0]] }],
})

const listOf = (axes: number | readonly number[]): readonly number[] => (typeof axes === 'number' ? [axes] : axes)

export const squeeze = define({
  name: 'squeeze',
  doc: 'Without the given axes, which must have size 1, or without all axes of size 1. A view.',
  call: (x: Tensor, axis?: number | readonly number[]): Tensor => {
    const dropped = axis === undefined ? x.shape.flatMap((n, a) => (n === 1 ? [a] : [])) : normalizeAxes('squeeze', axis, x.rank)
    const wrong = dropped.find((a) => x.shape[a] !== 1)
    if (wrong !== undefined) {
      throw new CotangentError('shape-mismatch', {
        op: 'squeeze',
        message: `axis ${wrong} has size ${x.shape[wrong]}, not 1`,
        shapes: [x.shape],
        hint: 'Use select() or slice() to pick an element of it.',
      })
    }
    return reshape(
      x,
      x.shape.filter((_, a) => !dropped.includes(a)),
    )
  },
  samples: () => [
    { args: [sampleTensor([2, 1, 3, 1])] },
    { args: [sampleTensor([2, 1, 3, 1]), -1] },
    { args: [sampleTensor([1, 1, 2]), [0, 1]] },
  ],
})

export const unsqueeze = define({
  name: 'unsqueeze',
  doc: 'With new axes of size 1 at these places of the result. A view.',
  call: (x: Tensor, axis: number | readonly number[]): Tensor => {
    const added = normalizeAxes('unsqueeze', axis, x.rank + listOf(axis).length)
    const sizes = [...x.shape]
    for (const at of added) sizes.splice(at, 0, 1)
    return reshape(x, sizes)
  },
  samples: () => [
    { args: [sampleTensor([2, 3]), 0] },
    { args: [sampleTensor([2, 3]), -1] },
    { args: [sampleTensor([]), 0] },
    { args: [sampleTensor([3]), [0, 2]] },
  ],
})

const expandPrimitive: Primitive<{ shape: Shape }> = {
  name: 'expand',
  tangent: 'linear',
  infer: ([x], { shape }) => [{ dtype: x!.dtype, shape }],
  lower: ([x], _, { shape }) => ({ kind: 'view', shape, strides: broadcastStrides(x!.shape, x!.strides, shape), offset: 0 }),
  gradient: ([g], { inputSpecs }) => [g!.fitTo(inputSpecs[0]!.shape)],
  saves: nothing,
}

export const expand = define({
  name: 'expand',
  doc: 'Repeats axes of size 1 (and new leading axes) to `shape` without copying; -1 keeps a size.',
  call: (x: Tensor, shape: Shape): Tensor => {
    if (!Array.isArray(shape)) checkShape('expand', shape)
    const lead = shape.length - x.rank
    const resolved = shape.map((n, axis) => (n === -1 && axis >= lead ? x.shape[axis - lead]! : n))
    checkShape('expand', resolved)
    if (lead < 0 || x.shape.some((n, axis) => n !== 1 && n !== resolved[axis + lead])) {
      throw new CotangentError('shape-mismatch', {
        op: 'expand',
        message: `[${x.shape}] does not expand to [${shape}]`,
        shapes: [x.shape, shape],
        hint: 'Only axes of size 1 repeat.',
      })
    }
    return lead === 0 && x.shape.every((n, axis) => n === resolved[axis]) ? x : bind1(expandPrimitive, [x], { shape: resolved })
  },
  samples: () => [
    { args: [sampleTensor([3, 1]), [2, 3, 4]] },
    { args: [sampleTensor([1, 3]), [2, -1]] },
    { args: [sampleTensor([]), [2]] },
  ],
})

export const broadcastTo = define({
  name: 'broadcastTo',
  doc: "`expand` under NumPy's name.",
  call: (x: Tensor, shape: Shape): Tensor => expand(x, shape),
  samples: () => [{ args: [sampleTensor([3, 1]), [2, 3, 4]] }],
})

export const expandAs = define({
  name: 'expandAs',
  doc: "Expands to the other tensor's shape.",
  call: (x: Tensor, other: Tensor): Tensor => expand(x, other.shape),
  samples: () => [{ args: [sampleTensor([3, 1]), sampleTensor([2, 3, 4])] }],
})

Object.defineProperties(Tensor.prototype, {
  T: {
    get(this: Tensor) {
      return permute(this, this.shape.map((_, axis) => axis).reverse())
    },
    configurable: true,
  },
  mT: {
    get(this: Tensor) {
      return transpose(this)
    },
    configurable: true,
  },
})

/** Other shapes and orders of axes of the same elements, as methods. */
export interface MovementMethods<_S extends Shape> {
  /** All axes in reverse order. A view. */
  readonly T: Tensor
  /** The last two axes swapped. A view. */
  readonly mT: Tensor
  reshape<A extends Shape, const T extends Shape>(this: Tensor<A>, shape: Checked<Reshape<A, T>, T>): Tensor<Result<Reshape<A, T>>>
  view<A extends Shape>(this: Tensor<A>): Tensor<A>
  view<A extends Shape, const T extends Shape>(this: Tensor<A>, shape: Checked<Reshape<A, T>, T>): Tensor<Result<Reshape<A, T>>>
  flatten<A extends Shape, const Start extends number = 0, const End extends number = -1>(
    this: Tensor<A>,
    start?: Checked<Flatten<A, Start, End>, Start>,
    end?: End,
  ): Tensor<Result<Flatten<A, Start, End>>>
  unflatten(axis: number, sizes: Shape): Tensor
  permute<A extends Shape, const P extends Shape>(this: Tensor<A>, axes: Checked<Permute<A, P>, P>): Tensor<Result<Permute<A, P>>>
  transpose<A extends Shape, const X extends number = -2, const Y extends number = -1>(
    this: Tensor<A>,
    a?: Checked<Transpose<A, X, Y>, X>,
    b?: Y,
  ): Tensor<Result<Transpose<A, X, Y>>>
  moveAxis(source: number | readonly number[], destination: number | readonly number[]): Tensor
  squeeze<A extends Shape>(this: Tensor<A>): Tensor<Result<Squeeze<A>>>
  squeeze<A extends Shape, const X extends number>(this: Tensor<A>, axis: Checked<Squeeze<A, X>, X>): Tensor<Result<Squeeze<A, X>>>
  squeeze(axes: readonly number[]): Tensor
  unsqueeze<A extends Shape, const X extends number>(this: Tensor<A>, axis: Checked<Unsqueeze<A, X>, X>): Tensor<Result<Unsqueeze<A, X>>>
  unsqueeze(axes: readonly number[]): Tensor
  expand<A extends Shape, const T extends Shape>(this: Tensor<A>, shape: Checked<Expand<A, T>, T>): Tensor<Result<Expand<A, T>>>
  broadcastTo<A extends Shape, const T extends Shape>(this: Tensor<A>, shape: Checked<Expand<A, T>, T>): Tensor<Result<Expand<A, T>>>
  expandAs<A extends Shape, const T extends Shape>(this: Tensor<A>, other: Tensor<T>): Tensor<T>
}

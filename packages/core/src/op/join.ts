import { promote } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { normalizeAxis, type Shape, sizeOf } from '../layout.ts'
import type { Checked, Concat, Result, ShapesOf, Stack } from '../shape-types.ts'
import { bind, bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { expand, reshape, unsqueeze } from './movement.ts'
import { copyStep } from './region.ts'
import { narrow } from './slice.ts'
import { define, defineFunction, sampleTensor } from './table.ts'

/** Every part is copied to its place in one new tensor, by a kernel of its own. */
const concatPrimitive: Primitive<{ axis: number }> = {
  name: 'concat',
  infer(inputs, { axis }) {
    const [first] = inputs
    const wrong = inputs.find((s) => s.shape.length !== first!.shape.length || s.shape.some((n, a) => a !== axis && n !== first!.shape[a]))
    if (wrong) {
      throw new CotangentError('shape-mismatch', {
        op: 'concat',
        message: `shapes may differ at axis ${axis} only`,
        shapes: inputs.map((s) => s.shape),
        hint: 'Use stack() to put equal shapes on a new axis.',
      })
    }
    const size = inputs.reduce((sum, s) => sum + s.shape[axis]!, 0)
    return [{ dtype: inputs.map((s) => s.dtype).reduce(promote), shape: first!.shape.map((n, a) => (a === axis ? size : n)) }]
  },
  lower(inputs, [y], { axis }) {
    const steps = y!.shape.map(() => 1)
    let start = 0
    return {
      kind: 'sequence',
      steps: inputs.map((x, i) => {
        const starts = y!.shape.map((_, a) => (a === axis ? start : 0))
        start += x.shape[axis]!
        return copyStep({ spec: x, buffer: i }, { spec: y!, buffer: inputs.length }, { starts, steps })
      }),
    }
  },
  gradient([g], { attrs: { axis }, inputSpecs, wanted }) {
    let start = 0
    return inputSpecs.map((s, i) => {
      const at = start
      start += s.shape[axis]!
      return wanted[i] ? narrow(g!, axis, at, s.shape[axis]!).cast(s.dtype) : null
    })
  },
  tangent(tangents, { attrs, inputs }) {
    return [
      bind1(
        concatPrimitive,
        tangents.map((t, i) => t ?? inputs[i]!.newFull(inputs[i]!.shape, 0)),
        attrs,
      ),
    ]
  },
  saves: (inputs) => ({ inputs: inputs.map(() => false), outputs: [false] }),
}

function checkSome(op: string, tensors: readonly Tensor[]): void {
  if (tensors.length === 0)
    throw new CotangentError('invalid-argument', { op, message: 'there are no tensors to join', hint: 'Give at least one.' })
}

/** Joins tensors along `axis` (default 0), where their sizes add up; the other sizes must be equal. Dtypes are promoted. */
export function concat<const T extends readonly Tensor[], const A extends number = 0>(
  tensors: Checked<Concat<ShapesOf<T>, A>, T>,
  axis?: A,
): Tensor<Result<Concat<ShapesOf<T>, A>>>
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  return concatAll(tensors, axis)
}

const concatAll = defineFunction({
  name: 'concat',
  doc: 'Joins tensors along an axis (default 0), where their sizes add up.',
  call: (tensors: readonly Tensor[], axis = 0): Tensor => {
    checkSome('concat', tensors)
    const at = normalizeAxis('concat', axis, tensors[0]!.rank)
    return tensors.length === 1 ? tensors[0]! : bind1(concatPrimitive, tensors, { axis: at })
  },
  samples: () => [
    { args: [[sampleTensor([2, 3]), sampleTensor([1, 3])]] },
    { args: [[sampleTensor([2, 3]), sampleTensor([2, 0]), sampleTensor([2, 4])], -1] },
    { args: [[sampleTensor([2, 3, 2]), sampleTensor([2, 5, 2])], 1] },
  ],
})

/** Joins tensors of equal shapes along a new axis of the result (default 0). Dtypes are promoted. */
export function stack<const T extends readonly Tensor[], const A extends number = 0>(
  tensors: Checked<Stack<ShapesOf<T>, A>, T>,
  axis?: A,
): Tensor<Result<Stack<ShapesOf<T>, A>>>
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  return stackAll(tensors, axis)
}

const stackAll = defineFunction({
  name: 'stack',
  doc: 'Joins tensors of equal shapes along a new axis (default 0).',
  call: (tensors: readonly Tensor[], axis = 0): Tensor => {
    checkSome('stack', tensors)
    const at = normalizeAxis('stack', axis, tensors[0]!.rank + 1)
    const wrong = tensors.find((t) => t.rank !== tensors[0]!.rank || t.shape.some((n, a) => n !== tensors[0]!.shape[a]))
    if (wrong)
      throw new CotangentError('shape-mismatch', {
        op: 'stack',
        message: 'the shapes differ',
        shapes: [tensors[0]!.shape, wrong.shape],
        hint: 'Use concat() to join along an existing axis.',
      })
    return concatAll(
      tensors.map((t) => unsqueeze(t, at)),
      at,
    )
  },
  samples: () => [
    { args: [[sampleTensor([2, 3]), sampleTensor([2, 3])]] },
    { args: [[sampleTensor([2]), sampleTensor([2]), sampleTensor([2])], -1] },
    { args: [[sampleTensor([])]] },
  ],
})

/** The parts of a tensor as views, so that their gradients become one tensor at once. */
const splitPrimitive: Primitive<{ axis: number; sizes: readonly number[] }> = {
  name: 'split',
  tangent: 'linear',
  infer: ([x], { axis, sizes }) => sizes.map((size) => ({ dtype: x!.dtype, shape: x!.shape.with(axis, size) })),
  lower([x], _, { axis, sizes }) {
    let start = 0
    return sizes.map((size) => {
      start += size
      return { kind: 'view', shape: x!.shape.with(axis, size), strides: x!.strides, offset: (start - size) * x!.strides[axis]! }
    })
  },
  gradient: (gradients, { attrs }) => [concat(gradients, attrs.axis)],
  saves: (_, outputs) => ({ inputs: [false], outputs: outputs.map(() => false) }),
}

const unbindPrimitive: Primitive<{ axis: number }> = {
  name: 'unbind',
  tangent: 'linear',
  infer: ([x], { axis }) => Array.from({ length: x!.shape[axis]! }, () => ({ dtype: x!.dtype, shape: x!.shape.toSpliced(axis, 1) })),
  lower: ([x], outputs, { axis }) =>
    outputs.map(({ shape }, i) => ({ kind: 'view', shape, strides: x!.strides.toSpliced(axis, 1), offset: i * x!.strides[axis]! })),
  gradient: (gradients, { attrs }) => [stack(gradients, attrs.axis)],
  saves: (_, outputs) => ({ inputs: [false], outputs: outputs.map(() => false) }),
}

export const split = define({
  name: 'split',
  doc: 'Parts along an axis (default 0): of `sizes` each (the last may be smaller), or of these sizes one by one. Views.',
  call: (x: Tensor, sizes: number | readonly number[], axis = 0): Tensor[] => {
    const at = normalizeAxis('split', axis, x.rank)
    const n = x.shape[at]!
    if (typeof sizes === 'number' && !(Number.isInteger(sizes) && sizes > 0)) {
      throw new CotangentError('invalid-argument', {
        op: 'split',
        message: `${sizes} is not a size of parts`,
        shapes: [x.shape],
        hint: 'Use a whole number of at least 1, or a list of sizes.',
      })
    }
    const parts =
      typeof sizes === 'number'
        ? Array.from({ length: Math.max(1, Math.ceil(n / sizes)) }, (_, i) => Math.min(sizes, n - i * sizes))
        : sizes
    const total = parts.reduce((a, b) => a + b, 0)
    if (total !== n)
      throw new CotangentError('shape-mismatch', {
        op: 'split',
        message: `parts of ${parts.join(' + ')} elements are not the ${n} of axis ${axis}`,
        shapes: [x.shape],
        hint: 'The sizes of the parts must add up to the size of the axis.',
      })
    return bind(splitPrimitive, [x], { axis: at, sizes: parts })
  },
  samples: () => [{ args: [sampleTensor([5, 2]), 2] }, { args: [sampleTensor([2, 6]), [1, 0, 5], 1] }],
})

export const chunk = define({
  name: 'chunk',
  doc: 'At most `chunks` equal parts along an axis (default 0); the last may be smaller. Views.',
  call: (x: Tensor, chunks: number, axis = 0): Tensor[] => {
    if (!Number.isInteger(chunks) || chunks < 1)
      throw new CotangentError('invalid-argument', {
        op: 'chunk',
        message: `${chunks} is not a number of parts`,
        shapes: [x.shape],
        hint: 'Use a whole number of at least 1.',
      })
    const n = x.shape[normalizeAxis('chunk', axis, x.rank)]!
    return split(x, Math.max(1, Math.ceil(n / chunks)), axis)
  },
  samples: () => [{ args: [sampleTensor([5, 2]), 3] }, { args: [sampleTensor([2, 6]), 2, -1] }],
})

export const unbind = define({
  name: 'unbind',
  doc: 'The elements of an axis (default 0), which goes away, one by one. Views.',
  call: (x: Tensor, axis = 0): Tensor[] => {
    const at = normalizeAxis('unbind', axis, x.rank)
    return bind(unbindPrimitive, [x], { axis: at })
  },
  samples: () => [{ args: [sampleTensor([3, 2])] }, { args: [sampleTensor([2, 3]), -1] }],
})

export const tile = define({
  name: 'tile',
  doc: 'The tensor laid side by side, `repeats` times along each axis (the last ones, if fewer; new leading axes, if more).',
  call: (x: Tensor, repeats: readonly number[]): Tensor => {
    if (repeats.some((r) => !Number.isInteger(r) || r < 0))
      throw new CotangentError('invalid-argument', {
        op: 'tile',
        message: `[${repeats}] are not numbers of repeats`,
        shapes: [x.shape],
        hint: 'Use whole numbers of at least 0, one an axis.',
      })
    const rank = Math.max(x.rank, repeats.length)
    const sizes = [...new Array<number>(rank - x.rank).fill(1), ...x.shape]
    const times = [...new Array<number>(rank - repeats.length).fill(1), ...repeats]
    const spread = expand(
      reshape(
        x,
        sizes.flatMap((n) => [1, n]),
      ),
      sizes.flatMap((n, axis) => [times[axis]!, n]),
    )
    return reshape(
      spread,
      sizes.map((n, axis) => n * times[axis]!),
    )
  },
  samples: () => [
    { args: [sampleTensor([2, 3]), [2, 2]] },
    { args: [sampleTensor([2, 3]), [3]] },
    { args: [sampleTensor([2]), [2, 1, 2]] },
    { args: [sampleTensor([2]), [0]] },
  ],
})

export const repeat = define({
  name: 'repeat',
  doc: "`tile` under PyTorch's name. See `repeatInterleave` for repeating element by element.",
  call: (x: Tensor, repeats: readonly number[]): Tensor => tile(x, repeats),
  samples: () => [{ args: [sampleTensor([2, 3]), [2, 1]] }],
})

export const roll = define({
  name: 'roll',
  doc: 'Shifts elements along axes, those pushed out coming in at the other end; without axes, of the flattened tensor.',
  call: (x: Tensor, shift: number | readonly number[], axis?: number | readonly number[]): Tensor => {
    if (axis === undefined) return reshape(rollAxis(reshape(x, [x.size]), [shift].flat()[0]!, 0), x.shape)
    const shifts = [shift].flat()
    const axes = [axis].flat().map((a) => normalizeAxis('roll', a, x.rank))
    if (shifts.length !== axes.length)
      throw new CotangentError('invalid-argument', {
        op: 'roll',
        message: `${shifts.length} shifts for ${axes.length} axes`,
        shapes: [x.shape],
        hint: 'Give one shift for each axis.',
      })
    return axes.reduce((y, a, i) => rollAxis(y, shifts[i]!, a), x)
  },
  samples: () => [
    { args: [sampleTensor([3, 4]), 1] },
    { args: [sampleTensor([3, 4]), -1, 1] },
    { args: [sampleTensor([3, 4]), [5, 2], [0, 1]] },
    { args: [sampleTensor([0, 2]), 1, 0] },
  ],
})

function rollAxis(x: Tensor, shift: number, axis: number): Tensor {
  const n = x.shape[axis]!
  const by = n === 0 ? 0 : ((shift % n) + n) % n
  return by === 0 ? x : concatAll([narrow(x, axis, n - by, by), narrow(x, axis, 0, n - by)], axis)
}

export const rot90 = define({
  name: 'rot90',
  doc: 'Turns the plane of two axes by `times` quarter turns, from the first axis to the second. A view.',
  call: (x: Tensor, times = 1, axes: readonly [number, number] = [0, 1]): Tensor => {
    const [a, b] = axes.map((axis) => normalizeAxis('rot90', axis, x.rank)) as [number, number]
    if (a === b)
      throw new CotangentError('invalid-argument', {
        op: 'rot90',
        message: 'the two axes of the plane are the same',
        shapes: [x.shape],
        hint: 'Name two different axes.',
      })
    switch (((times % 4) + 4) % 4) {
      case 1:
        return x.flip(b).transpose(a, b)
      case 2:
        return x.flip([a, b])
      case 3:
        return x.transpose(a, b).flip(b)
      default:
        return x
    }
  },
  samples: () => [{ args: [sampleTensor([2, 3])] }, { args: [sampleTensor([2, 3, 4]), 3, [1, 2]] }, { args: [sampleTensor([2, 3]), 2] }],
})

export const meshgrid = defineFunction({
  name: 'meshgrid',
  doc: "Coordinates of a grid: tensors of rank 1 expanded to the shape of all their sizes (NumPy's indexing 'ij').",
  call: (...axes: readonly Tensor[]): Tensor[] => {
    const sizes = axes.map((x) => sizeOf(x.shape))
    return axes.map((x, axis) =>
      expand(reshape(x, [...sizes.slice(0, axis).map(() => 1), sizes[axis]!, ...sizes.slice(axis + 1).map(() => 1)]), sizes),
    )
  },
  samples: () => [{ args: [sampleTensor([2]), sampleTensor([3])] }],
})

/** Cutting, repeating and rolling along axes, as methods. */
export interface JoinMethods<_S extends Shape> {
  split(sizes: number | readonly number[], axis?: number): Tensor[]
  chunk(chunks: number, axis?: number): Tensor[]
  unbind(axis?: number): Tensor[]
  tile(repeats: readonly number[]): Tensor
  repeat(repeats: readonly number[]): Tensor
  roll<A extends Shape>(this: Tensor<A>, shift: number | readonly number[], axis?: number | readonly number[]): Tensor<A>
  rot90(times?: number, axes?: readonly [number, number]): Tensor
}

/** Regions of tensors: what slicing, padding and indexing are made of. */
import type { Step } from '../engine/engine.ts'
import { KernelBuilder } from '../engine/kernel.ts'
import { scalarTypeOf } from '../engine/scalar.ts'
import { CotangentError } from '../errors.ts'
import { rowMajor, type Shape, type Spec } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import { Scalar } from '../tensor/scalar.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { ScalarLike } from './elementwise.ts'

/** Elements `start`, `start + step`... of every axis, `sizes` of them; a step may be negative. */
export interface Region {
  readonly starts: readonly number[]
  readonly sizes: readonly number[]
  readonly steps: readonly number[]
}

const slicePrimitive: Primitive<Region> = {
  name: 'slice',
  tangent: 'linear',
  infer: ([x], { sizes }) => [{ dtype: x!.dtype, shape: sizes }],
  lower: ([x], _, { starts, sizes, steps }) => ({
    kind: 'view',
    shape: sizes,
    strides: x!.strides.map((s, axis) => s * steps[axis]!),
    offset: x!.strides.reduce((sum, s, axis) => sum + s * starts[axis]!, 0),
  }),
  gradient: ([g], { attrs, inputSpecs }) => {
    const { shape } = inputSpecs[0]!
    // All elements in another order: the same reversals undo it.
    if (shape.every((n, axis) => n === attrs.sizes[axis])) return [bind1(slicePrimitive, [g!], attrs)]
    return [place(g!, shape, attrs.starts, attrs.steps, 0)]
  },
  saves: () => ({ inputs: [false], outputs: [false] }),
}

const placePrimitive: Primitive<{ shape: Shape; starts: readonly number[]; steps: readonly number[] }> = {
  name: 'place',
  tangent: 'linear',
  infer: ([x], { shape }) => [{ dtype: x!.dtype, shape }],
  lower([x], [y], { starts, steps }) {
    const fill = new KernelBuilder('fill', [y!.size])
    fill.output(y!.dtype, fill.param(scalarTypeOf[y!.dtype]), [1])
    return {
      kind: 'sequence',
      steps: [
        { program: fill.build(), operands: [{ buffer: 1, offset: 0 }], scalars: [0] },
        copyStep({ spec: x!, buffer: 0 }, { spec: y!, buffer: 1 }, { starts, steps }),
      ],
    }
  },
  gradient: ([g], { attrs, inputSpecs }) => [
    bind1(slicePrimitive, [g!], { starts: attrs.starts, steps: attrs.steps, sizes: inputSpecs[0]!.shape }),
    null,
  ],
  saves: () => ({ inputs: [false, false], outputs: [false] }),
}

/** A tensor of `shape` filled with `value`, but with the elements of `x` at `starts`, `starts + steps`...: the adjoint of slicing. */
export function place(x: Tensor, shape: Shape, starts: readonly number[], steps: readonly number[], value: ScalarLike): Tensor {
  return bind1(placePrimitive, [x, new Scalar(value, x.dtype)], { shape, starts, steps })
}

/** A tensor that a sequence works on, and the number of its buffer. */
interface Place {
  readonly spec: Spec
  readonly buffer: number
}

/** The step of a sequence that writes `from` into the region of `to` at `starts`, `starts + steps`..., converted to its dtype. */
export function copyStep(
  { spec: x, buffer: input }: Place,
  { spec: y, buffer: output }: Place,
  { starts, steps }: { readonly starts: readonly number[]; readonly steps: readonly number[] },
): Step {
  const k = new KernelBuilder('copy', x.shape)
  const strides = rowMajor(y.shape)
  k.output(
    y.dtype,
    k.narrow(k.load(k.input(x.dtype), x.strides), y.dtype),
    strides.map((s, axis) => s * steps[axis]!),
  )
  const offset = strides.reduce((sum, s, axis) => sum + s * starts[axis]!, 0)
  return {
    program: k.build(),
    operands: [
      { buffer: input, offset: 0 },
      { buffer: output, offset },
    ],
    scalars: [],
  }
}

/**
 * Which elements of an axis to take, as in Python: from `start` up to but not including `end`, every `step`-th. Negative `start`
 * and `end` count from the end of the axis, and what lies beyond it is left out. A negative step runs backwards.
 * As an object, as a tuple, or as text: `{ start: 1 }`, `[1, null]` and `'1:'` are the same; `null` is the whole axis.
 */
export type Range =
  | { readonly start?: number | null; readonly end?: number | null; readonly step?: number }
  | readonly [start: number | null, end: number | null, step?: number]
  | RangeText
  | null

/** `':'`, `'2:'`, `':-1'`, `'1:5'`, `'::-1'`. */
export type RangeText = `${string}:${string}`

const rangeText = /^\s*(-?\d+)?\s*:\s*(-?\d+)?\s*(?::\s*(-?\d+)?\s*)?$/

export interface Resolved {
  readonly start: number
  readonly size: number
  readonly step: number
}

/** The elements that a range takes of an axis of size `n`. */
export function resolveRange(op: string, range: Range, n: number): Resolved {
  const { start, end, step } = partsOf(op, range)
  if (!Number.isInteger(step) || step === 0 || (start !== null && !Number.isInteger(start)) || (end !== null && !Number.isInteger(end))) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `${JSON.stringify(range)} is not a range`,
      hint: 'Start, end and step are integers, the step not 0.',
    })
  }
  const low = step > 0 ? 0 : -1
  const high = step > 0 ? n : n - 1
  const clamp = (at: number) => Math.min(high, Math.max(low, at < 0 ? at + n : at))
  const first = start === null ? (step > 0 ? low : high) : clamp(start)
  const last = end === null ? (step > 0 ? high : low) : clamp(end)
  const size = Math.max(0, Math.ceil((last - first) / step))
  return size === 0 ? { start: 0, size, step: 1 } : { start: first, size, step }
}

function partsOf(op: string, range: Range): { start: number | null; end: number | null; step: number } {
  if (range === null) return { start: null, end: null, step: 1 }
  if (typeof range === 'string') {
    const found = rangeText.exec(range)
    if (!found)
      throw new CotangentError('invalid-argument', {
        op,
        message: `'${range}' is not a range`,
        hint: "Write start:end or start:end:step, each of which may be left out: '1:', ':-1', '::2'.",
      })
    const part = (text: string | undefined) => (text === undefined ? null : Number(text))
    return { start: part(found[1]), end: part(found[2]), step: part(found[3]) ?? 1 }
  }
  const { start = null, end = null, step = 1 } = isTuple(range) ? { start: range[0], end: range[1], step: range[2] ?? 1 } : range
  return { start, end, step }
}

const isTuple = (range: Range): range is readonly [number | null, number | null, number?] => Array.isArray(range)

/** The region of `x` that `parts` name, axis by axis. */
export function sliceRegion(x: Tensor, parts: readonly Resolved[]): Tensor {
  if (parts.every((p, axis) => p.start === 0 && p.step === 1 && p.size === x.shape[axis])) return x
  return bind1(slicePrimitive, [x], { starts: parts.map((p) => p.start), sizes: parts.map((p) => p.size), steps: parts.map((p) => p.step) })
}

/** A non-negative index for `index` in [-n, n). */
export function normalizeIndex(op: string, index: number, axis: number, shape: Shape): number {
  const n = shape[axis]!
  if (!Number.isInteger(index) || index < -n || index >= n) outOfRange(op, index, axis, shape)
  return index < 0 ? index + n : index
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

import { type DType, dtypeInfo } from './dtype.ts'
import { CotangentError } from './errors.ts'

/** Sizes along the axes, outermost first; `[]` is a single number. */
export type Shape = readonly number[]

/**
 * What a tensor looks like without its numbers: dtype, shape and strides (in elements; 0 repeats, negative runs backwards).
 * Specs are interned: two equal specs are the same object, so caches key on `id`.
 */
export interface Spec {
  readonly id: number
  readonly dtype: DType
  readonly shape: Shape
  readonly strides: readonly number[]
  /** Number of elements. */
  readonly size: number
  /** Dense in row-major order. */
  readonly contiguous: boolean
  /** Stands for a JavaScript scalar: its value is an argument of the kernel, not a buffer. */
  readonly scalar: boolean
}

/** Those that nobody holds any more go: programs whose shapes never come again would fill the memory. */
const specs = new Map<string, WeakRef<Spec>>()
const unreachable = new FinalizationRegistry<string>((key) => {
  if (!specs.get(key)?.deref()) specs.delete(key)
})
let lastId = -1

export function spec(dtype: DType, shape: Shape, strides: readonly number[] = rowMajor(shape)): Spec {
  return intern(dtype, shape, strides, false)
}

const scalarSpecs = new Map<DType, Spec>()

export function scalarSpec(dtype: DType): Spec {
  let found = scalarSpecs.get(dtype)
  if (!found) {
    found = intern(dtype, [], [], true)
    scalarSpecs.set(dtype, found)
  }
  return found
}

function intern(dtype: DType, shape: Shape, strides: readonly number[], scalar: boolean): Spec {
  const key = `${dtypeInfo[dtype].code}${scalar ? 's' : ''}|${shape.join()}|${strides.join()}`
  let found = specs.get(key)?.deref()
  if (!found) {
    found = {
      id: ++lastId,
      dtype,
      shape: Object.freeze([...shape]),
      strides: Object.freeze([...strides]),
      size: sizeOf(shape),
      contiguous: isContiguous(shape, strides),
      scalar,
    }
    specs.set(key, new WeakRef(found))
    unreachable.register(found, key)
  }
  return found
}

export function sizeOf(shape: Shape): number {
  let size = 1
  for (const n of shape) size *= n
  return size
}

export function rowMajor(shape: Shape): number[] {
  const strides = new Array<number>(shape.length)
  let step = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step
    step *= shape[axis]!
  }
  return strides
}

export function isContiguous(shape: Shape, strides: readonly number[]): boolean {
  let step = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] === 0) return true
    if (shape[axis] !== 1) {
      if (strides[axis] !== step) return false
      step *= shape[axis]!
    }
  }
  return true
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** The shape that all of `shapes` broadcast to (NumPy's rule), or an error that names the sizes that differ. */
export function broadcastShapes(op: string, ...shapes: Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length))
  const out = new Array<number>(rank).fill(1)
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const axis = rank - shape.length + i
      const n = shape[i]!
      if (n === out[axis] || n === 1) continue
      if (out[axis] !== 1) {
        throw new CotangentError('shape-mismatch', {
          op,
          message: `sizes ${out[axis]} and ${n} at axis ${axis - rank} do not broadcast`,
          shapes,
          hint: 'Sizes must be equal or 1, aligned at the last axis.',
        })
      }
      out[axis] = n
    }
  }
  return out
}

/** Strides with which an array of `shape` and `strides` reads as the broadcast shape `to`. */
export function broadcastStrides(shape: Shape, strides: readonly number[], to: Shape): number[] {
  const pad = to.length - shape.length
  return to.map((n, axis) => (axis < pad || (shape[axis - pad] === 1 && n !== 1) ? 0 : strides[axis - pad]!))
}

/** A non-negative axis for `axis` in [-rank, rank). */
export function normalizeAxis(op: string, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new CotangentError('axis-out-of-range', {
      op,
      message: `axis ${axis} does not exist in an array of rank ${rank}`,
      hint: rank === 0 ? 'A 0-d array has no axes.' : `Use an integer from ${-rank} to ${rank - 1}.`,
    })
  }
  return axis < 0 ? axis + rank : axis
}

/** Sorted, distinct, non-negative axes; `undefined` means all of them. */
export function normalizeAxes(op: string, axes: number | readonly number[] | undefined, rank: number): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, i) => i)
  const list = (typeof axes === 'number' ? [axes] : axes).map((axis) => normalizeAxis(op, axis, rank))
  if (new Set(list).size !== list.length) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `axes ${JSON.stringify(axes)} name one axis twice`,
      hint: 'Name each axis once.',
    })
  }
  return list.sort((a, b) => a - b)
}

/** The order that undoes `axes`. */
export const inverseOrder = (axes: readonly number[]): number[] => axes.map((_, i) => axes.indexOf(i))

export function checkShape(op: string, shape: Shape): void {
  if (!Array.isArray(shape)) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `${String(shape)} is not a shape`,
      hint: 'Give an array of sizes, e.g. [2, 3].',
    })
  }
  for (const n of shape) {
    if (!Number.isInteger(n) || n < 0) {
      throw new CotangentError('invalid-argument', {
        op,
        message: `${n} is not a size`,
        shapes: [shape],
        hint: 'Sizes are integers of at least 0.',
      })
    }
  }
}

/** Strides with which the same memory reads as `shape`, or null where the elements would have to move. */
export function reshapeStrides(from: Spec, shape: Shape): number[] | null {
  if (from.contiguous || from.size === 0) return rowMajor(shape)
  const dims = from.shape.map((n, i) => [n, from.strides[i]!] as const).filter(([n]) => n !== 1)
  const strides = new Array<number>(shape.length)
  let axis = shape.length - 1
  for (let i = dims.length - 1; i >= 0;) {
    // A run of old axes that is dense within itself...
    let [run, step] = dims[i]!
    const inner = step
    while (--i >= 0 && dims[i]![1] === run * inner) run *= dims[i]![0]
    // ...must be covered by whole new axes.
    while (run > 1) {
      if (axis < 0 || run % shape[axis]! !== 0) return null
      strides[axis] = step
      step *= shape[axis]!
      run /= shape[axis]!
      axis--
    }
  }
  for (; axis >= 0; axis--) strides[axis] = 0
  for (let i = 0; i < shape.length; i++) if (strides[i] === undefined) strides[i] = 0
  return strides
}

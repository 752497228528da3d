import type { TypedArray } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { tensor } from '../op/creation.ts'
import { pad } from '../op/pad.ts'
import { Tensor } from '../tensor/tensor.ts'
import { isPlain } from '../tree.ts'

/** To what sizes elements of a batch are padded, and with what. */
export interface PaddingOptions {
  /** What fills up: one value, or one for each part of the elements by its name (`tokens`, `meta.mask`); default 0. */
  readonly value?: number | Readonly<Record<string, number>>
  /** Sizes to pad to, -1 for that of the longest in the batch: for all, or by name; default all -1. */
  readonly shape?: readonly number[] | Readonly<Record<string, readonly number[]>>
  /** Sizes that are -1 become multiples of this, which keeps the number of different shapes (and compiled programs) small; default 1. */
  readonly multipleOf?: number
}

interface Padding extends PaddingOptions {
  /** What sizes that are -1 are at least, along the first axis. */
  readonly least?: number
}

/** Brings tensors and typed arrays of a batch to one size, at their ends. */
export function padElements<T>(op: string, elements: readonly T[], options: Padding): T[] {
  return padPart(op, elements, '', options) as T[]
}

function padPart(op: string, elements: readonly unknown[], path: string, options: Padding): unknown[] {
  const [first] = elements
  if (first instanceof Tensor || ArrayBuffer.isView(first)) {
    const tensors = elements.map((x) => (x instanceof Tensor ? x : tensor(x as TypedArray)))
    return padTensors(op, tensors, path, options)
  }
  const parts: [key: string, name: string][] = isPlain(first)
    ? Object.keys(first).map((key) => [key, path ? `${path}.${key}` : key])
    : Array.isArray(first)
      ? first.map((_, i) => [String(i), `${path}[${i}]`])
      : []
  if (parts.length === 0) return [...elements]
  const columns = parts.map(([key, name]) =>
    padPart(
      op,
      elements.map((x) => (x as Record<string, unknown> | null | undefined)?.[key]),
      name,
      options,
    ),
  )
  return elements.map((_, row) =>
    Array.isArray(first) ? columns.map((column) => column[row]) : Object.fromEntries(parts.map(([key], i) => [key, columns[i]![row]])),
  )
}

function padTensors(
  op: string,
  tensors: readonly Tensor[],
  path: string,
  { value = 0, shape, multipleOf = 1, least = 0 }: Padding,
): Tensor[] {
  const [first] = tensors as [Tensor]
  const wanted = Array.isArray(shape)
    ? (shape as readonly number[])
    : (shape as Readonly<Record<string, readonly number[]>> | undefined)?.[path]
  const fill = typeof value === 'number' ? value : (value[path] ?? 0)
  const rank = first.shape.length
  const odd = tensors.find((t) => t.shape.length !== rank)
  if (odd || (wanted && wanted.length !== rank)) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: odd ? 'elements have different numbers of axes' : `the shape to pad to has ${wanted!.length} axes, the elements ${rank}`,
      shapes: [first.shape, ...(odd ? [odd.shape] : [])],
      hint: 'Padding makes axes longer; it adds none.',
    })
  }
  const sizes = first.shape.map((_, axis) => {
    const longest = Math.max(...tensors.map((t) => t.shape[axis]!))
    const size = wanted?.[axis] ?? -1
    if (size === -1) return Math.ceil(Math.max(longest, axis === 0 ? least : 0) / multipleOf) * multipleOf
    if (size >= longest) return size
    throw new CotangentError('shape-mismatch', {
      op,
      message: `an element${path ? `'s ${path}` : ''} has size ${longest} along axis ${axis}, which is to be padded to ${size}`,
      hint: 'Cut it in a map, or leave it out with filter.',
    })
  })
  return tensors.map((t) => {
    const amounts = sizes.map((size, axis) => [0, size - t.shape[axis]!] as const)
    return amounts.every(([, after]) => after === 0) ? t : pad(t, amounts, { value: fill })
  })
}

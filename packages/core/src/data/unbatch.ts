import { CotangentError } from '../errors.ts'
import { Tensor } from '../tensor/tensor.ts'
import { isPlain, leavesOf } from '../tree.ts'

/** An element of a batch: the inverse of `Batched`. */
export type Unbatched<T> = T extends Tensor
  ? Tensor
  : T extends readonly (infer E extends string | null | undefined | Date)[]
    ? E
    : T extends readonly unknown[] | object
      ? { -readonly [K in keyof T]: Unbatched<T[K]> }
      : T

const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

/** The elements of a batch: slices of its tensors along the first axis, entries of arrays that hold no tensors. */
export function unbatch<T>(batch: T): Unbatched<T>[] {
  const sizes = new Set<number | undefined>()
  measure(batch, sizes)
  const [size] = sizes
  if (sizes.size !== 1 || size === undefined) {
    throw new CotangentError('shape-mismatch', {
      op: 'unbatch',
      message: sizes.size === 0 ? 'there is no tensor or array in the batch' : 'the parts of a batch have different first sizes',
      shapes: leavesOf(batch, isTensor).map((t) => t.shape),
      hint: 'The first axis counts the elements.',
    })
  }
  return Array.from({ length: size }, (_, i) => cut(batch, i) as Unbatched<T>)
}

const isColumn = (part: unknown): part is unknown[] => Array.isArray(part) && leavesOf(part, isTensor).length === 0

function measure(part: unknown, sizes: Set<number | undefined>): void {
  if (part instanceof Tensor) sizes.add(part.shape[0])
  else if (isColumn(part)) sizes.add(part.length)
  else if (Array.isArray(part) || isPlain(part)) for (const inner of Object.values(part)) measure(inner, sizes)
}

function cut(part: unknown, index: number): unknown {
  if (part instanceof Tensor) return part.at(index)
  if (isColumn(part)) return part[index]
  if (Array.isArray(part)) return part.map((inner) => cut(inner, index))
  if (isPlain(part)) return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, cut(inner, index)]))
  return part
}

import type { DType, TypedArray } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { tensor } from '../op/creation.ts'
import { stack } from '../op/join.ts'
import { Tensor } from '../tensor/tensor.ts'
import { isPlain } from '../tree.ts'

/** What a batch of elements is: tensors, numbers and typed arrays get a first axis, texts become arrays, objects keep their keys. */
export type Batched<T> = T extends Tensor | number | boolean | bigint | TypedArray
  ? Tensor
  : T extends string | null | undefined | Date
    ? T[]
    : T extends readonly [unknown, ...unknown[]]
      ? { -readonly [K in keyof T]: Batched<T[K]> }
      : T extends readonly (infer E)[]
        ? Batched<E>[]
        : T extends object
          ? { -readonly [K in keyof T]: Batched<T[K]> }
          : T[]

/** What numbers of elements become in a batch: float32, unless it says otherwise. */
export interface CollateOptions {
  /** What numbers become: one dtype, or one for each part of the elements by its name (`label`, `meta.kind`). Default float32. */
  readonly dtypes?: DType | Readonly<Record<string, DType>> | undefined
}

/**
 * Puts elements of one structure together: tensors are stacked, typed arrays too, numbers become a float32 tensor, booleans bool,
 * bigints int64; objects and arrays go part by part, and what else there is (texts, null, dates) into an array.
 *
 *     collate([{ text: 'good', label: 1 }, { text: 'bad', label: 0 }], { dtypes: { label: 'int32' } })
 *
 * @throws {CotangentError} `shape-mismatch` for tensors or arrays of different sizes, `invalid-argument` for different structures, and
 *   for dtypes of parts that hold no numbers.
 */
export function collate<T>(elements: readonly T[], { dtypes = {} }: CollateOptions = {}): Batched<T> {
  if (typeof dtypes === 'string') return join(elements, '', () => dtypes) as Batched<T>
  const used = new Set<string>()
  const batch = join(elements, '', (path) => {
    used.add(path)
    return dtypes[path]
  })
  const wrong = Object.keys(dtypes).find((path) => !used.has(path))
  if (wrong === undefined || elements.length === 0) return batch as Batched<T>
  throw new CotangentError('invalid-argument', {
    op: 'batch',
    message: `dtypes has ${wrong}, but no numbers are called so`,
    hint: used.size > 0 && !used.has('') ? `There are ${[...used].join(', ')}.` : 'Tensors and arrays have dtypes of their own.',
  })
}

const isTensor = (x: unknown): x is Tensor => x instanceof Tensor
const isArray = (x: unknown): x is unknown[] => Array.isArray(x)
const isAll = <E>(elements: readonly unknown[], is: (x: unknown) => x is E): elements is readonly E[] => elements.every(is)

/** @param dtypeOf The dtype of the numbers at a path. */
function join(elements: readonly unknown[], path: string, dtypeOf: (path: string) => DType | undefined): unknown {
  const [first] = elements
  if (first instanceof Tensor) {
    if (!isAll(elements, isTensor)) throw mixed(elements, path)
    const odd = elements.find((x) => x.shape.join() !== first.shape.join() || x.dtype !== first.dtype)
    if (odd) throw different([first, odd], path)
    return stack(elements)
  }
  if (ArrayBuffer.isView(first)) return stackArrays(elements, path)
  const kind = typeof first
  if (kind === 'number' || kind === 'boolean' || kind === 'bigint') {
    if (elements.some((x) => typeof x !== kind)) throw mixed(elements, path)
    const dtype = kind === 'number' ? dtypeOf(path) : undefined
    return tensor(elements as number[], dtype && { dtype })
  }
  if (Array.isArray(first)) {
    if (!isAll(elements, isArray)) throw mixed(elements, path)
    const odd = elements.find((x) => x.length !== first.length)
    if (odd) {
      throw new CotangentError('shape-mismatch', {
        op: 'batch',
        message: `arrays of ${first.length} and ${odd.length} values${inside(path)} cannot be one batch`,
        hint: 'Make tensors of them and use paddedBatch, or give batch a collate function.',
      })
    }
    return first.map((_, i) =>
      join(
        elements.map((x) => x[i]),
        `${path}[${i}]`,
        dtypeOf,
      ),
    )
  }
  if (isPlain(first)) {
    const keys = Object.keys(first)
    if (
      !isAll(elements, isPlain) ||
      elements.some((x) => Object.keys(x).length !== keys.length || keys.some((key) => !Object.hasOwn(x, key)))
    )
      throw mixed(elements, path)
    return Object.fromEntries(
      keys.map((key) => [
        key,
        join(
          elements.map((x) => x[key]),
          path ? `${path}.${key}` : key,
          dtypeOf,
        ),
      ]),
    )
  }
  return [...elements]
}

/** One copy into memory of their own, which becomes a tensor with another. */
function stackArrays(elements: readonly unknown[], path: string): Tensor {
  const [first] = elements as [TypedArray]
  // Node's Buffer is a Uint8Array that is not to be made with a length.
  const Type = (first instanceof Uint8Array ? Uint8Array : first.constructor) as new (
    length: number,
  ) => TypedArray & { set(values: TypedArray, at: number): void }
  const whole = new Type(elements.length * first.length)
  elements.forEach((x, i) => {
    if (!(x instanceof Type)) throw mixed(elements, path)
    if (x.length !== first.length) throw different([{ shape: [first.length] }, { shape: [x.length] }], path)
    whole.set(x, i * first.length)
  })
  return tensor(whole, { shape: [elements.length, first.length] })
}

const inside = (path: string): string => (path ? ` in ${path}` : '')

function different(parts: readonly { readonly shape: readonly number[]; readonly dtype?: string }[], path: string) {
  return new CotangentError('shape-mismatch', {
    op: 'batch',
    message: `elements of different shapes or dtypes${inside(path)} cannot be one batch`,
    shapes: parts.map(({ shape }) => shape),
    dtypes: parts.flatMap(({ dtype }) => dtype ?? []),
    hint: 'Bring them to one size in a map, use paddedBatch, or give batch a collate function.',
  })
}

function mixed(elements: readonly unknown[], path: string) {
  const kinds = new Set(
    elements.map((x) =>
      x === null
        ? 'null'
        : isPlain(x)
          ? `{ ${Object.keys(x).join(', ')} }`
          : typeof x === 'object'
            ? (x as object).constructor.name
            : typeof x,
    ),
  )
  return new CotangentError('invalid-argument', {
    op: 'batch',
    message: `elements of different kinds${inside(path)} cannot be one batch: ${[...kinds].slice(0, 4).join(' and ')}`,
    hint: 'Make them alike in a map, or give batch a collate function.',
  })
}

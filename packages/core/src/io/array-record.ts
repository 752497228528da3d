import type { DType, TypedArray } from '../dtype.ts'
import { dtypeInfo } from '../dtype.ts'
import { CotangentError } from '../errors.ts'

/**
 * An array as files hold it: row-major, little-endian, one element after the other. It is what every format here reads
 * and writes, so that formats know nothing of tensors and tensors nothing of formats.
 */
export interface ArrayRecord {
  dtype: DType
  shape: number[]
  /** `product(shape) * size of dtype` bytes, which may be a view of the whole file and need not be aligned. */
  bytes: Uint8Array
}

/** Bytes that an array of this dtype and shape takes, or undefined where a size is no size or the product is past 2^53. */
export function recordBytes(dtype: DType, shape: readonly number[]): number | undefined {
  let size: number = dtypeInfo[dtype].size
  for (const dim of shape) {
    if (!isSize(dim)) return undefined
    size *= dim
    if (size > Number.MAX_SAFE_INTEGER) return undefined
  }
  return size
}

/** Whether a number read from a file can be a size or an offset. */
export function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0)
}

/** The elements of a record, without a copy where the bytes are aligned. float16 and bfloat16 come as their bit patterns. */
export function recordElements({ dtype, bytes }: ArrayRecord): TypedArray {
  const { array, size } = dtypeInfo[dtype]
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes)
  return new array(buffer as ArrayBuffer, byteOffset, bytes.byteLength / size)
}

/** From values to keys. */
/* @__NO_SIDE_EFFECTS__ */
export function inverse<K, V>(map: ReadonlyMap<K, V>): Map<V, K> {
  return new Map([...map].map(([key, value]) => [value, key]))
}

/**
 * A view of part of a file as a plain Uint8Array. Node's Buffer is a Uint8Array whose `subarray` gives Buffers and whose
 * `slice` does not copy: it must not get into a record.
 */
export function viewBytes(file: Uint8Array, begin: number, end: number = file.length): Uint8Array {
  return new Uint8Array(file.buffer, file.byteOffset + begin, end - begin)
}

/** A copy with the bytes of each element reversed: big-endian to little-endian and back. */
export function swapBytes(bytes: Uint8Array, elementSize: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length)
  for (let start = 0; start < bytes.length; start += elementSize) {
    for (let i = 0; i < elementSize; i++) out[start + i] = bytes[start + elementSize - 1 - i]!
  }
  return out
}

/** The error of every decoder: the file is not what it claims to be. `message` names what was wrong. */
export function corruptFile(
  op: string,
  message: string,
  { hint = 'Fetch or write the file again.', cause }: { hint?: string; cause?: unknown } = {},
): CotangentError {
  return new CotangentError('corrupt-file', { op, message, hint, cause })
}

/** A name from a file, quoted and short enough for an error message. */
export function quoteName(name: string): string {
  return JSON.stringify(shorten(name))
}

/** A shape from a file, however long and whatever it holds, for an error message. */
export function quoteShape(shape: readonly unknown[]): string {
  return shorten(`[${shape.slice(0, 80).map(String).join(', ')}]`)
}

const shorten = (text: string): string => (text.length > 80 ? `${text.slice(0, 77)}...` : text)

import type { ArrayRecord } from '../io/array-record.ts'
import { recordsOf, tensorOf } from '../io/state.ts'
import { Tensor } from '../tensor/tensor.ts'
import { mapTree } from '../tree.ts'
import type { Key } from './key.ts'

/** To a worker: an element to change. */
export interface WorkerCall {
  readonly cotangent: 'call'
  readonly id: number
  readonly element: PackedValue
  readonly index: number
  readonly key: Key
  /** Memory of results that have been read, for those to come. */
  readonly spare: readonly ArrayBuffer[]
}

/** From a worker. */
export type WorkerReply =
  | { readonly cotangent: 'ready' }
  | { readonly cotangent: 'unusable'; readonly error: PackedError }
  | { readonly cotangent: 'done'; readonly id: number; readonly element: PackedValue }
  | { readonly cotangent: 'failed'; readonly id: number; readonly error: PackedError }

/** A value as messages can carry it: tensors are beside it, the rest is cloned by the host. */
export interface PackedValue {
  readonly value: unknown
  readonly tensors: readonly ArrayRecord[]
}

const place = '@cotangent.tensor'
const isTensor = (x: unknown): x is Tensor => x instanceof Tensor
const isPlace = (x: unknown): x is { readonly [place]: number } => typeof x === 'object' && x !== null && Object.hasOwn(x, place)

/** @param memoryFor Memory of so many bytes that a tensor can be put into, if there is any. */
export async function pack(value: unknown, memoryFor?: (bytes: number) => ArrayBuffer | undefined): Promise<PackedValue> {
  const found: [string, Tensor][] = []
  const rest = mapTree(value, isTensor, (t) => ({ [place]: found.push(['', t]) - 1 }))
  const records = found.length > 0 ? await recordsOf(found, memoryFor) : []
  return { value: rest, tensors: records.map(([, record]) => record) }
}

export function unpack({ value, tensors }: PackedValue): unknown {
  if (tensors.length === 0) return value
  return mapTree(value, isPlace, (at) => tensorOf('element', tensors[at[place]]!, 'mapInWorkers'))
}

/** Memory that a message may hand over instead of copying: that of tensors, which is a copy already, and arrays of their own. */
export function transfersOf({ value, tensors }: PackedValue, { arrays }: { readonly arrays: boolean }): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>(tensors.map(({ bytes }) => bytes.buffer as ArrayBuffer))
  if (arrays) {
    const isWhole = (x: unknown): x is ArrayBufferView =>
      ArrayBuffer.isView(x) && x.buffer instanceof ArrayBuffer && x.byteLength === x.buffer.byteLength && x.constructor.name !== 'Buffer'
    mapTree(value, isWhole, (x) => found.add(x.buffer as ArrayBuffer))
  }
  return [...found]
}

/** Memory of large tensors, which is nobody's once they have been unpacked: making it anew takes as long as filling it. */
export const spareOf = ({ tensors }: PackedValue): ArrayBuffer[] =>
  tensors.flatMap(({ bytes }) =>
    bytes.byteLength >= 2 ** 16 && bytes.byteLength === bytes.buffer.byteLength ? [bytes.buffer as ArrayBuffer] : [],
  )

/** An error as messages can carry it, whatever was thrown. */
export interface PackedError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
}

export function packError(thrown: unknown): PackedError {
  if (!(thrown instanceof Error)) return { name: 'Error', message: String(thrown), stack: undefined }
  const { name, message, stack } = thrown
  return { name, message, stack }
}

export function unpackError({ name, message, stack }: PackedError): Error {
  const error = new Error(message)
  error.name = name
  // Where it happened, which was in the worker.
  if (stack !== undefined) error.stack = stack
  return error
}

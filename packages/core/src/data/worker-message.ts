import type { ArrayRecord } from '../io/array-record.ts'
import { type PlaceFor, recordsOf, tensorOf } from '../io/state.ts'
import { Tensor } from '../tensor/tensor.ts'
import { mapTree } from '../tree.ts'
import type { Key } from './key.ts'
import type { Slot } from './result-slots.ts'

/** To a worker: an element to change. */
export interface WorkerCall {
  readonly cotangent: 'call'
  readonly id: number
  readonly element: PackedValue
  readonly index: number
  readonly key: Key
  /** Where results may go that are of this kind. */
  readonly slots: readonly Slot[]
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
export const isTensor = (x: unknown): x is Tensor => x instanceof Tensor
const isPlace = (x: unknown): x is { readonly [place]: number } => typeof x === 'object' && x !== null && Object.hasOwn(x, place)

export async function pack(value: unknown, placeFor?: PlaceFor): Promise<PackedValue> {
  const found: [string, Tensor][] = []
  const rest = mapTree(value, isTensor, (t) => ({ [place]: found.push(['', t]) - 1 }))
  const records = found.length > 0 ? await recordsOf(found, placeFor) : []
  return { value: rest, tensors: records.map(([, record]) => record) }
}

/** @param known Gives the tensors of records that need not be copied. */
export function unpack({ value, tensors }: PackedValue, known?: (record: ArrayRecord) => Tensor | undefined): unknown {
  if (tensors.length === 0) return value
  return mapTree(value, isPlace, (at) => {
    const record = tensors[at[place]]!
    return known?.(record) ?? tensorOf('element', record, 'mapInWorkers')
  })
}

/** Memory that a message may hand over instead of copying: that of tensors, unless it is shared, and arrays of their own. */
export function transfersOf({ value, tensors }: PackedValue, { arrays }: { readonly arrays: boolean }): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>(tensors.flatMap(({ bytes: { buffer } }) => (buffer instanceof ArrayBuffer ? [buffer] : [])))
  if (arrays) {
    const isWhole = (x: unknown): x is ArrayBufferView =>
      ArrayBuffer.isView(x) && x.buffer instanceof ArrayBuffer && x.byteLength === x.buffer.byteLength && x.constructor.name !== 'Buffer'
    mapTree(value, isWhole, (x) => found.add(x.buffer as ArrayBuffer))
  }
  return [...found]
}

/** An error as messages can carry it, whatever was thrown. */
interface PackedError {
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

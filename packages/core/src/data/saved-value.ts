import { CotangentError } from '../errors.ts'
import { tensor } from '../op/creation.ts'
import { Tensor } from '../tensor/tensor.ts'
import { isPlain } from '../tree.ts'
import type { Place } from './place.ts'
import type { Step } from './stage.ts'

// Elements that wait in a pipeline are part of its state. A checkpoint holds tensors, numbers, texts, plain objects and arrays;
// what else data is made of is written as an object with this key.
const mark = '@'

/** Made by a call, which bundlers may leave out: they do not know whether these names are there. */
const arrayTypes = () =>
  ({
    Uint8Array,
    Uint8ClampedArray,
    Int8Array,
    Uint16Array,
    Int16Array,
    Uint32Array,
    Int32Array,
    BigInt64Array,
    BigUint64Array,
    Float32Array,
    Float64Array,
  }) as const
const arrays = /* @__PURE__ */ arrayTypes()
type ArrayName = keyof typeof arrays

type Marked =
  | { readonly [mark]: 'undefined' }
  | { readonly [mark]: 'date'; readonly time: number }
  | { readonly [mark]: 'bytes'; readonly type: ArrayName | 'ArrayBuffer'; readonly bytes: Tensor }
  | { readonly [mark]: 'object'; readonly entries: readonly (readonly [string, unknown])[] }

/** An element in the terms of a checkpoint. */
export function saveValue(value: unknown): unknown {
  if (value instanceof Tensor || value === null) return value
  if (value === undefined) return { [mark]: 'undefined' } satisfies Marked
  if (typeof value === 'function' || typeof value === 'symbol') throw refused(typeof value)
  if (typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(saveValue)
  if (value instanceof Date) return { [mark]: 'date', time: value.getTime() } satisfies Marked
  if (value instanceof ArrayBuffer) return bytesOf('ArrayBuffer', new Uint8Array(value))
  if (ArrayBuffer.isView(value)) {
    const type = value.constructor.name === 'Buffer' ? 'Uint8Array' : value.constructor.name
    if (Object.hasOwn(arrays, type)) return bytesOf(type as ArrayName, new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
  }
  if (!isPlain(value)) throw refused(`a ${value.constructor.name}`)
  const entries = Object.entries(value).map(([key, part]) => [key, saveValue(part)] as const)
  // Names that mean something to us or to checkpoints go into texts.
  if (entries.some(([key]) => key === mark || key.startsWith('$') || key === '__proto__'))
    return { [mark]: 'object', entries } satisfies Marked
  return Object.fromEntries(entries)
}

/** The element that `saveValue` was given. */
export function loadValue(saved: unknown): unknown {
  if (typeof saved !== 'object' || saved === null || saved instanceof Tensor) return saved
  if (Array.isArray(saved)) return saved.map(loadValue)
  if (mark in saved) return loadMarked(saved as Marked)
  return Object.fromEntries(Object.entries(saved).map(([key, part]) => [key, loadValue(part)]))
}

function loadMarked(saved: Marked): unknown {
  switch (saved[mark]) {
    case 'undefined':
      return undefined
    case 'date':
      return new Date(saved.time)
    case 'object':
      return Object.fromEntries(saved.entries.map(([key, part]) => [key, loadValue(part)]))
    case 'bytes': {
      const { buffer } = Uint8Array.from(saved.bytes.dataSync() as Uint8Array)
      return saved.type === 'ArrayBuffer' ? buffer : new arrays[saved.type](buffer)
    }
  }
}

const bytesOf = (type: ArrayName | 'ArrayBuffer', bytes: Uint8Array): Marked => ({ [mark]: 'bytes', type, bytes: tensor(bytes) })

const refused = (what: string) =>
  new CotangentError('invalid-argument', {
    op: 'stateDict',
    message: `an element that waits in the pipeline holds ${what}, which cannot be saved`,
    hint: 'Elements of tensors, numbers, texts, typed arrays, dates, plain objects and arrays can: make the rest behind shuffle, prefetch and the like.',
  })

/** A step in the terms of a checkpoint. */
export interface SavedStep {
  readonly value: unknown
  readonly place: Place | null
}

export const saveStep = ({ value, place }: Step<unknown>): SavedStep => ({ value: saveValue(value), place: place ?? null })

export const loadStep = <T>({ value, place }: SavedStep): Step<T> => ({ value: loadValue(value) as T, place: place ?? undefined })

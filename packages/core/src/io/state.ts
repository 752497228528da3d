import { type DType, dtypeInfo, type TypedArray } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Spec } from '../layout.ts'
import { fromRawData } from '../tensor/raw-data.ts'
import { Tensor } from '../tensor/tensor.ts'
import type { Tree } from '../tree.ts'
import { type ArrayRecord, corruptFile, quoteName, recordElements } from './array-record.ts'
import { decodeNpy, encodeNpy } from './npy.ts'
import { decodeSafetensors, encodeSafetensors } from './safetensors.ts'

/**
 * Tensors as the bytes of a safetensors file, bit for bit. Nested objects and arrays give names with dots: `{ layers: [{ weight }] }`
 * becomes `layers.0.weight`. The values are those at the time of the call, also where the engine takes its time.
 *
 *     await saveSafetensors(model.stateDict())
 *
 * @throws {CotangentError} `invalid-argument` for anything in the tree that is no tensor, or two of one name.
 */
export async function saveSafetensors(tensors: Tree<Tensor>, metadata: Record<string, string> = {}): Promise<Uint8Array<ArrayBuffer>> {
  const named: [string, Tensor][] = []
  const visit = (part: unknown, path: string): void => {
    if (part instanceof Tensor) named.push([path, part])
    else if (typeof part === 'object' && part !== null)
      for (const [key, inner] of Object.entries(part)) visit(inner, path ? `${path}.${key}` : key)
    else {
      throw new CotangentError('invalid-argument', {
        op: 'saveSafetensors',
        message: `${quoteName(path)} is ${part === null ? 'null' : typeof part}, not a tensor`,
        hint: 'Put numbers and texts into the metadata, or save a checkpoint.',
      })
    }
  }
  visit(tensors, '')
  return encodeSafetensors(await recordsOf(named), metadata)
}

/**
 * The tensors of a safetensors file by name, on the current engine.
 *
 * @throws {CotangentError} `corrupt-file` for anything that is not exactly such a file; `unsupported` for a dtype that does not exist here.
 */
export function loadSafetensors(file: Uint8Array): Record<string, Tensor> {
  return Object.fromEntries([...decodeSafetensors(file).tensors].map(([name, record]) => [name, tensorOf(name, record)]))
}

/**
 * A tensor as the bytes of a NumPy .npy file, which `numpy.load` reads.
 *
 * @throws {CotangentError} `unsupported` for bfloat16, which NumPy has no name for.
 */
export async function saveNpy(x: Tensor): Promise<Uint8Array<ArrayBuffer>> {
  return encodeNpy(await recordOf(x))
}

/**
 * The tensor of a NumPy .npy file, on the current engine.
 *
 * @throws {CotangentError} `corrupt-file` for anything that is no such file; `unsupported` for a dtype that does not exist here.
 */
export function loadNpy(file: Uint8Array): Tensor {
  return tensorOf('array', decodeNpy(file), 'loadNpy')
}

/** Memory for so many elements, if there is any that waits for them. */
export type PlaceFor = (dtype: DType, size: number) => TypedArray | undefined

/** Reads tensors for a file. All reads begin at once, so that the values belong together. */
export function recordsOf(named: readonly (readonly [string, Tensor])[], placeFor?: PlaceFor): Promise<[string, ArrayRecord][]> {
  return Promise.all(named.map(async ([name, x]) => [name, await recordOf(x, placeFor)] as [string, ArrayRecord]))
}

/** The tensor of a record, with its very bits. */
export function tensorOf(name: string, record: ArrayRecord, op = 'loadSafetensors'): Tensor {
  const { dtype, shape, bytes } = record
  if (dtype === 'bool' && bytes.some((b) => b > 1))
    throw corruptFile(op, `the bool tensor ${quoteName(name)} holds a byte that is neither 0 nor 1`)
  return fromRawData(recordElements(record), shape, dtype)
}

async function recordOf({ spec, storage, engine, offset }: Tensor, placeFor?: PlaceFor): Promise<ArrayRecord> {
  const { dtype, shape, size, contiguous } = spec
  const [low, high] = span(spec)
  const place = placeFor?.(dtype, size)
  const raw =
    size === 0
      ? new dtypeInfo[dtype].array(0)
      : await engine.read(storage.buffer, dtype, offset + low, high - low + 1, contiguous ? place : undefined)
  const dense = contiguous ? raw : gather(raw, spec, -low, place)
  return { dtype, shape: [...shape], bytes: new Uint8Array(dense.buffer, dense.byteOffset, dense.byteLength) }
}

/** The first and last element that a tensor reads, from its offset. */
function span({ shape, strides }: Spec): [low: number, high: number] {
  let low = 0
  let high = 0
  shape.forEach((n, axis) => {
    const reach = (n - 1) * strides[axis]!
    if (reach < 0) low += reach
    else high += reach
  })
  return [low, high]
}

const wholeNumbers = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array } as const

/** The elements of a strided view in order. They are moved as whole numbers: floats would lose the bits of signalling NaNs. */
function gather(raw: TypedArray, { shape, strides, size, dtype }: Spec, start: number, place?: TypedArray): ArrayBufferView {
  const Words = wholeNumbers[dtypeInfo[dtype].size]
  const asWords = ({ buffer, byteOffset, length }: TypedArray) => new Words(buffer as ArrayBuffer, byteOffset, length)
  const from = asWords(raw)
  const to = place ? asWords(place) : new Words(size)
  let next = 0
  const walk = (axis: number, at: number): void => {
    if (axis === shape.length) {
      to[next++] = from[at]!
      return
    }
    for (let i = 0; i < shape[axis]!; i++) walk(axis + 1, at + i * strides[axis]!)
  }
  walk(0, start)
  return to
}

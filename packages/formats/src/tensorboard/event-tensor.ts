import { CotangentError } from 'cotangent'
import type { FieldsOf, MessageOf } from '../protobuf/message.ts'
import type { EventTensor } from './event.ts'
import { dataTypes, type TensorProto } from './schema.ts'

type Message = MessageOf<typeof TensorProto>
type Numbers = Float32Array | Float64Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array

/** A constant tensor is one value and a shape. More elements than this are not believed: memory would be taken for them. */
const maxFilled = 2 ** 24

interface Layout {
  /** Element type of `tensorContent`. */
  readonly array: { readonly BYTES_PER_ELEMENT: number; new (buffer: ArrayBuffer): ArrayLike<number> | ArrayLike<bigint> }
  /** The field of listed values, and what they come as. */
  readonly list: (message: Message) => Numbers
}

const layouts = new Map<number, Layout>([
  [dataTypes.float, { array: Float32Array, list: (m) => m.floatVal }],
  [dataTypes.double, { array: Float64Array, list: (m) => m.doubleVal }],
  [dataTypes.int32, { array: Int32Array, list: (m) => m.intVal }],
  [dataTypes.int16, { array: Int16Array, list: (m) => m.intVal }],
  [dataTypes.int8, { array: Int8Array, list: (m) => m.intVal }],
  [dataTypes.uint8, { array: Uint8Array, list: (m) => m.intVal }],
  [dataTypes.uint16, { array: Uint16Array, list: (m) => m.intVal }],
  [dataTypes.bool, { array: Uint8Array, list: (m) => m.boolVal }],
  [dataTypes.uint32, { array: Uint32Array, list: (m) => m.uint32Val }],
  [dataTypes.int64, { array: BigInt64Array, list: (m) => m.int64Val }],
  [dataTypes.uint64, { array: BigUint64Array, list: (m) => m.uint64Val }],
])

/** The elements of a TensorProto. Types that JavaScript has no array for (half, bfloat16, complex) come as the bytes that are there. */
export function readTensor(message: Message): EventTensor {
  const shape = message.tensorShape?.dim.map(({ size }) => size ?? 0) ?? []
  const elements = shape.reduce((product, size) => product * size, 1)
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || !Number.isSafeInteger(elements)) {
    throw corrupt(`shape [${shape.slice(0, 20).join(', ')}] is none`)
  }
  const dtype = message.dtype ?? 0
  if (dtype === dataTypes.string) return { shape, values: filled(message.stringVal, elements, shape) }
  const layout = layouts.get(dtype)
  const content = message.tensorContent
  if (!layout) return { shape, values: content ?? new Uint8Array(0) }
  if (content === undefined || content.length === 0) {
    const values = layout.list(message)
    if (values.length === elements) return { shape, values }
    const all = new (values.constructor as new (length: number) => Numbers)(fillable(elements, shape))
    const given = (values as Float32Array).subarray(0, elements)
    ;(all as Float32Array).set(given)
    return { shape, values: given.length ? (all as Float32Array).fill(given.at(-1)!, given.length) : all }
  }
  if (content.length !== elements * layout.array.BYTES_PER_ELEMENT) {
    throw corrupt(`${content.length} bytes are not the elements of shape [${shape.join(', ')}]`)
  }
  const values = new layout.array(new Uint8Array(content).buffer)
  // Types narrower than 32 bits are lists of int32 in their other form: one type for both.
  return { shape, values: layout.array.BYTES_PER_ELEMENT < 4 ? Int32Array.from(values as ArrayLike<number>) : (values as Numbers) }
}

/** Elements as numbers, whatever they were. */
export function tensorNumbers({ values }: EventTensor): Float64Array {
  if (Array.isArray(values)) throw corrupt('strings stand where numbers should')
  return Float64Array.from(values as ArrayLike<number>, Number)
}

export function tensorStrings({ values }: EventTensor): readonly Uint8Array[] {
  if (!Array.isArray(values)) throw corrupt('numbers stand where strings should')
  return values
}

/** The last value stands for those that a list leaves out. */
function filled(values: readonly Uint8Array[], elements: number, shape: readonly number[]): Uint8Array[] {
  if (values.length >= elements) return values.slice(0, elements)
  const rest = new Array<Uint8Array>(fillable(elements, shape) - values.length).fill(values.at(-1) ?? new Uint8Array(0))
  return [...values, ...rest]
}

function fillable(elements: number, shape: readonly number[]): number {
  if (elements > maxFilled) throw corrupt(`shape [${shape.join(', ')}] has ${elements} elements, for which the file has no values`)
  return elements
}

/** Strings or bytes as a TensorProto, row-major. */
export function stringTensor(
  values: readonly (string | Uint8Array)[],
  shape: readonly number[] = [values.length],
): FieldsOf<typeof TensorProto> {
  const stringVal = values.map((value) => (typeof value === 'string' ? new TextEncoder().encode(value) : value))
  return { dtype: dataTypes.string, tensorShape: { dim: shape.map((size) => ({ size })) }, stringVal }
}

export function floatTensor(values: Float32Array, shape: readonly number[]): FieldsOf<typeof TensorProto> {
  return { dtype: dataTypes.float, tensorShape: { dim: shape.map((size) => ({ size })) }, floatVal: values }
}

const corrupt = (message: string): CotangentError =>
  new CotangentError('corrupt-file', { op: 'readEvents', message: `a tensor's ${message}`, hint: 'The writer of the file is at fault.' })

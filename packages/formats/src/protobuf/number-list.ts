import type { PbfReader, PbfWriter } from 'pbf'

/** Repeated numbers by their protobuf type, as decoding gives them. */
export interface Numbers {
  double: Float64Array
  float: Float32Array
  int32: Int32Array
  uint32: Uint32Array
  int64: BigInt64Array
  uint64: BigUint64Array
}
export type NumberType = keyof Numbers

interface NumberList<T> {
  wire: number
  packed: boolean
  initial(): T
  write(writer: PbfWriter, values: ArrayLike<number | bigint>): void
  read(reader: PbfReader, wire: number, end: number, before: T, key: number): T
}

/** Written packed; packed and unpacked ones are read, and both in one message. */
export const numberLists: { [T in NumberType]: (number: number) => NumberList<Numbers[T]> } = {
  double: fixed(1, Float64Array),
  float: fixed(5, Float32Array),
  int32: varints(Int32Array),
  uint32: varints(Uint32Array),
  int64: varints(BigInt64Array),
  uint64: varints(BigUint64Array),
}

type Floats = Float32Array | Float64Array
type Integers = Int32Array | Uint32Array | BigInt64Array | BigUint64Array
interface ArrayType<T> {
  readonly BYTES_PER_ELEMENT: number
  new (length: number): T
  new (values: Iterable<never>): T
}

/* @__NO_SIDE_EFFECTS__ */
function fixed<T extends Floats>(single: number, type: ArrayType<T>): (number: number) => NumberList<T> {
  const size = type.BYTES_PER_ELEMENT
  const none = new type(0)
  return (number) => ({
    wire: single,
    packed: true,
    initial: () => none,
    write: (writer, values) => {
      // Files are little-endian, as is every machine that V8, JavaScriptCore and SpiderMonkey run on.
      const numbers = values instanceof type ? values : (type as unknown as typeof Float32Array).from(values as ArrayLike<number>)
      if (numbers.length) writer.writeBytesField(number, new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength))
    },
    read: (reader, wire, end, before, key) => {
      const bytes = wire === 2 ? packed(reader, end) : unpacked(reader, key, end, (r) => (r.pos += size))
      if (bytes.length % size) throw new RangeError(`${bytes.length} bytes are no whole number of ${size}-byte numbers`)
      const numbers = new type(before.length + bytes.length / size)
      numbers.set(before)
      new Uint8Array(numbers.buffer).set(bytes, before.byteLength)
      return numbers
    },
  })

  /** The numbers of a run of single fields with this key, without the keys between them. */
  function unpacked(reader: PbfReader, key: number, end: number, skip: (reader: PbfReader) => void): Uint8Array {
    const starts = runOf(reader, key, end, (r) => {
      const start = r.pos
      skip(r)
      return start
    })
    const bytes = new Uint8Array(starts.length * size)
    starts.forEach((start, i) => bytes.set(reader.buf.subarray(start, start + size), i * size))
    return bytes
  }
}

/* @__NO_SIDE_EFFECTS__ */
function varints<T extends Integers>(type: ArrayType<T>): (number: number) => NumberList<T> {
  const big = type.BYTES_PER_ELEMENT === 8
  const signed = (type as unknown) === Int32Array || (type as unknown) === BigInt64Array
  const none = new type(0)
  const next = (r: PbfReader): number | bigint => (big ? readBig(r, signed) : r.readVarint(signed))
  return (number) => ({
    wire: 0,
    packed: true,
    initial: () => none,
    write: (writer, values) => {
      if (!values.length) return
      writer.writeMessage(
        number,
        (list: ArrayLike<number | bigint>, w) => {
          for (let i = 0; i < list.length; i++) writeInteger(w, list[i]!)
        },
        values,
      )
    },
    read: (reader, wire, end, before, key) => {
      const read = Array.from<number | bigint>(before)
      if (wire === 2) {
        const length = reader.readVarint()
        const last = reader.pos + length
        if (!(last <= end)) throw new RangeError(`a list of ${length} bytes ends past what holds it`)
        while (reader.pos < last) read.push(next(reader))
        if (reader.pos !== last) throw new RangeError('a number ends past its list')
      } else {
        for (const value of runOf(reader, key, end, next)) read.push(value)
      }
      return new type(read as Iterable<never>)
    },
  })
}

function packed(reader: PbfReader, end: number): Uint8Array {
  const bytes = reader.readBytes()
  if (!(reader.pos <= end)) throw new RangeError('a list ends past what holds it')
  return bytes
}

/** Values of consecutive fields with the same key: taken together, so that reading n of them is O(n). */
function runOf<T>(reader: PbfReader, key: number, end: number, next: (reader: PbfReader) => T): T[] {
  const values = [next(reader)]
  while (reader.pos < end) {
    const start = reader.pos
    if (reader.readVarint() !== key) {
      reader.pos = start
      break
    }
    values.push(next(reader))
  }
  if (!(reader.pos <= end)) throw new RangeError('a number ends past what holds it')
  return values
}

function readBig(reader: PbfReader, signed: boolean): bigint {
  const { buf } = reader
  let low = 0
  let shift = 0
  // Numbers below 2^28, which most are, need no bigint arithmetic.
  for (; shift < 28; shift += 7) {
    const byte = byteAt(buf, reader.pos++)
    low |= (byte & 0x7f) << shift
    if (byte < 0x80) return BigInt(low)
  }
  let value = BigInt(low)
  for (; shift < 70; shift += 7) {
    const byte = byteAt(buf, reader.pos++)
    value |= BigInt(byte & 0x7f) << BigInt(shift)
    if (byte < 0x80) return signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value)
  }
  throw new RangeError('a number has more than 10 bytes')
}

function byteAt(bytes: Uint8Array, position: number): number {
  const byte = bytes[position]
  if (byte === undefined) throw new RangeError('a number ends past the message')
  return byte
}

function writeInteger(writer: PbfWriter, value: number | bigint): void {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return writer.writeVarint(value)
  let rest = BigInt.asUintN(64, BigInt(value))
  writer.realloc(10)
  for (; rest > 0x7fn; rest >>= 7n) writer.buf[writer.pos++] = Number(rest & 0x7fn) | 0x80
  writer.buf[writer.pos++] = Number(rest)
}

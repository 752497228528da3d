import { CotangentError } from 'cotangent'
import { PbfReader, PbfWriter } from 'pbf'
import { type Numbers, type NumberType, numberLists } from './number-list.ts'

/**
 * Protocol Buffers messages declared by hand: field names with their numbers and types, from which the types of values follow.
 * The wire is pbf's; what it leaves to its callers is here: bounds of nested messages, packed and unpacked numbers, exact int64.
 *
 * `decode` gives every field: singular ones are undefined where the file has none, which is how members of a `oneof` are told apart.
 */
export class Message<F extends Fields> {
  readonly name: string
  readonly #fields: readonly NamedField[]
  /** By number, which are small. */
  readonly #byNumber: readonly (NamedField | undefined)[]
  /** A message without fields: copying it is faster than making it. Lists that are added to must be new for each. */
  readonly #empty: Readonly<Record<string, unknown>>
  readonly #own: readonly NamedField[]

  constructor(name: string, fields: F) {
    this.name = name
    this.#fields = Object.entries(fields)
    const byNumber: NamedField[] = []
    for (const entry of this.#fields) byNumber[entry[1].number] = entry
    this.#byNumber = byNumber
    this.#empty = Object.fromEntries(this.#fields.map(([key, field]) => [key, field.initial()]))
    this.#own = this.#fields.filter(([, field]) => field.initial() !== field.initial())
  }

  encode(value: Encodable<F>): Uint8Array<ArrayBuffer> {
    const writer = new PbfWriter()
    this.write(value, writer)
    return writer.finish() as Uint8Array<ArrayBuffer>
  }

  /** Fields of type bytes are views of `bytes`.
   * @throws CotangentError `corrupt-file` where `bytes` is no such message. */
  decode(bytes: Uint8Array): Decoded<F> {
    const reader = new PbfReader(bytes)
    try {
      return this.read(reader, bytes.length)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new CotangentError('corrupt-file', {
        message: `bytes that should be a ${this.name} message are none: near byte ${Math.min(reader.pos, bytes.length)}, ${reason}`,
        hint: 'The file holds records of another kind, or its writer is at fault.',
        cause,
      })
    }
  }

  /** @internal */
  write(value: Encodable<F>, writer: PbfWriter): void {
    for (const [name, field] of this.#fields) {
      const given: unknown = value[name]
      if (given !== undefined) field.write(writer, given)
    }
  }

  /** @internal */
  read(reader: PbfReader, end: number): Decoded<F> {
    const out: Record<string, unknown> = { ...this.#empty }
    for (const [name, field] of this.#own) out[name] = field.initial()
    while (reader.pos < end) {
      const key = reader.readVarint()
      if (!(key > 7 && key <= 0xffffffff)) throw new RangeError(`${key} is no key of a field`)
      const known = this.#byNumber[key >>> 3]
      const wire = key & 7
      if (known && (known[1].wire === wire || (known[1].packed && wire === 2))) {
        out[known[0]] = known[1].read(reader, wire, end, out[known[0]], key)
      } else {
        reader.skip(wire)
      }
      if (!(reader.pos <= end)) throw new RangeError('a field ends past what holds it')
    }
    return out as Decoded<F>
  }
}

// oxlint-disable-next-line typescript/no-explicit-any -- a field of any type: its own methods are the only ones to see its values
type AnyField = Field<any, any>
type NamedField = readonly [name: string, field: AnyField]
type Fields = Readonly<Record<string, AnyField>>

export interface Field<In, Out> {
  readonly number: number
  /** How it is on the wire. */
  readonly wire: number
  /** Whether it may also be a packed list. */
  readonly packed: boolean
  initial(): Out
  write(writer: PbfWriter, value: In): void
  read(reader: PbfReader, wire: number, end: number, before: Out, key: number): Out
}

type Encodable<F extends Fields> = { readonly [K in keyof F]?: F[K] extends Field<infer In, infer _> ? In | undefined : never }
type Decoded<F extends Fields> = { [K in keyof F]: F[K] extends Field<infer _, infer Out> ? Out : never }
/** What `encode` of a message takes. */
export type FieldsOf<M> = M extends Message<infer F> ? Encodable<F> : never
/** What `decode` of a message gives. */
export type MessageOf<M> = M extends Message<infer F> ? Decoded<F> : never

/** `float`, `double` and the integers are numbers; an int64 beyond 2^53 is rounded, but exact in a list. */
type ScalarType = NumberType | 'bool' | 'string' | 'bytes'
type ScalarOf<T extends ScalarType> = T extends 'bool' ? boolean : T extends 'string' ? string : T extends 'bytes' ? Uint8Array : number

const wireOf: Record<ScalarType, number> = { double: 1, float: 5, int32: 0, int64: 0, uint32: 0, uint64: 0, bool: 0, string: 2, bytes: 2 }

/** A singular field. */
/* @__NO_SIDE_EFFECTS__ */
export function one<T extends ScalarType>(number: number, type: T): Field<ScalarOf<T>, ScalarOf<T> | undefined>
/* @__NO_SIDE_EFFECTS__ */
export function one<F extends Fields>(number: number, type: Message<F>): Field<Encodable<F>, Decoded<F> | undefined>
export function one(number: number, type: ScalarType | Message<Fields>): AnyField {
  const initial = () => undefined
  if (typeof type === 'string') {
    return {
      number,
      wire: wireOf[type],
      packed: false,
      initial,
      write: (writer, value) => writeScalar(writer, number, type, value),
      read: (reader) => readScalar(reader, type),
    }
  }
  const write = (value: Encodable<Fields>, writer: PbfWriter) => type.write(value, writer)
  return {
    number,
    wire: 2,
    packed: false,
    initial,
    write: (writer, value) => writer.writeMessage(number, write, value),
    read: (reader, _wire, end) => type.read(reader, endOfNested(reader, end)),
  }
}

/** A repeated field. Numbers come as a typed array: Float32Array, Float64Array, BigInt64Array, BigUint64Array, Int32Array, Uint32Array. */
/* @__NO_SIDE_EFFECTS__ */
export function many<T extends NumberType>(number: number, type: T): Field<ArrayLike<number | bigint>, Numbers[T]>
/* @__NO_SIDE_EFFECTS__ */
export function many<T extends ScalarType>(number: number, type: T): Field<readonly ScalarOf<T>[], ScalarOf<T>[]>
/* @__NO_SIDE_EFFECTS__ */
export function many<F extends Fields>(number: number, type: Message<F>): Field<readonly Encodable<F>[], Decoded<F>[]>
export function many(number: number, type: ScalarType | Message<Fields>): AnyField {
  if (typeof type === 'string' && type in numberLists) return { number, ...numberLists[type as NumberType](number) }
  const single = one(number, type as ScalarType)
  return {
    ...single,
    initial: () => [],
    write: (writer, values: readonly never[]) => values.forEach((value) => single.write(writer, value)),
    read: (reader, wire, end, before: unknown[], key) => {
      before.push(single.read(reader, wire, end, undefined, key))
      return before
    },
  }
}

/** `map<string, T>`. */
/* @__NO_SIDE_EFFECTS__ */
export function mapOf<F extends Fields>(
  number: number,
  type: Message<F>,
): Field<ReadonlyMap<string, Encodable<F>>, Map<string, Decoded<F>>> {
  const entry = new Message('map entry', { key: one(1, 'string'), value: one(2, type) })
  const single = one(number, entry)
  return {
    number,
    wire: 2,
    packed: false,
    initial: () => new Map(),
    write: (writer, values) => values.forEach((value, key) => single.write(writer, { key, value })),
    read: (reader, wire, end, before, key) => {
      const read = single.read(reader, wire, end, undefined, key)!
      return before.set(read.key ?? '', read.value ?? type.read(reader, reader.pos))
    },
  }
}

function writeScalar(writer: PbfWriter, number: number, type: ScalarType, value: unknown): void {
  if (type === 'double') writer.writeDoubleField(number, value as number)
  else if (type === 'float') writer.writeFloatField(number, value as number)
  else if (type === 'bool') writer.writeBooleanField(number, value as boolean)
  else if (type === 'string') writer.writeStringField(number, value as string)
  else if (type === 'bytes') writer.writeBytesField(number, value as Uint8Array)
  else writer.writeVarintField(number, value as number)
}

function readScalar(reader: PbfReader, type: ScalarType): unknown {
  if (type === 'double') return reader.readDouble()
  if (type === 'float') return reader.readFloat()
  if (type === 'bool') return reader.readBoolean()
  if (type === 'string') return reader.readString()
  if (type === 'bytes') return reader.readBytes()
  return reader.readVarint(type === 'int32' || type === 'int64')
}

function endOfNested(reader: PbfReader, end: number): number {
  const length = reader.readVarint()
  const nested = reader.pos + length
  if (!(nested <= end)) throw new RangeError(`a field of ${length} bytes ends past what holds it`)
  return nested
}

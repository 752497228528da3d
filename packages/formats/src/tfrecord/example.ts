import { CotangentError, Tensor, tensor } from 'cotangent'
import type { FieldsOf, MessageOf } from '../protobuf/message.ts'
import type { Features, FeatureSpec, FeatureType, FeatureValue, Row } from './features.ts'
import { Example, type Feature } from './schema.ts'

type Decoded = MessageOf<typeof Feature>
type Encodable = FieldsOf<typeof Feature>
type List = Float32Array | BigInt64Array | readonly Uint8Array[]

/** Which of the three lists of a feature a type is kept in. */
const listOf = {
  float32: 'floatList',
  int64: 'int64List',
  int32: 'int64List',
  bool: 'int64List',
  string: 'bytesList',
  bytes: 'bytesList',
} as const

/**
 * A tf.Example as a row of values; see `Row`.
 *
 * @throws CotangentError `corrupt-file` where `data` is no Example; `bad-record` where a feature is missing, of another type or size.
 */
export function parseExample<const F extends Features>(data: Uint8Array, features: F): Row<F> {
  const found = Example.decode(data).features?.feature
  return Object.fromEntries(Object.entries(features).map(([name, spec]) => [name, readFeature(name, spec, found?.get(name))])) as Row<F>
}

/** All features of a tf.Example as they are: for files whose features are not known. */
export function inspectExample(data: Uint8Array): Record<string, Float32Array | BigInt64Array | Uint8Array[]> {
  const found = Example.decode(data).features?.feature ?? []
  return Object.fromEntries([...found].map(([name, f]) => [name, f.floatList?.value ?? f.int64List?.value ?? f.bytesList?.value ?? []]))
}

/**
 * A row as the bytes of a tf.Example.
 *
 * @throws CotangentError `invalid-argument` where a value is missing or does not fit its feature.
 */
export function buildExample<const F extends Features>(
  row: { readonly [K in keyof F]: FeatureValue },
  features: F,
): Uint8Array<ArrayBuffer> {
  const feature = new Map(Object.entries(features).map(([name, spec]) => [name, writeFeature(name, spec, row[name])]))
  return Example.encode({ features: { feature } })
}

function readFeature(name: string, spec: FeatureSpec, feature: Decoded | undefined): unknown {
  const kept = listOf[spec.type]
  const list: List | undefined = feature?.[kept]?.value
  if (!list) {
    const other = feature && (['floatList', 'int64List', 'bytesList'] as const).find((key) => feature[key])
    if (other)
      throw bad(
        name,
        `is kept as ${words[other]}, not ${words[kept]}`,
        `Declare it as ${Object.entries(listOf).find(([, key]) => key === other)![0]}.`,
      )
  }
  // A feature with an empty list counts as missing, as in TensorFlow.
  if (spec.kind === 'variable') return valuesOf(name, spec.type, list ?? [], undefined)
  const size = spec.shape.reduce((product, n) => product * n, 1)
  if (!list || (list.length === 0 && size > 0)) {
    if (spec.default === undefined) throw bad(name, 'is missing', 'Give it a default or declare it with variableLength.')
    return valuesOf(name, spec.type, defaultList(spec.type, spec.default, size), spec.shape)
  }
  if (list.length !== size)
    throw bad(name, `has ${list.length} values, not the ${size} of shape [${spec.shape.join(', ')}]`, 'Declare it with variableLength.')
  return valuesOf(name, spec.type, list, spec.shape)
}

function valuesOf(name: string, type: FeatureType, list: List, shape: readonly number[] | undefined): unknown {
  const scalar = shape?.length === 0
  if (type === 'string' || type === 'bytes') {
    const texts = (list as readonly Uint8Array[]).map((bytes) => (type === 'bytes' ? bytes : decodeText(name, bytes)))
    return scalar ? texts[0] : texts
  }
  if (type === 'int64')
    return scalar
      ? (list as BigInt64Array)[0]
      : tensor(list.length ? (list as BigInt64Array) : new BigInt64Array(0), { dtype: 'int64', shape: shape ?? [list.length] })
  if (type === 'float32')
    return scalar
      ? (list as Float32Array)[0]
      : tensor(list.length ? (list as Float32Array) : new Float32Array(0), { dtype: 'float32', shape: shape ?? [list.length] })
  const numbers = Int32Array.from(list as BigInt64Array, (value) => {
    const small = BigInt.asIntN(32, value)
    if (small !== value || (type === 'bool' && value !== 0n && value !== 1n))
      throw bad(name, `holds ${value}, which is no ${type}`, 'Declare it as int64.')
    return Number(small)
  })
  if (scalar) return type === 'bool' ? numbers[0] === 1 : numbers[0]
  return tensor(numbers, { dtype: type, shape: shape ?? [list.length] })
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeText(name: string, bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw bad(name, 'is no UTF-8', 'Declare it as bytes.', cause)
  }
}

function defaultList(type: FeatureType, given: unknown, size: number): List {
  const values = Array.isArray(given) ? (given as unknown[]) : new Array<unknown>(size).fill(given)
  if (values.length !== size)
    throw new CotangentError('invalid-argument', {
      op: 'parseExample',
      message: `a default has ${values.length} values, its feature ${size}`,
      hint: 'Give one, or one each.',
    })
  return encodeList('default', type, values as FeatureValue)
}

function writeFeature(name: string, spec: FeatureSpec, value: FeatureValue | undefined): Encodable {
  if (value === undefined || value === null) throw unfit(name, 'is missing', 'Rows have every feature; one of variable length may be [].')
  const list = encodeList(name, spec.type, value)
  const size = spec.kind === 'fixed' ? spec.shape.reduce((product, n) => product * n, 1) : list.length
  if (list.length !== size) throw unfit(name, `has ${list.length} values, its feature ${size}`, 'Give as many as the shape has elements.')
  return { [listOf[spec.type]]: { value: list } }
}

function encodeList(name: string, type: FeatureType, value: FeatureValue): List {
  const kept = listOf[type]
  const values: ArrayLike<unknown> =
    value instanceof Tensor
      ? value.dataSync()
      : typeof value === 'object' && !(kept === 'bytesList' && value instanceof Uint8Array)
        ? (value as ArrayLike<unknown>)
        : [value]
  if (kept === 'bytesList') {
    return Array.from(values, (v) => {
      if (typeof v === 'string') return new TextEncoder().encode(v)
      if (v instanceof Uint8Array) return v
      throw unfit(name, `holds a ${typeof v}`, `A feature of type ${type} holds strings or Uint8Arrays.`)
    })
  }
  if (kept === 'floatList') {
    return Float32Array.from(values as ArrayLike<number>, (v: unknown) => {
      if (typeof v === 'number' || typeof v === 'bigint' || typeof v === 'boolean') return Number(v)
      throw unfit(name, `holds a ${typeof v}`, 'A feature of type float32 holds numbers.')
    })
  }
  return BigInt64Array.from(values as ArrayLike<bigint>, (v: unknown) => {
    const whole =
      typeof v === 'bigint' ? v : (typeof v === 'number' && Number.isSafeInteger(v)) || typeof v === 'boolean' ? BigInt(v) : undefined
    if (whole !== undefined && BigInt.asIntN(64, whole) === whole) return whole
    throw unfit(name, `holds ${String(v)}`, `A feature of type ${type} holds whole numbers of 64 bits.`)
  })
}

const words = { floatList: 'floats', int64List: 'integers', bytesList: 'bytes' } as const

const bad = (name: string, message: string, hint: string, cause?: unknown): CotangentError =>
  new CotangentError('bad-record', { op: 'parseExample', message: `feature ${JSON.stringify(name)} ${message}`, hint, cause })

const unfit = (name: string, message: string, hint: string): CotangentError =>
  new CotangentError('invalid-argument', { op: 'buildExample', message: `feature ${JSON.stringify(name)} ${message}`, hint })

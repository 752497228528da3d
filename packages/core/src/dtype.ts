import { CotangentError } from './errors.ts'

/** Element types, in order of promotion within their kind. */
export const dtypes = ['bool', 'uint8', 'int8', 'int32', 'int64', 'float16', 'bfloat16', 'float32', 'float64'] as const
/** The type of a tensor's elements. */
export type DType = (typeof dtypes)[number]

/** What a dtype's numbers are; `uint8` is an `int`. */
export type DTypeKind = 'bool' | 'int' | 'float'

interface DTypeInfo {
  kind: DTypeKind
  /** Bytes an element. */
  size: 1 | 2 | 4 | 8
  /** The typed array that stores it; float16 and bfloat16 are kept as their 16-bit patterns. */
  array: TypedArrayConstructor
  min: number
  max: number
  /** Code in compact cache keys. */
  code: number
}

/** Arrays that the elements of a tensor are read as: one type for each dtype, see `dtypeInfo`. */
export type TypedArray = Uint8Array | Int8Array | Uint16Array | Int32Array | BigInt64Array | Float32Array | Float64Array

type TypedArrayConstructor =
  | Uint8ArrayConstructor
  | Int8ArrayConstructor
  | Uint16ArrayConstructor
  | Int32ArrayConstructor
  | BigInt64ArrayConstructor
  | Float32ArrayConstructor
  | Float64ArrayConstructor

/** Facts about each dtype. `min` and `max` are the finite limits. */
export const dtypeInfo = {
  bool: { kind: 'bool', size: 1, array: Uint8Array, min: 0, max: 1, code: 0 },
  uint8: { kind: 'int', size: 1, array: Uint8Array, min: 0, max: 255, code: 1 },
  int8: { kind: 'int', size: 1, array: Int8Array, min: -128, max: 127, code: 2 },
  int32: { kind: 'int', size: 4, array: Int32Array, min: -(2 ** 31), max: 2 ** 31 - 1, code: 3 },
  int64: { kind: 'int', size: 8, array: BigInt64Array, min: -(2 ** 63), max: 2 ** 63 - 1, code: 4 },
  float16: { kind: 'float', size: 2, array: Uint16Array, min: -65504, max: 65504, code: 5 },
  bfloat16: { kind: 'float', size: 2, array: Uint16Array, min: -3.3895313892515355e38, max: 3.3895313892515355e38, code: 6 },
  float32: { kind: 'float', size: 4, array: Float32Array, min: -3.4028234663852886e38, max: 3.4028234663852886e38, code: 7 },
  float64: { kind: 'float', size: 8, array: Float64Array, min: -Number.MAX_VALUE, max: Number.MAX_VALUE, code: 8 },
} as const satisfies Record<DType, DTypeInfo>

/** The same numbers in memory of their own, or in what is given for them. */
export function copyOf(array: TypedArray, into?: TypedArray): TypedArray {
  if (!into) return array.slice()
  into.set(array as never)
  return into
}

/** Whether something, such as a field of a file, is the name of a dtype. */
export function isDType(name: unknown): name is DType {
  return typeof name === 'string' && Object.hasOwn(dtypeInfo, name)
}

export function checkDType(name: unknown, op: string): asserts name is DType {
  if (!isDType(name)) {
    throw new CotangentError('invalid-argument', { op, message: `unknown dtype ${String(name)}`, hint: `Use one of ${dtypes.join(', ')}.` })
  }
}

export const isFloat = (d: DType): boolean => dtypeInfo[d].kind === 'float'
export const isInt = (d: DType): boolean => dtypeInfo[d].kind === 'int'

/**
 * The dtype that an op of two arrays computes in.
 *
 * NumPy's rules, with the deviation that PyTorch and JAX share: an integer array with a float array takes the float
 * array's dtype (NumPy would widen int32 with float32 to float64, which no accelerator has). uint8 with int8 gives int32
 * (there is no int16), float16 with bfloat16 gives float32.
 */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a
  const ia = dtypeInfo[a]
  const ib = dtypeInfo[b]
  if (ia.kind !== ib.kind) {
    const order = { bool: 0, int: 1, float: 2 }
    return order[ia.kind] > order[ib.kind] ? a : b
  }
  if (ia.size === ib.size) return ia.kind === 'int' ? 'int32' : 'float32'
  return ia.size > ib.size ? a : b
}

/**
 * The dtype that a JavaScript scalar takes next to an array (NEP 50: scalars are weak). A float scalar turns an integer
 * array into float32; an integer scalar leaves every numeric array alone and turns bool into int32.
 */
export function promoteScalar(a: DType, value: number | bigint | boolean): DType {
  if (typeof value === 'boolean') return a
  const isInteger = typeof value === 'bigint' || Number.isInteger(value)
  if (!isInteger) return isFloat(a) ? a : 'float32'
  return a === 'bool' ? 'int32' : a
}

/** The dtype of results that are real numbers by nature (`exp`, `mean`, `divide`): floats stay, the rest become float32. */
export const toFloat = (d: DType): DType => (isFloat(d) ? d : 'float32')

const scratch = new DataView(new ArrayBuffer(8))

/** Bit pattern of the nearest float16 (ties to even). */
export function float16Bits(x: number): number {
  scratch.setFloat64(0, x)
  const hi = scratch.getUint32(0)
  const lo = scratch.getUint32(4)
  const sign = (hi >>> 16) & 0x8000
  const exponent = (hi >>> 20) & 0x7ff
  if (exponent === 0x7ff) return sign | 0x7c00 | (hi & 0xfffff || lo ? 0x200 : 0)
  const magnitude = Math.abs(x)
  if (magnitude >= 65520) return sign | 0x7c00
  // The spacing of float16 numbers around x; dividing by it is exact, so the only rounding is the one to an integer.
  const spacing = 2 ** (Math.max(exponent - 1023, -14) - 10)
  const steps = roundHalfEven(magnitude / spacing)
  if (spacing === 2 ** -24) return sign | steps
  return (sign | ((exponent - 1023 + 15) << 10)) + (steps - 1024)
}

export function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 31
  const fraction = bits & 0x3ff
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24)
}

/** Bit pattern of the nearest bfloat16 (ties to even) of the nearest float32. */
export function bfloat16Bits(x: number): number {
  scratch.setFloat32(0, x)
  const bits = scratch.getUint32(0)
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
}

export function bfloat16Value(bits: number): number {
  scratch.setUint32(0, bits << 16)
  return scratch.getFloat32(0)
}

export function roundHalfEven(x: number): number {
  const r = Math.round(x)
  return r - x === 0.5 && r % 2 !== 0 ? r - 1 : r
}

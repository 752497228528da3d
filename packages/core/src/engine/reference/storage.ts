import { bfloat16Bits, bfloat16Value, type DType, dtypeInfo, float16Bits, float16Value, type TypedArray } from '../../dtype.ts'
import type { ScalarType } from '../scalar.ts'

/** int64 computes in bigint, everything else in number; bools are 0 and 1. */
export type Num = number | bigint

export function loadElement(array: TypedArray, dtype: DType, at: number): Num {
  const raw = array[at]!
  if (dtype === 'float16') return float16Value(raw as number)
  if (dtype === 'bfloat16') return bfloat16Value(raw as number)
  return raw
}

/** Stores a value of the dtype's scalar type; integers wrap, floats round to nearest even. */
export function storeElement(array: TypedArray, dtype: DType, at: number, value: Num): void {
  if (dtype === 'float16') array[at] = float16Bits(value as number)
  else if (dtype === 'bfloat16') array[at] = bfloat16Bits(value as number)
  else (array as { [at: number]: Num })[at] = value
}

/** What is left of `value` after it went through memory of `dtype`. */
export function narrow(value: Num, dtype: DType): Num {
  const cell = new dtypeInfo[dtype].array(1)
  storeElement(cell, dtype, 0, value)
  return loadElement(cell, dtype, 0)
}

/** Brings an exact result back into its type. */
export function roundTo(value: Num | boolean, type: ScalarType): Num {
  switch (type) {
    case 'bool':
      return value ? 1 : 0
    case 'int32':
      return Number(value) | 0
    case 'int64':
      return BigInt.asIntN(64, BigInt(value))
    case 'float32':
      return Math.fround(Number(value))
    case 'float64':
      return Number(value)
  }
}

/** Conversion between scalar types: float to int truncates and saturates, NaN gives 0. */
export function castScalar(value: Num, from: ScalarType, to: ScalarType): Num {
  // Not `value ? 1 : 0`: NaN is not zero.
  if (to === 'bool') return Number(value) === 0 ? 0 : 1
  const fromFloat = from === 'float32' || from === 'float64'
  if (to === 'int32' && fromFloat) return saturate(value as number, -(2 ** 31), 2 ** 31 - 1)
  if (to === 'int64' && fromFloat) {
    const v = value as number
    if (v >= 2 ** 63) return 2n ** 63n - 1n
    return BigInt(saturate(v, -(2 ** 63), 2 ** 63))
  }
  if (to === 'int32') return Number(BigInt.asIntN(32, BigInt(value)))
  if (to === 'float32' && from === 'int64') return Math.fround(Number(roundToOdd(value as bigint)))
  return roundTo(value, to)
}

function saturate(value: number, min: number, max: number): number {
  return Number.isNaN(value) ? 0 : Math.trunc(Math.min(max, Math.max(min, value))) + 0
}

/** `value` with at most 53 significant bits, the last of which is set if any were lost: rounding it again rounds correctly. */
function roundToOdd(value: bigint): bigint {
  if (BigInt.asIntN(53, value) === value) return value
  const high = (value >> 11n) << 11n
  return high === value ? value : high | (1n << 11n)
}

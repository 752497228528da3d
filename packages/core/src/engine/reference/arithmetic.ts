import { type DType, dtypeInfo, isFloat } from '../../dtype.ts'
import type { Operand, RoutineAttrs } from '../routine.ts'
import { type ScalarType, scalarTypeOf } from '../scalar.ts'
import { castScalar, type Num } from './storage.ts'

/** An operand read into row-major order, its values in the dtype's scalar type. */
export interface Dense {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly values: readonly Num[]
}

/** What a routine means: the dense values of each output, which are rounded to the output's dtype when they are stored. */
export type RoutineMeaning<N extends keyof RoutineAttrs> = (
  attrs: RoutineAttrs[N],
  inputs: readonly Dense[],
  outputs: readonly Operand[],
) => readonly (readonly Num[])[]

type Combine = (a: Num, b: Num) => Num

interface Arithmetic {
  readonly zero: Num
  readonly add: Combine
  readonly mul: Combine
  /** NaN if either operand is. */
  readonly max: Combine
  readonly min: Combine
}

const combine = <T extends Num>(f: (a: T, b: T) => T) => f as unknown as Combine

/* @__NO_SIDE_EFFECTS__ */
const onNumbers = (add: (a: number, b: number) => number, mul: (a: number, b: number) => number): Arithmetic => ({
  zero: 0,
  add: combine(add),
  mul: combine(mul),
  max: combine<number>(Math.max),
  min: combine<number>(Math.min),
})

/* @__NO_SIDE_EFFECTS__ */
const onBigints = (add: (a: bigint, b: bigint) => bigint, mul: (a: bigint, b: bigint) => bigint): Arithmetic => ({
  zero: 0n,
  add: combine(add),
  mul: combine(mul),
  max: (a, b) => (a > b ? a : b),
  min: (a, b) => (a < b ? a : b),
})

const double = onNumbers(
  (a, b) => a + b,
  (a, b) => a * b,
)

/**
 * Arithmetic inside routines. Floats of every width compute in double precision, so that a result is rounded only once, as it
 * is stored. Integers wrap. On bools `add` is "or" and `mul` is "and", so a matmul of bools tells reachability, like NumPy's.
 */
const arithmetic = {
  float64: double,
  float32: double,
  int32: onNumbers((a, b) => (a + b) | 0, Math.imul),
  int64: onBigints(
    (a, b) => BigInt.asIntN(64, a + b),
    (a, b) => BigInt.asIntN(64, a * b),
  ),
  bool: onNumbers(Math.max, Math.min),
} as const satisfies Record<ScalarType, Arithmetic>

export const arithmeticOf = (dtype: DType): Arithmetic => arithmetic[scalarTypeOf[dtype]]

/** The operand's values, converted to the scalar type of `dtype`. */
export function valuesAs(x: Dense, dtype: DType): readonly Num[] {
  const from = scalarTypeOf[x.dtype]
  const to = scalarTypeOf[dtype]
  return from === to ? x.values : x.values.map((v) => castScalar(v, from, to))
}

/** The least value that `dtype` holds: what the maximum of nothing is. */
export function lowest(dtype: DType): Num {
  if (isFloat(dtype)) return Number.NEGATIVE_INFINITY
  return dtype === 'int64' ? BigInt(dtypeInfo.int64.min) : dtypeInfo[dtype].min
}

/** Ascending order in which NaN is the largest value and equal to itself. */
export function compareNaNLast(a: Num, b: Num): number {
  if (a < b) return -1
  if (a > b) return 1
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
}

import { type DType, roundHalfEven } from '../dtype.ts'

/**
 * The types that scalar code computes in. Narrow storage types widen on load and narrow on store: uint8 and int8 compute
 * as int32, float16 and bfloat16 as float32.
 */
export type ScalarType = 'bool' | 'int32' | 'int64' | 'float32' | 'float64'

export const scalarTypeOf = {
  bool: 'bool',
  uint8: 'int32',
  int8: 'int32',
  int32: 'int32',
  int64: 'int64',
  float16: 'float32',
  bfloat16: 'float32',
  float32: 'float32',
  float64: 'float64',
} as const satisfies Record<DType, ScalarType>

export const isFloatScalar = (t: ScalarType): boolean => t === 'float32' || t === 'float64'

type Domain = 'float' | 'int' | 'bool' | 'number' | 'any' | 'bits'

/**
 * One scalar instruction: which operands it takes, what it gives and what it means. The meaning is executable: the
 * reference engine is nothing but these functions. An engine that emits code has one line an instruction in an exhaustive
 * map of its own.
 */
export interface ScalarInstruction {
  arity: 1 | 2 | 3
  /** Operand types it is defined on: `number` is int and float, `bits` is int and bool. */
  domain: Domain
  /** `same`: the operand type; `bool`: a truth value. */
  result: 'same' | 'bool'
  /** Meaning on floats (the caller rounds to float32 where that is the type); bools are 0 and 1. */
  float?: (...args: number[]) => number
  /** Meaning on int32, where it differs from `float` (the caller wraps to 32 bits). */
  int32?: (...args: number[]) => number
  /** Meaning on int64 (the caller wraps to 64 bits). */
  int64?: (...args: bigint[]) => bigint | number
}

const max64 = (a: bigint, b: bigint) => (a > b ? a : b)
const min64 = (a: bigint, b: bigint) => (a < b ? a : b)
const unary = (float: (x: number) => number) => ({ arity: 1, domain: 'float', result: 'same', float }) as const
const compare = (float: (a: number, b: number) => boolean, int64: (a: bigint, b: bigint) => boolean) =>
  ({
    arity: 2,
    domain: 'any',
    result: 'bool',
    float: (a: number, b: number) => Number(float(a, b)),
    int64: (a: bigint, b: bigint) => Number(int64(a, b)),
  }) as const

/** Every scalar instruction, by name. Integer division by zero gives 0; shifts take the amount modulo the width. */
export const scalarOps = {
  add: { arity: 2, domain: 'number', result: 'same', float: (a, b) => a + b, int64: (a, b) => a + b },
  sub: { arity: 2, domain: 'number', result: 'same', float: (a, b) => a - b, int64: (a, b) => a - b },
  mul: { arity: 2, domain: 'number', result: 'same', float: (a, b) => a * b, int32: Math.imul, int64: (a, b) => a * b },
  /** Quotient; on integers truncated towards zero. */
  div: {
    arity: 2,
    domain: 'number',
    result: 'same',
    float: (a, b) => a / b,
    int32: (a, b) => (b === 0 ? 0 : Math.trunc(a / b)),
    int64: (a, b) => (b === 0n ? 0n : a / b),
  },
  /** Remainder with the sign of the dividend. */
  rem: {
    arity: 2,
    domain: 'number',
    result: 'same',
    float: (a, b) => a % b,
    int32: (a, b) => (b === 0 ? 0 : a % b),
    int64: (a, b) => (b === 0n ? 0n : a % b),
  },
  /** NaN if either operand is. */
  max: { arity: 2, domain: 'any', result: 'same', float: Math.max, int64: max64 },
  min: { arity: 2, domain: 'any', result: 'same', float: Math.min, int64: min64 },
  pow: { arity: 2, domain: 'float', result: 'same', float: pow },
  atan2: { arity: 2, domain: 'float', result: 'same', float: Math.atan2 },

  neg: { arity: 1, domain: 'number', result: 'same', float: (x) => -x, int64: (x) => -x },
  abs: { arity: 1, domain: 'number', result: 'same', float: Math.abs, int64: (x) => (x < 0n ? -x : x) },
  sqrt: unary(Math.sqrt),
  floor: unary(Math.floor),
  ceil: unary(Math.ceil),
  trunc: unary(Math.trunc),
  /** To the nearest integer, ties to even. */
  round: unary(roundHalfEven),
  exp: unary(Math.exp),
  expm1: unary(Math.expm1),
  log: unary(Math.log),
  log1p: unary(Math.log1p),
  sin: unary(Math.sin),
  cos: unary(Math.cos),
  tan: unary(Math.tan),
  atan: unary(Math.atan),
  tanh: unary(Math.tanh),

  eq: compare((a, b) => a === b, (a, b) => a === b),
  ne: compare((a, b) => a !== b, (a, b) => a !== b),
  lt: compare((a, b) => a < b, (a, b) => a < b),
  le: compare((a, b) => a <= b, (a, b) => a <= b),
  gt: compare((a, b) => a > b, (a, b) => a > b),
  ge: compare((a, b) => a >= b, (a, b) => a >= b),

  and: { arity: 2, domain: 'bits', result: 'same', int32: (a, b) => a & b, int64: (a, b) => a & b },
  or: { arity: 2, domain: 'bits', result: 'same', int32: (a, b) => a | b, int64: (a, b) => a | b },
  xor: { arity: 2, domain: 'bits', result: 'same', int32: (a, b) => a ^ b, int64: (a, b) => a ^ b },
  shl: { arity: 2, domain: 'int', result: 'same', int32: (a, b) => a << b, int64: (a, b) => a << (b & 63n) },
  /** Arithmetic shift right. */
  shr: { arity: 2, domain: 'int', result: 'same', int32: (a, b) => a >> b, int64: (a, b) => a >> (b & 63n) },
  /** Logical shift right. */
  shru: { arity: 2, domain: 'int', result: 'same', int32: (a, b) => a >>> b, int64: (a, b) => BigInt.asUintN(64, a) >> (b & 63n) },
} as const satisfies Record<string, ScalarInstruction>

export type ScalarOp = keyof typeof scalarOps

/** IEEE pow: unlike JavaScript, `1 ** NaN` and `(±1) ** ±Infinity` are 1. */
function pow(a: number, b: number): number {
  if (a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY)) return 1
  return a ** b
}

/** Whether `op` is defined on operands of `type`. */
export function inDomain(op: ScalarOp, type: ScalarType): boolean {
  switch (scalarOps[op].domain as Domain) {
    case 'any':
      return true
    case 'float':
      return isFloatScalar(type)
    case 'int':
      return type === 'int32' || type === 'int64'
    case 'bool':
      return type === 'bool'
    case 'number':
      return type !== 'bool'
    case 'bits':
      return !isFloatScalar(type)
  }
}

/** How a reduction combines values. `argmax` and `argmin` give the first position of the extremum in row-major order. */
export const combiners = ['sum', 'prod', 'max', 'min', 'and', 'or', 'argmax', 'argmin'] as const
export type Combiner = (typeof combiners)[number]

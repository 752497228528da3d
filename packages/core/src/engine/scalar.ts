import { type DType, roundHalfEven } from '../dtype.ts'
import type { KernelBuilder, Value } from './kernel.ts'

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

/** The scalar instructions, by name. */
export const scalarOpNames = [
  ...(['add', 'sub', 'mul', 'div', 'rem', 'max', 'min', 'pow', 'atan2'] as const),
  ...(['neg', 'abs', 'sqrt', 'floor', 'ceil', 'trunc', 'round'] as const),
  ...(['exp', 'expm1', 'log', 'log1p', 'sin', 'cos', 'tan', 'atan', 'tanh'] as const),
  ...(['eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const),
  ...(['and', 'or', 'xor', 'shl', 'shr', 'shru'] as const),
] as const
export type ScalarOp = (typeof scalarOpNames)[number]

/** Adjoints of an instruction's operands from the adjoint `g` of its result `y`; undefined where it is zero. */
type Derivative = (k: KernelBuilder, g: Value, y: Value, ...operands: Value[]) => readonly (Value | undefined)[]

/**
 * One scalar instruction: which operands it takes, what it gives, what it means and its derivative. The meaning is
 * executable: the reference engine is nothing but these functions. An engine that emits code has one line an instruction in
 * an exhaustive map of its own. With the derivatives, every op that is written in scalar code has gradients of any order.
 */
export interface ScalarInstruction {
  readonly arity: 1 | 2
  /** Operand types it is defined on: `number` is int and float, `bits` is int and bool. */
  readonly domain: Domain
  /** `same`: the operand type; `bool`: a truth value. */
  readonly result: 'same' | 'bool'
  /** Meaning on floats (the caller rounds to float32 where that is the type); bools are 0 and 1. */
  readonly float?: (...args: number[]) => number
  /** Meaning on int32, where it differs from `float` (the caller wraps to 32 bits). */
  readonly int32?: (...args: number[]) => number
  /** Meaning on int64 (the caller wraps to 64 bits). */
  readonly int64?: (...args: bigint[]) => bigint | number
  /** Absent where it is zero everywhere that it exists. */
  readonly derivative?: Derivative
  /** Additions and multiplications of a float32 that an engine which emits code gets by with, a multiply-add being two; 1 if not said. */
  readonly work?: number
}

const arithmetic = (
  float: (a: number, b: number) => number,
  int64: (a: bigint, b: bigint) => bigint,
  derivative: Derivative,
): ScalarInstruction => ({
  arity: 2,
  domain: 'number',
  result: 'same',
  float: float as (...args: number[]) => number,
  int64: int64 as (...args: bigint[]) => bigint,
  derivative,
})
const unary = (float: (x: number) => number, derivative?: Derivative): ScalarInstruction => ({
  arity: 1,
  domain: 'float',
  result: 'same',
  float: float as (...args: number[]) => number,
  ...(derivative && { derivative }),
})
/** A function that is computed by a polynomial or the like. */
const workOf = (work: number, instruction: ScalarInstruction): ScalarInstruction => ({ ...instruction, work })
const compare = (float: (a: number, b: number) => boolean, int64: (a: bigint, b: bigint) => boolean): ScalarInstruction => ({
  arity: 2,
  domain: 'any',
  result: 'bool',
  float: (a, b) => Number(float(a!, b!)),
  int64: (a, b) => Number(int64(a!, b!)),
})
const bits = (
  domain: 'bits' | 'int',
  int32: (a: number, b: number) => number,
  int64: (a: bigint, b: bigint) => bigint,
): ScalarInstruction => ({
  arity: 2,
  domain,
  result: 'same',
  int32: int32 as (...args: number[]) => number,
  int64: int64 as (...args: bigint[]) => bigint,
})

const zero = (k: KernelBuilder, like: Value): Value => k.like(like, 0)

/** The adjoint goes to the operand that was picked; half of it to each where they are equal, as PyTorch does. */
const pick =
  (wins: 'gt' | 'lt'): Derivative =>
  (k, g, _, a, b) => {
    const half = k.mul(g, k.like(g, 0.5))
    const share = (x: Value, y: Value) => k.select(k[wins](x, y), g, k.select(k.eq(x, y), half, zero(k, g)))
    return [share(a!, b!), share(b!, a!)]
  }

/** Every scalar instruction. Integer division by zero gives 0; shifts take the amount modulo the width. */
export const scalarOps: Readonly<Record<ScalarOp, ScalarInstruction>> = {
  add: arithmetic(
    (a, b) => a + b,
    (a, b) => a + b,
    (_, g) => [g, g],
  ),
  sub: arithmetic(
    (a, b) => a - b,
    (a, b) => a - b,
    (k, g) => [g, k.neg(g)],
  ),
  mul: {
    ...arithmetic(
      (a, b) => a * b,
      (a, b) => a * b,
      (k, g, _, a, b) => [k.mul(g, b!), k.mul(g, a!)],
    ),
    int32: Math.imul as (...args: number[]) => number,
  },
  /** Quotient; on integers truncated towards zero. */
  div: {
    ...arithmetic(
      (a, b) => a / b,
      (a, b) => (b === 0n ? 0n : a / b),
      (k, g, y, _, b) => [k.div(g, b!), k.neg(k.div(k.mul(g, y), b!))],
    ),
    int32: (a, b) => (b === 0 ? 0 : Math.trunc(a! / b!)),
  },
  /** Remainder with the sign of the dividend. */
  rem: {
    ...arithmetic(
      (a, b) => a % b,
      (a, b) => (b === 0n ? 0n : a % b),
      (k, g, _, a, b) => [g, k.neg(k.mul(g, k.trunc(k.div(a!, b!))))],
    ),
    int32: (a, b) => (b === 0 ? 0 : a! % b!),
  },
  /** NaN if either operand is. */
  max: { ...arithmetic(Math.max, (a, b) => (a > b ? a : b), pick('gt')), domain: 'any' },
  min: { ...arithmetic(Math.min, (a, b) => (a < b ? a : b), pick('lt')), domain: 'any' },
  pow: {
    arity: 2,
    domain: 'float',
    result: 'same',
    work: 131,
    float: (a, b) => pow(a!, b!),
    derivative: (k, g, y, a, b) => [
      k.select(k.eq(b!, zero(k, b!)), zero(k, g), k.mul(g, k.mul(b!, k.pow(a!, k.sub(b!, k.like(b!, 1)))))),
      k.select(k.eq(y, zero(k, y)), zero(k, g), k.mul(g, k.mul(y, k.log(a!)))),
    ],
  },
  atan2: {
    arity: 2,
    domain: 'float',
    result: 'same',
    work: 28,
    float: (a, b) => Math.atan2(a!, b!),
    derivative: (k, g, _, a, b) => {
      const norm = k.add(k.mul(a!, a!), k.mul(b!, b!))
      return [k.div(k.mul(g, b!), norm), k.neg(k.div(k.mul(g, a!), norm))]
    },
  },

  neg: {
    ...unary(
      (x) => -x,
      (k, g) => [k.neg(g)],
    ),
    domain: 'number',
    int64: (x) => -x!,
  },
  abs: {
    ...unary(Math.abs, (k, g, _, x) => [k.select(k.gt(x!, zero(k, x!)), g, k.select(k.lt(x!, zero(k, x!)), k.neg(g), k.mul(g, x!)))]),
    domain: 'number',
    int64: (x) => (x! < 0n ? -x! : x!),
  },
  sqrt: unary(Math.sqrt, (k, g, y) => [k.div(g, k.add(y, y))]),
  floor: unary(Math.floor),
  ceil: unary(Math.ceil),
  trunc: unary(Math.trunc),
  /** To the nearest integer, ties to even. */
  round: unary(roundHalfEven),
  exp: workOf(
    23,
    unary(Math.exp, (k, g, y) => [k.mul(g, y)]),
  ),
  expm1: workOf(
    34,
    unary(Math.expm1, (k, g, y) => [k.add(k.mul(g, y), g)]),
  ),
  log: workOf(
    32,
    unary(Math.log, (k, g, _, x) => [k.div(g, x!)]),
  ),
  log1p: workOf(
    39,
    unary(Math.log1p, (k, g, _, x) => [k.div(g, k.add(x!, k.like(x!, 1)))]),
  ),
  sin: workOf(
    41,
    unary(Math.sin, (k, g, _, x) => [k.mul(g, k.cos(x!))]),
  ),
  cos: workOf(
    40,
    unary(Math.cos, (k, g, _, x) => [k.neg(k.mul(g, k.sin(x!)))]),
  ),
  tan: workOf(
    42,
    unary(Math.tan, (k, g, y) => [k.add(g, k.mul(g, k.mul(y, y)))]),
  ),
  atan: workOf(
    17,
    unary(Math.atan, (k, g, _, x) => [k.div(g, k.add(k.mul(x!, x!), k.like(x!, 1)))]),
  ),
  tanh: workOf(
    29,
    unary(Math.tanh, (k, g, y) => [k.sub(g, k.mul(g, k.mul(y, y)))]),
  ),

  eq: compare(
    (a, b) => a === b,
    (a, b) => a === b,
  ),
  ne: compare(
    (a, b) => a !== b,
    (a, b) => a !== b,
  ),
  lt: compare(
    (a, b) => a < b,
    (a, b) => a < b,
  ),
  le: compare(
    (a, b) => a <= b,
    (a, b) => a <= b,
  ),
  gt: compare(
    (a, b) => a > b,
    (a, b) => a > b,
  ),
  ge: compare(
    (a, b) => a >= b,
    (a, b) => a >= b,
  ),

  and: bits(
    'bits',
    (a, b) => a & b,
    (a, b) => a & b,
  ),
  or: bits(
    'bits',
    (a, b) => a | b,
    (a, b) => a | b,
  ),
  xor: bits(
    'bits',
    (a, b) => a ^ b,
    (a, b) => a ^ b,
  ),
  shl: bits(
    'int',
    (a, b) => a << b,
    (a, b) => a << (b & 63n),
  ),
  /** Arithmetic shift right. */
  shr: bits(
    'int',
    (a, b) => a >> b,
    (a, b) => a >> (b & 63n),
  ),
  /** Logical shift right. */
  shru: bits(
    'int',
    (a, b) => a >>> b,
    (a, b) => BigInt.asUintN(64, a) >> (b & 63n),
  ),
}

/** IEEE pow: unlike JavaScript, `1 ** NaN` and `(±1) ** ±Infinity` are 1. */
function pow(a: number, b: number): number {
  if (a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY)) return 1
  return a ** b
}

/** Whether `op` is defined on operands of `type`. */
export function inDomain(op: ScalarOp, type: ScalarType): boolean {
  switch (scalarOps[op].domain) {
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

const free = new Set(['const', 'param', 'index', 'load', 'gather', 'cast', 'narrow'])

/** Additions and multiplications of one node of a kernel; loads and conversions count as none. */
export const workOfNode = ({ op }: { readonly op: string }): number =>
  free.has(op) ? 0 : op in scalarOps ? (scalarOps[op as ScalarOp].work ?? 1) : 1

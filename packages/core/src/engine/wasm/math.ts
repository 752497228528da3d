import type { ScalarOp } from '../scalar.ts'
import type { Expression, VectorCode } from './vector-code.ts'

/**
 * Elementary functions on four float32 lanes, correct to 3 units in the last place over the whole range, infinities, NaNs,
 * subnormals and signed zeros included.
 *
 * Polynomials for log, sin, cos and atan: S. L. Moshier, Cephes Mathematical Library 2.2, single precision (logf.c,
 * sinf.c, atanf.c). Constants of the argument reduction by pi/2: Sun's fdlibm, e_rem_pio2.c.
 *
 * Arguments are expressions that may be evaluated repeatedly: pass what was kept.
 */

/** ln 2 in two parts; the first has few bits, so small integers times it are exact. */
const LN2_HI = 0.693359375
const LN2_LO = -2.1219444e-4
/** Adding it to a float rounds that to an integer, which then stands in the low bits. */
const ROUNDER = 12582912
const ROUNDER_BITS = 0x4b400000
/** (exp(r) - 1 - r) / r², by Remez' algorithm for |r| <= 0.3475: exp(r) to 2^-28. */
const EXP = [1.3814224e-3, 8.368898e-3, 4.1668404e-2, 1.666652e-1, 4.9999994e-1]
const LOG = [
  7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1,
  3.3333331174e-1,
]
const SIN = [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1]
const COS = [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2]
const ATAN = [8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1]
const SIGN = -(2 ** 31)

const abs = (c: VectorCode, x: Expression) => c.op('f32x4.abs', x)
const add = (c: VectorCode, a: Expression, b: Expression) => c.op('f32x4.add', a, b)
const sub = (c: VectorCode, a: Expression, b: Expression) => c.op('f32x4.sub', a, b)
const mul = (c: VectorCode, a: Expression, b: Expression) => c.op('f32x4.mul', a, b)
const div = (c: VectorCode, a: Expression, b: Expression) => c.op('f32x4.div', a, b)
/** `magnitude`, which is not negative, with the sign of `x`. */
const withSign = (c: VectorCode, magnitude: Expression, x: Expression) => c.op('v128.or', magnitude, c.op('v128.and', x, c.i32(SIGN)))

/** x = n ln 2 + r with |r| <= ln 2 / 2. Gives n as integers, exp(r) - 1, and integers with n + `bias` in their low bits. */
function splitExponent(c: VectorCode, x: Expression, bias = 0) {
  const shifted = c.keep(c.madd(x, c.f32(Math.LOG2E), c.f32(ROUNDER + bias)))
  const n = c.keep(sub(c, shifted, c.f32(ROUNDER + bias)))
  const r = c.keep(c.nmadd(n, c.f32(LN2_LO), c.nmadd(n, c.f32(LN2_HI), x)))
  const square = c.keep(mul(c, r, r))
  // By Estrin's scheme: a shorter chain of multiply-adds than Horner's, and no more of them.
  const [c4, c3, c2, c1, c0] = EXP.map((x) => c.f32(x)) as [Expression, Expression, Expression, Expression, Expression]
  const low = c.keep(c.madd(r, c1, c0))
  const high = c.madd(square, c4, c.madd(r, c3, c2))
  const excess = c.madd(c.madd(high, square, low), square, r)
  return { n: c.op('i32x4.sub', shifted, c.i32(ROUNDER_BITS)), biased: shifted, excess }
}

/** 2^n for integers n from -127 (which gives 0) to 127. */
const powerOfTwo = (c: VectorCode, n: Expression) => c.shift('i32x4.shl', c.op('i32x4.add', n, c.i32(127)), 23)

/** x 2^n, rounded once, where the result may be subnormal or infinite. */
function scale(c: VectorCode, x: Expression, n: Expression): Expression {
  const half = c.keep(c.shift('i32x4.shr_s', n, 1))
  return mul(c, mul(c, x, powerOfTwo(c, half)), powerOfTwo(c, c.op('i32x4.sub', n, half)))
}

function exp(c: VectorCode, x: Expression): Expression {
  // pmin and pmax in this order let NaN pass.
  const clamped = c.keep(c.op('f32x4.pmax', c.op('f32x4.pmin', x, c.f32(89)), c.f32(-104)))
  const { n, excess } = splitExponent(c, clamped)
  return scale(c, c.keep(add(c, excess, c.f32(1))), c.keep(n))
}

/** exp of what is at most 0: no exponent is too large for 2^24 times the result to be a normal number. */
export function expOfNonPositive(c: VectorCode, x: Expression): Expression {
  const HEADROOM = 24
  const clamped = c.keep(c.op('f32x4.pmax', x, c.f32(-104)))
  const { biased, excess } = splitExponent(c, clamped, 127 + HEADROOM)
  const power = c.keep(c.shift('i32x4.shl', biased, 23))
  return mul(c, c.madd(c.keep(excess), power, power), c.f32(2 ** -HEADROOM))
}

function expm1(c: VectorCode, x: Expression): Expression {
  const clamped = c.keep(c.op('f32x4.pmax', c.op('f32x4.pmin', x, c.f32(89)), c.f32(-18)))
  const split = splitExponent(c, clamped)
  const excess = c.keep(split.excess)
  const n = c.keep(split.n)
  // 2^n (excess + 1 - 2^-n). Beyond n = 127 the last term is nothing.
  const inverse = c.shift('i32x4.shl', c.op('i32x4.max_s', c.op('i32x4.sub', c.i32(127), n), c.i32(0)), 23)
  return withSign(c, scale(c, c.keep(add(c, excess, sub(c, c.f32(1), inverse))), n), x)
}

function tanh(c: VectorCode, x: Expression): Expression {
  // tanh |x| = t / (t + 2) with t = exp(2 |x|) - 1; it is 1 from 10 on.
  const doubled = c.keep(c.op('f32x4.pmin', abs(c, add(c, x, x)), c.f32(20)))
  const { n, excess } = splitExponent(c, doubled)
  const power = c.keep(powerOfTwo(c, n))
  const t = c.keep(c.madd(excess, power, sub(c, power, c.f32(1))))
  return withSign(c, div(c, t, add(c, t, c.f32(2))), x)
}

/** log of normal positive numbers, `bits` being their bits; `exponents` is added to their exponents. */
function logOfNormal(c: VectorCode, bits: Expression, exponents?: Expression): Expression {
  const SQRT_HALF = 0x3f3504f3
  const above = c.keep(c.op('i32x4.sub', bits, c.i32(SQRT_HALF)))
  const exponent = c.op('f32x4.convert_i32x4_s', c.shift('i32x4.shr_s', above, 23))
  const e = c.keep(exponents ? add(c, exponent, exponents) : exponent)
  const mantissa = c.op('i32x4.sub', bits, c.op('v128.and', above, c.i32(-(2 ** 23))))
  const x = c.keep(sub(c, mantissa, c.f32(1)))
  const z = c.keep(mul(c, x, x))
  const tail = c.madd(mul(c, x, z), c.polynomial(x, LOG), mul(c, e, c.f32(LN2_LO)))
  return c.madd(e, c.f32(LN2_HI), add(c, x, c.nmadd(z, c.f32(0.5), tail)))
}

/** Anything but a normal positive number. */
const notNormal = (c: VectorCode, x: Expression) => c.op('i32x4.ge_u', c.op('i32x4.sub', x, c.i32(0x00800000)), c.i32(0x7f000000))

function log(c: VectorCode, x: Expression): Expression {
  const result = c.hold(logOfNormal(c, x))
  c.any(notNormal(c, x))()
  c.f.if(() => c.set(result, c.outOfLine('logOfAny', logOfAny, x)))
  return c.read(result)
}

function logOfAny(c: VectorCode, x: Expression): Expression {
  const subnormal = c.keep(c.op('f32x4.lt', x, c.f32(2 ** -126)))
  const scaled = c.keep(c.where(subnormal, mul(c, x, c.f32(2 ** 23)), x))
  const result = logOfNormal(c, scaled, c.op('v128.and', subnormal, c.f32(-23)))
  const finite = c.where(c.op('f32x4.lt', x, c.f32(Number.POSITIVE_INFINITY)), result, x)
  const notNegative = c.where(c.op('f32x4.lt', x, c.f32(0)), c.f32(Number.NaN), finite)
  return c.where(c.op('f32x4.eq', x, c.f32(0)), c.f32(Number.NEGATIVE_INFINITY), notNegative)
}

function log1p(c: VectorCode, x: Expression): Expression {
  const u = c.keep(add(c, c.f32(1), x))
  // What rounding took from 1 + x, relative to it.
  const lost = div(c, sub(c, x, sub(c, u, c.f32(1))), u)
  const result = c.hold(withSign(c, add(c, logOfNormal(c, u), lost), x))
  c.any(notNormal(c, u))()
  c.f.if(() => {
    // Below -1, at it, and beyond the largest number there is nothing to correct.
    const special = c.keep(notNormal(c, u))
    c.set(result, c.where(special, c.outOfLine('logOfAny', logOfAny, u), c.read(result)))
  })
  return c.read(result)
}

/** x - n pi/2 in float64, n being the nearest integer, and n as integers. For |x| < 2^20. */
function reduceQuarters(c: VectorCode, x: Expression) {
  const half = (h: Expression) => {
    const wide = c.keep(c.op('f64x2.promote_low_f32x4', h))
    const n = c.keep(c.op('f64x2.nearest', c.op('f64x2.mul', wide, c.splat('f64x2', 2 / Math.PI))))
    const first = c.op('f64x2.sub', wide, c.op('f64x2.mul', n, c.splat('f64x2', 1.57079632673412561417)))
    const r = c.op('f64x2.sub', first, c.op('f64x2.mul', n, c.splat('f64x2', 6.07710050650619224932e-11)))
    return { r: c.keep(c.op('f32x4.demote_f64x2_zero', r)), n: c.keep(c.op('i32x4.trunc_sat_f64x2_s_zero', n)) }
  }
  const low = half(x)
  const high = half(upperHalf(c, x))
  return { r: c.keep(joinHalves(c, low.r, high.r)), n: c.keep(joinHalves(c, low.n, high.n)) }
}

const upperHalf = (c: VectorCode, x: Expression) =>
  c.keep(() => {
    x()
    x()
    c.f.shuffle32(2, 3, 2, 3)
  })

const joinHalves = (c: VectorCode, low: Expression, high: Expression) => () => {
  low()
  high()
  c.f.shuffle32(0, 1, 4, 5)
}

/** Sine and cosine of |r| <= pi/4. */
function sineAndCosine(c: VectorCode, r: Expression) {
  const z = c.keep(mul(c, r, r))
  const sine = c.keep(c.madd(mul(c, c.polynomial(z, SIN), z), r, r))
  const cosine = c.madd(mul(c, c.polynomial(z, COS), z), z, c.nmadd(z, c.f32(0.5), c.f32(1)))
  return { sine, cosine: c.keep(cosine) }
}

/** `small` where |x| is small enough for the reduction, else the lanes from `Math`. */
function unlessHuge(c: VectorCode, name: 'sin' | 'cos' | 'tan', x: Expression, small: Expression): Expression {
  const result = c.hold(small)
  c.any(c.op('v128.not', c.op('f32x4.le', abs(c, x), c.f32(2 ** 20))))()
  c.f.if(() => c.set(result, byLane(c, name, x)))
  return c.read(result)
}

/** `Math[name]` of each float32 lane. */
function byLane(c: VectorCode, name: string, x: Expression): Expression {
  return c.build('float32', (lane) => {
    c.extract('float32', x, lane)()
    c.f.op('f64.promote_f32')
    c.f.call(c.context.math.get(name)!)
    c.f.op('f32.demote_f64')
  })
}

/** Sine of quarter `n` of a turn plus r. */
function sineOfQuarter(c: VectorCode, n: Expression, r: Expression): Expression {
  const { sine, cosine } = sineAndCosine(c, r)
  const odd = c.op('i32x4.ne', c.op('v128.and', n, c.i32(1)), c.i32(0))
  const flip = c.shift('i32x4.shl', c.op('v128.and', n, c.i32(2)), 30)
  return c.op('v128.xor', c.where(odd, cosine, sine), flip)
}

/** Where sin x and tan x are x; also keeps the sign of zero. */
const tiny = (c: VectorCode, x: Expression) => c.op('f32x4.lt', abs(c, x), c.f32(2 ** -13))

function sin(c: VectorCode, x: Expression): Expression {
  const { n, r } = reduceQuarters(c, x)
  return unlessHuge(c, 'sin', x, c.where(tiny(c, x), x, sineOfQuarter(c, n, r)))
}

function cos(c: VectorCode, x: Expression): Expression {
  const { n, r } = reduceQuarters(c, x)
  return unlessHuge(c, 'cos', x, sineOfQuarter(c, c.keep(c.op('i32x4.add', n, c.i32(1))), r))
}

function tan(c: VectorCode, x: Expression): Expression {
  const { n, r } = reduceQuarters(c, x)
  const { sine, cosine } = sineAndCosine(c, r)
  const odd = c.keep(c.op('i32x4.ne', c.op('v128.and', n, c.i32(1)), c.i32(0)))
  const numerator = c.where(odd, c.op('f32x4.neg', cosine), sine)
  return unlessHuge(c, 'tan', x, c.where(tiny(c, x), x, div(c, numerator, c.where(odd, sine, cosine))))
}

/** Arc tangent of |x| <= tan(pi/8). */
function atanOfSmall(c: VectorCode, x: Expression): Expression {
  const z = c.keep(mul(c, x, x))
  return c.madd(mul(c, c.polynomial(z, ATAN), z), x, x)
}

function atan(c: VectorCode, x: Expression): Expression {
  const a = c.keep(abs(c, x))
  const large = c.keep(c.op('f32x4.gt', a, c.f32(2.414213562373095)))
  const middle = c.keep(c.op('f32x4.gt', a, c.f32(0.414213562373095)))
  const numerator = c.where(large, c.f32(-1), c.where(middle, sub(c, a, c.f32(1)), a))
  const denominator = c.where(large, a, c.where(middle, add(c, a, c.f32(1)), c.f32(1)))
  const start = c.where(large, c.f32(Math.PI / 2), c.op('v128.and', middle, c.f32(Math.PI / 4)))
  const t = c.keep(div(c, numerator, denominator))
  return withSign(c, add(c, start, atanOfSmall(c, t)), x)
}

function atan2(c: VectorCode, y: Expression, x: Expression): Expression {
  const ax = c.keep(abs(c, x))
  const ay = c.keep(abs(c, y))
  const larger = c.keep(c.op('f32x4.max', ax, ay))
  const smaller = c.keep(c.op('f32x4.min', ax, ay))
  // 0 / 0 counts as 0 and infinity / infinity as 1.
  const quotient = c.keep(div(c, smaller, c.where(c.op('f32x4.eq', larger, c.f32(0)), c.f32(1), larger)))
  const t = c.keep(c.where(c.op('f32x4.eq', smaller, c.f32(Number.POSITIVE_INFINITY)), c.f32(1), quotient))
  const middle = c.keep(c.op('f32x4.gt', t, c.f32(0.414213562373095)))
  const reduced = c.keep(c.where(middle, div(c, sub(c, t, c.f32(1)), add(c, t, c.f32(1))), t))
  const first = c.keep(add(c, c.op('v128.and', middle, c.f32(Math.PI / 4)), atanOfSmall(c, reduced)))
  const steep = c.where(c.op('f32x4.gt', ay, ax), reflect(c, Math.PI / 2, first), first)
  const right = c.keep(steep)
  return withSign(c, c.where(c.shift('i32x4.shr_s', x, 31), reflect(c, Math.PI, right), right), y)
}

/** angle - x, the angle in twice the precision. */
const reflect = (c: VectorCode, angle: number, x: Expression) =>
  add(c, c.f32(Math.fround(angle)), sub(c, c.f32(angle - Math.fround(angle)), x))

/** log2 |x| and 2^t by their series in float64; IEEE 754 section 9.2.1 for the special cases. */
function pow(c: VectorCode, x: Expression, y: Expression): Expression {
  const low = c.keep(powerOfHalf(c, x, y))
  const high = powerOfHalf(c, upperHalf(c, x), upperHalf(c, y))
  const magnitude = c.keep(joinHalves(c, low, c.keep(high)))
  const infinity = c.f32(Number.POSITIVE_INFINITY)
  const halfY = c.keep(mul(c, y, c.f32(0.5)))
  const whole = c.keep(c.op('f32x4.eq', c.op('f32x4.trunc', y), y))
  const even = c.op('f32x4.eq', c.op('f32x4.trunc', halfY), halfY)
  const odd = c.op('v128.andnot', whole, even)
  const signed = c.op('v128.xor', magnitude, c.op('v128.and', c.op('v128.and', x, c.i32(SIGN)), odd))
  const negative = c.op('v128.and', c.op('f32x4.lt', x, c.f32(0)), c.op('f32x4.gt', x, c.f32(Number.NEGATIVE_INFINITY)))
  const undefinedHere = c.op('v128.andnot', c.op('v128.and', negative, c.op('f32x4.eq', y, y)), whole)
  const result = c.keep(c.where(undefinedHere, c.f32(Number.NaN), signed))
  const minusOne = c.op('v128.and', c.op('f32x4.eq', x, c.f32(-1)), c.op('f32x4.eq', abs(c, y), infinity))
  const one = c.op('v128.or', c.op('v128.or', c.op('f32x4.eq', y, c.f32(0)), c.op('f32x4.eq', x, c.f32(1))), minusOne)
  return c.where(one, c.f32(1), result)
}

const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1))
/** atanh(s) / s in powers of s squared, for |s| <= 0.172: to 2^-42. */
const ATANH = [13, 11, 9, 7, 5, 3, 1].map((n) => 1 / n)
/** exp in powers of g, for |g| <= 0.347: to 2^-37. */
const EXP64 = [9, 8, 7, 6, 5, 4, 3, 2, 1, 0].map((n) => 1 / factorial(n))

/** |x|^y of the two low lanes. */
function powerOfHalf(c: VectorCode, x: Expression, y: Expression): Expression {
  const f64 = (value: number) => c.splat('f64x2', value)
  const infinity = f64(Number.POSITIVE_INFINITY)
  const SQRT_HALF = 0x3fe6a09e667f3bcdn
  const base = c.keep(c.op('f64x2.promote_low_f32x4', abs(c, x)))
  const above = c.keep(c.op('i64x2.sub', base, c.splat('i64x2', SQRT_HALF)))
  const exponent = c.keep(c.shift('i64x2.shr_s', above, 52))
  const mantissa = c.keep(c.op('i64x2.sub', base, c.shift('i64x2.shl', exponent, 52)))
  const s = c.keep(c.op('f64x2.div', c.op('f64x2.sub', mantissa, f64(1)), c.op('f64x2.add', mantissa, f64(1))))
  const series = c.op('f64x2.mul', s, c.polynomial(c.keep(c.op('f64x2.mul', s, s)), ATANH, 'f64x2'))
  const whole = c.op('f64x2.convert_low_i32x4_s', () => {
    exponent()
    exponent()
    c.f.shuffle32(0, 2, 0, 2)
  })
  const finite = c.madd(series, f64(2 / Math.LN2), whole, 'f64x2')
  const notNormal = c.where(c.op('f64x2.eq', base, f64(0)), f64(Number.NEGATIVE_INFINITY), base)
  const inRange = c.op('v128.and', c.op('f64x2.gt', base, f64(0)), c.op('f64x2.lt', base, infinity))
  const log2 = c.where(inRange, finite, notNormal)
  const t = c.keep(c.op('f64x2.mul', c.op('f64x2.promote_low_f32x4', y), log2))
  const clamped = c.keep(c.op('f64x2.pmax', c.op('f64x2.pmin', t, f64(200)), f64(-200)))
  const n = c.keep(c.op('f64x2.nearest', clamped))
  const g = c.keep(c.op('f64x2.mul', c.op('f64x2.sub', clamped, n), f64(Math.LN2)))
  const biased = c.op('i64x2.add', c.op('i64x2.extend_low_i32x4_s', c.op('i32x4.trunc_sat_f64x2_s_zero', n)), c.splat('i64x2', 1023))
  const power = c.shift('i64x2.shl', biased, 52)
  return c.op('f32x4.demote_f64x2_zero', c.op('f64x2.mul', c.polynomial(g, EXP64, 'f64x2'), power))
}

/** An instruction that `Math` has too: float64 lanes call it, float32 lanes have the polynomial. */
export interface MathFunction {
  readonly polynomial: (c: VectorCode, ...args: Expression[]) => Expression
  /** Short enough to stand in every place that uses it. */
  readonly inline?: boolean
  /** float32 lanes with huge arguments call `Math`. */
  readonly unlessHuge?: boolean
}

export const mathFunctions = {
  exp: { polynomial: exp, inline: true },
  expm1: { polynomial: expm1 },
  log: { polynomial: log, inline: true },
  log1p: { polynomial: log1p },
  sin: { polynomial: sin, unlessHuge: true },
  cos: { polynomial: cos, unlessHuge: true },
  tan: { polynomial: tan, unlessHuge: true },
  atan: { polynomial: atan },
  tanh: { polynomial: tanh, inline: true },
  atan2: { polynomial: atan2 as MathFunction['polynomial'] },
  pow: { polynomial: pow as MathFunction['polynomial'] },
} as const satisfies Partial<Record<ScalarOp, MathFunction>>

import type { KernelBuilder, Value } from '../engine/kernel.ts'

// Functions that engines have no instruction for, as scalar code.

/** `c0 + c1 x + c2 x² + ...` by Horner's rule. */
export function polynomial(k: KernelBuilder, x: Value, coefficients: readonly number[]): Value {
  let sum = k.like(x, coefficients.at(-1)!)
  for (let i = coefficients.length - 2; i >= 0; i--) sum = k.add(k.mul(sum, x), k.like(x, coefficients[i]!))
  return sum
}

export const one = (k: KernelBuilder, x: Value): Value => k.like(x, 1)
export const zero = (k: KernelBuilder, x: Value): Value => k.like(x, 0)
export const scaled = (k: KernelBuilder, x: Value, factor: number): Value => k.mul(x, k.like(x, factor))
export const squareOf = (k: KernelBuilder, x: Value): Value => k.mul(x, x)
export const isZero = (k: KernelBuilder, x: Value): Value => k.eq(x, zero(k, x))
export const isInfinite = (k: KernelBuilder, x: Value): Value => k.eq(k.abs(x), k.like(x, Number.POSITIVE_INFINITY))
export const nan = (k: KernelBuilder, x: Value): Value => k.like(x, Number.NaN)

/** Whether x has its sign bit set (NaN counts as positive): negative zero is told by its reciprocal. */
export const isNegative = (k: KernelBuilder, x: Value): Value =>
  k.or(k.lt(x, zero(k, x)), k.and(isZero(k, x), k.lt(k.div(one(k, x), x), zero(k, x))))

/** An odd function from its values on positive numbers; zeros keep their sign. */
export const odd = (k: KernelBuilder, x: Value, positive: (magnitude: Value) => Value): Value => {
  const y = positive(k.abs(x))
  return k.select(isZero(k, x), x, k.select(k.lt(x, zero(k, x)), k.neg(y), y))
}

/** 1 / (1 + e^-x). */
export const sigmoidOf = (k: KernelBuilder, x: Value): Value => k.div(one(k, x), k.add(k.exp(k.neg(x)), one(k, x)))

/** log(1 + e^x) without overflow. */
export const softplusOf = (k: KernelBuilder, x: Value): Value => k.add(k.max(x, zero(k, x)), k.log1p(k.exp(k.neg(k.abs(x)))))

/** (1 - x)(1 + x), which is 1 - x² without the cancellation near ±1. */
export const oneMinusSquare = (k: KernelBuilder, x: Value): Value => k.mul(k.sub(one(k, x), x), k.add(one(k, x), x))

/** e^x / 2 in two factors, so that it overflows only where the result does; and e^-x / 2. */
const halfExponentials = (k: KernelBuilder, x: Value): [up: Value, down: Value] => {
  const h = k.exp(scaled(k, x, 0.5))
  return [k.mul(scaled(k, h, 0.5), h), k.div(k.div(k.like(x, 0.5), h), h)]
}

export function sinhOf(k: KernelBuilder, x: Value): Value {
  return odd(k, x, (a) => {
    const t = k.expm1(a)
    const small = scaled(k, k.add(t, k.div(t, k.add(t, one(k, t)))), 0.5)
    return k.select(k.lt(a, one(k, a)), small, k.sub(...halfExponentials(k, a)))
  })
}

export const coshOf = (k: KernelBuilder, x: Value): Value => k.add(...halfExponentials(k, k.abs(x)))

export function asinhOf(k: KernelBuilder, x: Value): Value {
  return odd(k, x, (a) => {
    const square = squareOf(k, a)
    const root = k.sqrt(k.add(square, one(k, a)))
    const small = k.log1p(k.add(a, k.div(square, k.add(root, one(k, a)))))
    return k.select(k.gt(a, k.like(a, 1e9)), k.add(k.log(a), k.like(a, Math.LN2)), small)
  })
}

export function acoshOf(k: KernelBuilder, x: Value): Value {
  const t = k.sub(x, one(k, x))
  const small = k.log1p(k.add(t, k.sqrt(k.add(k.add(t, t), squareOf(k, t)))))
  const large = k.add(k.log(x), k.like(x, Math.LN2))
  return k.select(k.lt(x, one(k, x)), nan(k, x), k.select(k.gt(x, k.like(x, 1e9)), large, small))
}

export const atanhOf = (k: KernelBuilder, x: Value): Value =>
  odd(k, x, (a) => scaled(k, k.log1p(k.div(k.add(a, a), k.sub(one(k, a), a))), 0.5))

/** Logarithm to a base, a whole number where x is exactly that power of the base. */
export function logBase(k: KernelBuilder, x: Value, base: number): Value {
  const y = scaled(k, k.log(x), 1 / Math.log(base))
  const whole = k.round(y)
  return k.select(k.eq(k.pow(k.like(x, base), whole), x), whole, y)
}

/** Whole powers of integers: square and multiply over the bits of the exponent. Negative exponents give 1 / a, truncated. */
export function integerPower(k: KernelBuilder, a: Value, b: Value): Value {
  const bits = k.typeOf(a) === 'int64' ? 63 : 31
  const unit = one(k, a)
  let power = a
  let product = unit
  for (let bit = 0; bit < bits; bit++) {
    const set = k.ne(k.and(b, k.shl(unit, k.like(b, bit))), zero(k, b))
    product = k.mul(product, k.select(set, power, unit))
    power = k.mul(power, power)
  }
  const odd = k.ne(k.and(b, unit), zero(k, b))
  const minusOne = k.select(odd, k.like(a, -1), unit)
  const inverse = k.select(k.eq(a, unit), unit, k.select(k.eq(a, k.like(a, -1)), minusOne, zero(k, a)))
  return k.select(k.lt(b, zero(k, b)), inverse, product)
}

import type { KernelBuilder, Value } from '../engine/kernel.ts'
import { isInfinite, isZero, nan, odd, one, oneMinusSquare, polynomial, scaled, squareOf, zero } from './scalar-math.ts'

// Special functions as scalar code: the error function's family and the gamma function's.

/**
 * Rational approximations of the error function on |x| < 0.5, 0.5...4 and beyond, to 1e-16: W. J. Cody, Rational Chebyshev
 * approximations for the error function, Math. Comp. 23 (1969).
 */
const cody = {
  small: {
    p: [3209.3775891384694, 377.485237685302, 113.86415415105016, 3.1611237438705655, 0.18577770618460315],
    q: [2844.236833439171, 1282.6165260773723, 244.02463793444417, 23.601290952344122, 1],
  },
  middle: {
    p: [
      1230.3393547979972, 2051.0783778260716, 1712.0476126340707, 881.952221241769, 298.6351381974001, 66.11919063714163, 8.883149794388377,
      0.5641884969886701, 2.1531153547440383e-8,
    ],
    q: [
      1230.3393548037495, 3439.3676741437216, 4362.619090143247, 3290.7992357334597, 1621.3895745666903, 537.1811018620099,
      117.6939508913125, 15.744926110709835, 1,
    ],
  },
  large: {
    p: [0.0006587491615298378, 0.016083785148742275, 0.12578172611122926, 0.36034489994980445, 0.30532663496123236, 0.016315387137302097],
    q: [0.0023352049762686918, 0.06051834131244132, 0.5279051029514285, 1.8729528499234673, 2.568520192289822, 1],
  },
} as const

/**
 * erf(x) / x by powers of x² for |x| < 3.925, to 2e-8 (3 units in the last place after float32 rounding): least squares on
 * Chebyshev points, reweighted until the relative error was even. Beyond, erf rounds to ±1.
 */
const narrowErf = {
  p: [1.1283791065216064, 0.19059434533119202, 0.052769362926483154, 0.003772567491978407, 0.00028484247741289437, 2.0460061023186427e-6],
  q: [1, 0.5022425651550293, 0.11418294906616211, 0.014983239583671093, 0.0011638589203357697, 3.8047495763748884e-5],
  limit: 3.925,
} as const

const rational = (k: KernelBuilder, x: Value, { p, q }: { readonly p: readonly number[]; readonly q: readonly number[] }): Value =>
  k.div(polynomial(k, x, p), polynomial(k, x, q))

/** e^(-a²) with the rounding error of the square taken into account. */
function gaussian(k: KernelBuilder, a: Value): Value {
  const coarse = scaled(k, k.trunc(scaled(k, a, 16)), 1 / 16)
  const rest = k.mul(k.sub(a, coarse), k.add(a, coarse))
  return k.mul(k.exp(k.neg(squareOf(k, coarse))), k.exp(k.neg(rest)))
}

/** erfc(a) for a >= 0.5. */
function upperTail(k: KernelBuilder, a: Value): Value {
  // Beyond 30 it is 0 in every dtype; the bound keeps the powers finite.
  const x = k.min(a, k.like(a, 30))
  const inverse = squareOf(k, k.div(one(k, x), x))
  const far = k.div(k.sub(k.like(x, 1 / Math.sqrt(Math.PI)), k.mul(inverse, rational(k, inverse, cody.large))), x)
  const near = rational(k, k.min(x, k.like(x, 4)), cody.middle)
  return k.mul(gaussian(k, x), k.select(k.gt(x, k.like(x, 4)), far, near))
}

const lowerErf = (k: KernelBuilder, x: Value): Value => k.mul(x, rational(k, squareOf(k, x), cody.small))

export function erfOf(k: KernelBuilder, x: Value): Value {
  if (k.typeOf(x) === 'float32') {
    const { limit } = narrowErf
    const inside = k.min(k.max(x, k.like(x, -limit)), k.like(x, limit))
    const y = k.mul(inside, rational(k, squareOf(k, inside), narrowErf))
    return k.min(k.max(y, k.like(y, -1)), one(k, y))
  }
  const half = k.like(x, 0.5)
  return odd(k, x, (a) => k.select(k.lt(a, half), lowerErf(k, k.min(a, half)), k.sub(one(k, a), upperTail(k, k.max(a, half)))))
}

export function erfcOf(k: KernelBuilder, x: Value): Value {
  const half = k.like(x, 0.5)
  const a = k.abs(x)
  const tail = upperTail(k, k.max(a, half))
  const outside = k.select(k.lt(x, zero(k, x)), k.sub(k.like(x, 2), tail), tail)
  const inside = k.sub(one(k, x), lowerErf(k, k.min(k.max(x, k.neg(half)), half)))
  return k.select(k.lt(a, half), inside, outside)
}

/** The derivative of erf: 2/√π e^(-x²). */
export const erfSlope = (k: KernelBuilder, x: Value): Value => scaled(k, k.exp(k.neg(squareOf(k, x))), 2 / Math.sqrt(Math.PI))

/** M. Giles, Approximating the erfinv function, GPU Computing Gems 2 (2011): single precision, centre and tail. */
const giles = {
  centre: [
    1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-6, -3.5233877e-6, 3.43273939e-7, 2.81022636e-8,
  ],
  tail: [
    2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257,
  ],
} as const

export function erfinvOf(k: KernelBuilder, x: Value): Value {
  const w = k.neg(k.log(oneMinusSquare(k, x)))
  const centre = polynomial(k, k.sub(w, k.like(w, 2.5)), giles.centre)
  const tail = polynomial(k, k.sub(k.sqrt(w), k.like(w, 3)), giles.tail)
  let y = k.mul(x, k.select(k.lt(w, k.like(w, 5)), centre, tail))
  if (k.typeOf(x) === 'float64') {
    // Newton's method on erf; in the tail on erfc, which keeps its digits there.
    const half = k.like(x, 0.5)
    for (let step = 0; step < 2; step++) {
      const a = k.abs(y)
      const error = k.select(k.lt(a, half), k.sub(erfOf(k, a), k.abs(x)), k.sub(k.sub(one(k, x), k.abs(x)), erfcOf(k, a)))
      const newer = k.sub(a, k.div(error, erfSlope(k, a)))
      y = k.select(k.lt(x, zero(k, x)), k.neg(newer), newer)
    }
  }
  const edge = k.div(x, zero(k, x))
  return k.select(isZero(k, x), x, k.select(k.eq(k.abs(x), one(k, x)), edge, y))
}

const eulerGamma = 0.5772156649015329

/** log Γ(2 + z) by powers of z, for |z| <= 0.5: NIST Digital Library of Mathematical Functions, 5.7.3. */
const logGammaSeries = /* @__PURE__ */ powersOfLogGamma()

function powersOfLogGamma(): number[] {
  // ζ(n) - 1 for n = 2...27: the sum of 1/m^n up to m = 49, the rest by Euler and Maclaurin.
  const zetaMinusOne = Array.from({ length: 26 }, (_, i) => {
    const n = i + 2
    const from = 50
    const rising = (count: number) => Array.from({ length: count }, (_, k) => n + k).reduce((a, b) => a * b, 1)
    let sum = from ** (1 - n) / (n - 1) + from ** -n / 2
    sum += (rising(1) / 12) * from ** (-n - 1) - (rising(3) / 720) * from ** (-n - 3) + (rising(5) / 30240) * from ** (-n - 5)
    for (let m = from - 1; m >= 2; m--) sum += m ** -n
    return sum
  })
  return [0, 1 - eulerGamma, ...zetaMinusOne.map((z, i) => ((i % 2 === 0 ? 1 : -1) * z) / (i + 2))]
}

/** Stirling's series, DLMF 5.11.1: B(2n) / (2n (2n - 1)), by powers of 1/x². */
const stirling = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156]
/** Its derivative, DLMF 5.11.2: B(2n) / 2n. */
const stirlingSlope = [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12]

/** log|Γ(x)|. */
export function logGamma(k: KernelBuilder, x: Value): Value {
  const c = (v: number) => k.like(x, v)
  const reflect = k.lt(x, c(0.5))
  const y = k.select(reflect, k.sub(c(1), x), x)

  // Γ(y) = (y - 1)(y - 2)... Γ(2 + z), |z| <= 0.5, for y < 8.
  const steps = k.max(k.round(k.sub(k.min(y, c(8)), c(2))), c(-1))
  const z = k.sub(k.sub(k.min(y, c(8)), c(2)), steps)
  let product = c(1)
  for (let i = 1; i <= 6; i++) product = k.mul(product, k.select(k.ge(steps, c(i)), k.sub(y, c(i)), c(1)))
  const logProduct = k.select(k.lt(steps, c(0)), k.neg(k.log(y)), k.log(product))
  const degree = k.typeOf(x) === 'float64' ? logGammaSeries.length : 14
  const small = k.add(polynomial(k, z, logGammaSeries.slice(0, degree)), logProduct)

  const inverse = k.div(c(1), y)
  const correction = k.mul(inverse, polynomial(k, squareOf(k, inverse), stirling))
  const large = k.add(k.add(k.sub(k.mul(k.sub(y, c(0.5)), k.log(y)), y), c(Math.log(2 * Math.PI) / 2)), correction)
  const positive = k.select(k.lt(y, c(8)), small, large)

  // Γ(x) Γ(1 - x) = π / sin(πx)
  const turn = k.sub(x, k.round(x))
  const sine = k.abs(k.sin(scaled(k, turn, Math.PI)))
  const reflected = k.sub(k.log(k.div(c(Math.PI), sine)), positive)
  const infinite = k.or(isInfinite(k, x), isZero(k, turn))
  return k.select(reflect, k.select(infinite, c(Number.POSITIVE_INFINITY), reflected), k.select(isInfinite(k, x), k.abs(x), positive))
}

/** ψ(x), the derivative of log Γ(x): DLMF 5.5.2, 5.5.4 and 5.11.2. */
export function digammaOf(k: KernelBuilder, x: Value): Value {
  const c = (v: number) => k.like(x, v)
  const reflect = k.lt(x, c(0.5))
  const y = k.select(reflect, k.sub(c(1), x), x)
  let far = y
  let shift = c(0)
  for (let i = 0; i < 8; i++) {
    const near = k.lt(far, c(8))
    shift = k.add(shift, k.select(near, k.div(c(1), far), c(0)))
    far = k.select(near, k.add(far, c(1)), far)
  }
  const inverse = k.div(c(1), far)
  const square = squareOf(k, inverse)
  const series = k.add(scaled(k, inverse, 0.5), k.mul(square, polynomial(k, square, stirlingSlope)))
  const positive = k.sub(k.sub(k.log(far), series), shift)

  const turn = k.sub(x, k.round(x))
  const cotangent = k.div(c(Math.PI), k.tan(scaled(k, turn, Math.PI)))
  const pole = k.select(isZero(k, x), k.neg(k.div(c(1), x)), nan(k, x))
  return k.select(reflect, k.select(isZero(k, turn), pole, k.sub(positive, cotangent)), positive)
}

/** sin(πx) / (πx), 1 at 0. */
export function sincOf(k: KernelBuilder, x: Value): Value {
  const angle = scaled(k, k.select(isZero(k, x), one(k, x), x), Math.PI)
  return k.select(isZero(k, x), one(k, x), k.div(k.sin(angle), angle))
}

import { dtypeInfo } from '../dtype.ts'
import type { KernelBuilder, Value } from '../engine/kernel.ts'
import { isFloatScalar } from '../engine/scalar.ts'
import type { Shape } from '../layout.ts'
import { type MethodsOf, unary, unaryWith } from './elementwise.ts'
import {
  acoshOf,
  asinhOf,
  atanhOf,
  coshOf,
  isInfinite,
  logBase,
  one,
  oneMinusSquare,
  scaled,
  sigmoidOf,
  sinhOf,
  squareOf,
  zero,
} from './scalar-math.ts'
import type { Documented } from './table.ts'

const numbers = ['int', 'float'] as const

// Powers, exponentials and logarithms

export const square = unary('square', { doc: 'x * x.', dtypes: 'same', accepts: numbers, code: squareOf })

export const sqrt = unary('sqrt', { doc: 'Square root; NaN for negative numbers.', code: (k, x) => k.sqrt(x), domain: [0.2, 4] })

export const rsqrt = unary('rsqrt', {
  doc: '1 / sqrt(x).',
  code: (k, x) => k.div(one(k, x), k.sqrt(x)),
  fromOutput: (k, g, y) => scaled(k, k.mul(g, k.mul(y, squareOf(k, y))), -0.5),
  domain: [0.2, 4],
  precision: 'float32',
})

export const reciprocal = unary('reciprocal', {
  doc: '1 / x.',
  code: (k, x) => k.div(one(k, x), x),
  fromOutput: (k, g, y) => k.neg(k.mul(g, squareOf(k, y))),
  domain: [0.3, 3],
  precision: 'float32',
})

export const exp = unary('exp', {
  doc: 'e to the power x.',
  code: (k, x) => k.exp(x),
  fromOutput: (k, g, y) => k.mul(g, y),
  precision: 'float32',
})

export const exp2 = unary('exp2', {
  doc: '2 to the power x.',
  code: (k, x) => k.pow(k.like(x, 2), x),
  fromOutput: (k, g, y) => scaled(k, k.mul(g, y), Math.LN2),
})

export const expm1 = unary('expm1', {
  doc: 'e^x - 1, exact for small x.',
  code: (k, x) => k.expm1(x),
  fromOutput: (k, g, y) => k.add(k.mul(g, y), g),
  precision: 'float32',
})

export const log = unary('log', { doc: 'Natural logarithm.', code: (k, x) => k.log(x), domain: [0.2, 4], precision: 'float32' })

export const log1p = unary('log1p', {
  doc: 'log(1 + x), exact for small x.',
  code: (k, x) => k.log1p(x),
  domain: [-0.7, 4],
  precision: 'float32',
})

export const log2 = unary('log2', {
  doc: 'Logarithm to base 2; exact for powers of 2.',
  code: (k, x) => logBase(k, x, 2),
  derivative: (k, g, x) => k.div(g, scaled(k, x, Math.LN2)),
  domain: [0.2, 4],
  precision: 'float32',
})

export const log10 = unary('log10', {
  doc: 'Logarithm to base 10; exact for powers of 10.',
  code: (k, x) => logBase(k, x, 10),
  derivative: (k, g, x) => k.div(g, scaled(k, x, Math.LN10)),
  domain: [0.2, 4],
  precision: 'float32',
})

export const relu = unary('relu', {
  doc: 'max(x, 0); its gradient at 0 is 0.',
  dtypes: 'same',
  code: (k, x) => k.select(k.le(x, zero(k, x)), zero(k, x), x),
  fromOutput: (k, g, y) => k.select(k.le(y, zero(k, y)), zero(k, y), g),
})

export const sigmoid = unary('sigmoid', {
  doc: '1 / (1 + e^-x).',
  code: sigmoidOf,
  fromOutput: (k, g, y) => k.mul(g, k.mul(y, k.sub(one(k, y), y))),
})

export const logit = unaryWith<{ eps: number }, [number]>('logit', {
  doc: 'log(x / (1 - x)), the inverse of sigmoid. With `eps`, x is first clamped to [eps, 1 - eps].',
  params: ({ eps = Number.NEGATIVE_INFINITY }) => [eps],
  variants: [{ eps: 0.25 }],
  code: (k, x, eps) => {
    const inside = k.min(k.max(x, eps), k.sub(one(k, x), eps))
    return k.log(k.div(inside, k.sub(one(k, x), inside)))
  },
  derivative: (k, g, x, _, eps) => {
    const inside = k.and(k.ge(x, eps), k.le(x, k.sub(one(k, x), eps)))
    return k.select(inside, k.div(g, k.mul(x, k.sub(one(k, x), x))), zero(k, x))
  },
  domain: [0.1, 0.9],
})

// Trigonometry and its hyperbolic kin

export const sin = unary('sin', { doc: 'Sine of x in radians.', code: (k, x) => k.sin(x), domain: [-7, 7] })
export const cos = unary('cos', { doc: 'Cosine of x in radians.', code: (k, x) => k.cos(x), domain: [-7, 7] })
export const tan = unary('tan', { doc: 'Tangent of x in radians.', code: (k, x) => k.tan(x), domain: [-1.2, 1.2], precision: 'float32' })

export const asin = unary('asin', {
  doc: 'Arc sine, in radians; NaN outside [-1, 1].',
  code: (k, x) => k.atan2(x, k.sqrt(oneMinusSquare(k, x))),
  derivative: (k, g, x) => k.div(g, k.sqrt(oneMinusSquare(k, x))),
  domain: [-0.9, 0.9],
  precision: 'float32',
})

export const acos = unary('acos', {
  doc: 'Arc cosine, in radians; NaN outside [-1, 1].',
  code: (k, x) => k.atan2(k.sqrt(oneMinusSquare(k, x)), x),
  derivative: (k, g, x) => k.neg(k.div(g, k.sqrt(oneMinusSquare(k, x)))),
  domain: [-0.9, 0.9],
  precision: 'float32',
})

export const atan = unary('atan', { doc: 'Arc tangent, in radians.', code: (k, x) => k.atan(x), domain: [-5, 5] })

export const sinh = unary('sinh', {
  doc: 'Hyperbolic sine.',
  code: sinhOf,
  derivative: (k, g, x) => k.mul(g, coshOf(k, x)),
  precision: 'float32',
})
export const cosh = unary('cosh', {
  doc: 'Hyperbolic cosine.',
  code: coshOf,
  derivative: (k, g, x) => k.mul(g, sinhOf(k, x)),
  precision: 'float32',
})
export const tanh = unary('tanh', { doc: 'Hyperbolic tangent.', code: (k, x) => k.tanh(x) })

export const asinh = unary('asinh', {
  doc: 'Inverse hyperbolic sine.',
  code: asinhOf,
  derivative: (k, g, x) => k.div(g, k.sqrt(k.add(squareOf(k, x), one(k, x)))),
  domain: [-5, 5],
})

export const acosh = unary('acosh', {
  doc: 'Inverse hyperbolic cosine; NaN below 1.',
  code: acoshOf,
  derivative: (k, g, x) => k.div(g, k.sqrt(k.mul(k.sub(x, one(k, x)), k.add(x, one(k, x))))),
  domain: [1.2, 5],
})

export const atanh = unary('atanh', {
  doc: 'Inverse hyperbolic tangent; NaN outside [-1, 1].',
  code: atanhOf,
  derivative: (k, g, x) => k.div(g, oneMinusSquare(k, x)),
  domain: [-0.9, 0.9],
})

export const deg2rad = unary('deg2rad', { doc: 'Degrees to radians.', code: (k, x) => scaled(k, x, Math.PI / 180) })
export const rad2deg = unary('rad2deg', { doc: 'Radians to degrees.', code: (k, x) => scaled(k, x, 180 / Math.PI) })

// Rounding and signs

const rounding = (name: 'floor' | 'ceil' | 'trunc' | 'round', { doc }: Documented) =>
  unary(name, {
    doc: `${doc} Integers stay as they are. The gradient is 0.`,
    dtypes: 'same',
    code: (k, x) => (isFloatScalar(k.typeOf(x)) ? k[name](x) : x),
    derivative: (k, g) => zero(k, g),
    domain: [-3.9, 3.9],
    gradient: 'none',
  })

export const floor = rounding('floor', { doc: 'The largest integer that is not above x.' })
export const ceil = rounding('ceil', { doc: 'The smallest integer that is not below x.' })
export const trunc = rounding('trunc', { doc: 'The integer part of x.' })
export const round = rounding('round', { doc: 'The nearest integer; of two, the even one.' })

export const frac = unary('frac', { doc: 'x - trunc(x).', code: (k, x) => k.sub(x, k.trunc(x)), domain: [0.1, 0.9] })

const unlessBool = (f: (k: KernelBuilder, x: Value) => Value) => (k: KernelBuilder, x: Value) => (k.typeOf(x) === 'bool' ? x : f(k, x))

export const neg = unary('neg', { doc: '-x.', dtypes: 'same', accepts: numbers, code: (k, x) => k.neg(x) })

export const abs = unary('abs', {
  doc: 'Absolute value; its gradient at 0 is 0.',
  dtypes: 'same',
  code: unlessBool((k, x) => k.abs(x)),
  derivative: (k, g, x) => k.select(k.gt(x, zero(k, x)), g, k.select(k.lt(x, zero(k, x)), k.neg(g), zero(k, g))),
  domain: [0.2, 2],
})

export const sign = unary('sign', {
  doc: '-1, 0 or 1 by the sign of x; 0 for NaN. The gradient is 0.',
  dtypes: 'same',
  code: unlessBool((k, x) => k.select(k.gt(x, zero(k, x)), one(k, x), k.select(k.lt(x, zero(k, x)), k.like(x, -1), zero(k, x)))),
  derivative: (k, g) => zero(k, g),
  domain: [0.2, 2],
  gradient: 'none',
})

export const nanToNum = unaryWith<{ nan: number; posInf: number; negInf: number }, [number, number, number]>('nanToNum', {
  doc: 'NaN becomes `nan` (default 0); infinities become `posInf` and `negInf` (default the largest and smallest finite numbers).',
  dtypes: 'same',
  params: ({ nan = 0, posInf, negInf }, dtype) => [nan, posInf ?? dtypeInfo[dtype].max, negInf ?? dtypeInfo[dtype].min],
  variants: [{ nan: 1, posInf: 2, negInf: -3 }],
  code: (k, x, nan, posInf, negInf) => {
    if (!isFloatScalar(k.typeOf(x))) return x
    return k.select(k.isNaN(x), nan, k.select(isInfinite(k, x), k.select(k.gt(x, zero(k, x)), posInf, negInf), x))
  },
  derivative: (k, g, x) => k.select(k.or(k.isNaN(x), isInfinite(k, x)), zero(k, g), g),
})

// Questions and bits

/** What a question about floats answers, where integers and bools have one answer only. */
const question = (name: string, { doc }: Documented, otherwise: boolean, code: (k: KernelBuilder, x: Value) => Value) =>
  unary(name, {
    doc,
    dtypes: 'same',
    result: 'bool',
    differentiable: false,
    code: (k, x) => (isFloatScalar(k.typeOf(x)) ? code(k, x) : k.constant('bool', otherwise)),
  })

export const isNaN = question('isNaN', { doc: 'Whether x is not a number.' }, false, (k, x) => k.isNaN(x))
export const isInf = question('isInf', { doc: 'Whether x is an infinity.' }, false, isInfinite)
export const isFinite = question('isFinite', { doc: 'Whether x is neither an infinity nor NaN.' }, true, (k, x) =>
  k.lt(k.abs(x), k.like(x, Number.POSITIVE_INFINITY)),
)

export const logicalNot = unary('logicalNot', {
  doc: 'Whether x is zero.',
  dtypes: 'same',
  result: 'bool',
  differentiable: false,
  code: (k, x) => k.eq(x, zero(k, x)),
})

export const bitwiseNot = unary('bitwiseNot', {
  doc: 'The bits of an integer inverted; of a bool, its negation.',
  dtypes: 'same',
  accepts: ['bool', 'int'],
  dtype: 'int32',
  differentiable: false,
  code: (k, x) => k.not(x),
})

type Module = typeof import('./unary.ts')

/** Every op of this file, as a method. */
export type UnaryMethods<S extends Shape> = MethodsOf<Module, S>

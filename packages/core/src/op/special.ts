import { unaryFunction } from './elementwise.ts'
import { scaled, squareOf } from './scalar-math.ts'
import { digammaOf, erfcOf, erfinvOf, erfOf, erfSlope, logGamma, sincOf } from './special-math.ts'

export const erf = unaryFunction('erf', { doc: 'The error function.', code: erfOf, derivative: (k, g, x) => k.mul(g, erfSlope(k, x)) })

export const erfc = unaryFunction('erfc', {
  doc: '1 - erf(x), exact also where it is tiny.',
  code: erfcOf,
  derivative: (k, g, x) => k.neg(k.mul(g, erfSlope(k, x))),
})

export const erfinv = unaryFunction('erfinv', {
  doc: 'The inverse of erf on [-1, 1].',
  code: erfinvOf,
  fromOutput: (k, g, y) => scaled(k, k.mul(g, k.exp(squareOf(k, y))), Math.sqrt(Math.PI) / 2),
  domain: [-0.9, 0.9],
  precision: 'float32',
})

export const lgamma = unaryFunction('lgamma', {
  doc: 'Logarithm of the absolute value of the gamma function.',
  code: logGamma,
  derivative: (k, g, x) => k.mul(g, digammaOf(k, x)),
  domain: [0.3, 9],
})

export const digamma = unaryFunction('digamma', { doc: 'The derivative of lgamma.', code: digammaOf, domain: [0.3, 9] })

export const sinc = unaryFunction('sinc', { doc: 'sin(pi x) / (pi x), 1 at 0.', code: sincOf, domain: [0.2, 3] })

import type { KernelBuilder, Value } from '../engine/kernel.ts'
import { CotangentError } from '../errors.ts'
import { normalizeAxis, type Shape } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { sampleShapes, type UnaryFunction, unaryFunction, unaryFunctionWith, unaryPrimitive } from './elementwise.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { one, scaled, sigmoidOf, softplusOf, squareOf, zero } from './scalar-math.ts'
import { erfOf } from './special-math.ts'
import { defineFunction, sampleTensor } from './table.ts'
import { sigmoid } from './unary.ts'

const positive = (k: KernelBuilder, x: Value): Value => k.gt(x, zero(k, x))
const between = (k: KernelBuilder, x: Value, low: Value, high: Value): Value => k.and(k.gt(x, low), k.lt(x, high))
const clampTo = (k: KernelBuilder, x: Value, low: number, high: number): Value => k.min(k.max(x, k.like(x, low)), k.like(x, high))

/** A positive option: the output then tells the derivative. */
function checkPositive(op: string, name: string, value: number): number {
  if (!(value > 0))
    throw new CotangentError('invalid-argument', { op, message: `${name} must be positive, not ${value}`, hint: 'Give a number above 0.' })
  return value
}

export const relu6 = unaryFunction('relu6', {
  doc: 'x clamped to [0, 6]; its gradient at 0 and 6 is 0.',
  dtypes: 'same',
  code: (k, x) => clampTo(k, x, 0, 6),
  fromOutput: (k, g, y) => k.select(between(k, y, zero(k, y), k.like(y, 6)), g, zero(k, g)),
  domain: [-3, 9],
})

export const leakyRelu = unaryFunctionWith<{ negativeSlope: number }, [number]>('leakyRelu', {
  doc: 'x where positive, else negativeSlope * x (default 0.01).',
  params: ({ negativeSlope = 0.01 }) => [negativeSlope],
  variants: [{ negativeSlope: 0.3 }],
  code: (k, x, slope) => k.select(positive(k, x), x, k.mul(x, slope)),
  derivative: (k, g, x, _, slope) => k.select(positive(k, x), g, k.mul(g, slope)),
})

export const elu = unaryFunctionWith<{ alpha: number }, [number]>('elu', {
  doc: 'x where positive, else alpha * (e^x - 1) (alpha > 0, default 1). Clevert et al., arXiv:1511.07289.',
  params: ({ alpha = 1 }) => [checkPositive('elu', 'alpha', alpha)],
  variants: [{ alpha: 0.5 }],
  code: (k, x, alpha) => k.select(positive(k, x), x, k.mul(alpha, k.expm1(x))),
  fromOutput: (k, g, y, alpha) => k.select(positive(k, y), g, k.mul(g, k.add(y, alpha))),
})

export const celu = unaryFunctionWith<{ alpha: number }, [number]>('celu', {
  doc: 'x where positive, else alpha * (e^(x / alpha) - 1) (alpha > 0, default 1). Barron, arXiv:1704.07483.',
  params: ({ alpha = 1 }) => [checkPositive('celu', 'alpha', alpha)],
  variants: [{ alpha: 0.5 }],
  code: (k, x, alpha) => k.select(positive(k, x), x, k.mul(alpha, k.expm1(k.div(x, alpha)))),
  fromOutput: (k, g, y, alpha) => k.select(positive(k, y), g, k.mul(g, k.add(k.div(y, alpha), one(k, y)))),
})

const seluAlpha = 1.6732632423543772
const seluScale = 1.0507009873554805

export const selu = unaryFunction('selu', {
  doc: 'elu scaled so that layers keep mean 0 and variance 1. Klambauer et al., arXiv:1706.02515.',
  code: (k, x) => scaled(k, k.select(positive(k, x), x, scaled(k, k.expm1(x), seluAlpha)), seluScale),
  fromOutput: (k, g, y) => k.mul(g, k.select(positive(k, y), k.like(y, seluScale), k.add(y, k.like(y, seluScale * seluAlpha)))),
})

const geluExact = unaryPrimitive('gelu', {
  code: (k, x) => k.mul(scaled(k, x, 0.5), k.add(erfOf(k, scaled(k, x, Math.SQRT1_2)), one(k, x))),
  derivative: (k, g, x) => {
    const share = scaled(k, k.add(erfOf(k, scaled(k, x, Math.SQRT1_2)), one(k, x)), 0.5)
    const density = scaled(k, k.exp(scaled(k, squareOf(k, x), -0.5)), 1 / Math.sqrt(2 * Math.PI))
    return k.mul(g, k.add(share, k.mul(x, density)))
  },
})

/** sqrt(2 / pi) (x + 0.044715 x^3). */
const geluInner = (k: KernelBuilder, x: Value): Value =>
  scaled(k, k.mul(x, k.add(scaled(k, squareOf(k, x), 0.044715), one(k, x))), Math.sqrt(2 / Math.PI))

const geluTanh = unaryPrimitive('geluTanh', {
  code: (k, x) => k.mul(scaled(k, x, 0.5), k.add(k.tanh(geluInner(k, x)), one(k, x))),
})

export const gelu: UnaryFunction<[options?: { readonly approximate?: 'none' | 'tanh' }]> = defineFunction({
  name: 'gelu',
  doc: 'x times the normal distribution function of x: exact, or (approximate: "tanh") as in GPT-2. Hendrycks and Gimpel, arXiv:1606.08415.',
  call: <S extends Shape>(x: Tensor<S>, { approximate = 'none' }: { readonly approximate?: 'none' | 'tanh' } = {}) => {
    const primitive = { none: geluExact, tanh: geluTanh }[approximate]
    if (!primitive)
      throw new CotangentError('invalid-argument', {
        op: 'gelu',
        message: `approximate is 'none' or 'tanh', not ${String(approximate)}`,
        hint: 'Leave it out for the exact function.',
      })
    return bind1(primitive, [x], undefined) as Tensor<S>
  },
  samples: () =>
    [{}, { approximate: 'tanh' }].flatMap((options) => sampleShapes.map((shape) => ({ args: [sampleTensor(shape), options] }))),
})

export const silu = unaryFunction('silu', {
  doc: 'x * sigmoid(x), also known as swish.',
  code: (k, x) => k.mul(x, sigmoidOf(k, x)),
  derivative: (k, g, x) => {
    const s = sigmoidOf(k, x)
    return k.mul(g, k.mul(s, k.add(k.mul(x, k.sub(one(k, x), s)), one(k, x))))
  },
})

export const mish = unaryFunction('mish', {
  doc: 'x * tanh(softplus(x)). Misra, arXiv:1908.08681.',
  code: (k, x) => {
    // tanh(log(1 + e)) = n / (n + 2) with n = e² + 2e; beyond 20 it is 1 in every dtype.
    const e = k.exp(k.min(x, k.like(x, 20)))
    const n = k.mul(e, k.add(e, k.like(x, 2)))
    return k.mul(x, k.div(n, k.add(n, k.like(x, 2))))
  },
})

export const softplus = unaryFunctionWith<{ beta: number; threshold: number }, [number, number]>('softplus', {
  doc: 'log(1 + e^(beta x)) / beta (beta > 0, default 1); x itself where beta x exceeds the threshold (default 20).',
  params: ({ beta = 1, threshold = 20 }) => [checkPositive('softplus', 'beta', beta), threshold],
  variants: [{ beta: 2, threshold: 1.5 }],
  code: (k, x, beta, threshold) => {
    const bx = k.mul(x, beta)
    return k.select(k.gt(bx, threshold), x, k.div(softplusOf(k, bx), beta))
  },
  derivative: (k, g, x, _, beta, threshold) => {
    const bx = k.mul(x, beta)
    return k.select(k.gt(bx, threshold), g, k.mul(g, sigmoidOf(k, bx)))
  },
  precision: 'float32',
})

export const softsign = unaryFunction('softsign', {
  doc: 'x / (1 + |x|).',
  code: (k, x) => k.div(x, k.add(k.abs(x), one(k, x))),
  derivative: (k, g, x) => k.div(g, squareOf(k, k.add(k.abs(x), one(k, x)))),
})

export const hardSigmoid = unaryFunction('hardSigmoid', {
  doc: 'x / 6 + 1/2 clamped to [0, 1].',
  code: (k, x) => k.div(clampTo(k, k.add(x, k.like(x, 3)), 0, 6), k.like(x, 6)),
  fromOutput: (k, g, y) => k.select(between(k, y, zero(k, y), one(k, y)), k.div(g, k.like(y, 6)), zero(k, g)),
  domain: [-4, 4],
})

export const hardSwish = unaryFunction('hardSwish', {
  doc: 'x * hardSigmoid(x). Howard et al., arXiv:1905.02244.',
  code: (k, x) => k.div(k.mul(x, clampTo(k, k.add(x, k.like(x, 3)), 0, 6)), k.like(x, 6)),
  derivative: (k, g, x) => {
    const inside = k.mul(g, k.add(k.div(x, k.like(x, 3)), k.like(x, 0.5)))
    return k.select(k.le(x, k.like(x, -3)), zero(k, g), k.select(k.lt(x, k.like(x, 3)), inside, g))
  },
  domain: [-4, 4],
})

export const hardTanh = unaryFunctionWith<{ min: number; max: number }, [number, number]>('hardTanh', {
  doc: 'x clamped to [min, max] (default [-1, 1]); its gradient at the ends is 0.',
  dtypes: 'same',
  params: ({ min = -1, max = 1 }) => [min, max],
  variants: [{ min: -0.5, max: 1.5 }],
  code: (k, x, min, max) => k.min(k.max(x, min), max),
  fromOutput: (k, g, y, min, max) => k.select(between(k, y, min, max), g, zero(k, g)),
})

export const logSigmoid = unaryFunction('logSigmoid', {
  doc: 'log(sigmoid(x)), without overflow.',
  code: (k, x) => k.neg(softplusOf(k, k.neg(x))),
  fromOutput: (k, g, y) => k.neg(k.mul(g, k.expm1(y))),
})

export const tanhShrink = unaryFunction('tanhShrink', {
  doc: 'x - tanh(x).',
  code: (k, x) => k.sub(x, k.tanh(x)),
  derivative: (k, g, x) => k.mul(g, squareOf(k, k.tanh(x))),
})

export const softShrink = unaryFunctionWith<{ lambda: number }, [number]>('softShrink', {
  doc: 'x moved towards 0 by lambda (default 0.5), 0 within it.',
  params: ({ lambda = 0.5 }) => [lambda],
  variants: [{ lambda: 0.2 }],
  code: (k, x, lambda) =>
    k.select(k.gt(x, lambda), k.sub(x, lambda), k.select(k.lt(x, k.neg(lambda)), k.add(x, lambda), k.mul(x, zero(k, x)))),
  derivative: (k, g, x, _, lambda) => k.select(k.gt(k.abs(x), lambda), g, zero(k, g)),
})

export const hardShrink = unaryFunctionWith<{ lambda: number }, [number]>('hardShrink', {
  doc: 'x where |x| > lambda (default 0.5), else 0.',
  params: ({ lambda = 0.5 }) => [lambda],
  variants: [{ lambda: 0.2 }],
  code: (k, x, lambda) => k.select(k.le(k.abs(x), lambda), zero(k, x), x),
  derivative: (k, g, x, _, lambda) => k.select(k.le(k.abs(x), lambda), zero(k, g), g),
})

export const threshold = unaryFunctionWith<{ threshold: number; value: number }, [number, number]>('threshold', {
  doc: 'x where it exceeds the threshold (default 0), else the value (default 0).',
  dtypes: 'same',
  params: ({ threshold = 0, value = 0 }) => [threshold, value],
  variants: [{ threshold: 0.5, value: -1 }],
  code: (k, x, threshold, value) => k.select(k.le(x, threshold), value, x),
  derivative: (k, g, x, _, threshold) => k.select(k.le(x, threshold), zero(k, g), g),
})

const preluPrimitive = kernelPrimitive<undefined>({
  name: 'prelu',
  accepts: ['float'],
  code: (k, [x, weight]) => [k.select(positive(k, x!), x!, k.mul(x!, weight!))],
  adjoint: (k, [g], [x, weight]) => [
    k.select(positive(k, x!), g!, k.mul(g!, weight!)),
    k.select(positive(k, x!), zero(k, x!), k.mul(g!, x!)),
  ],
})

export const prelu: <S extends Shape>(x: Tensor<S>, weight: Tensor) => Tensor<S> = defineFunction({
  name: 'prelu',
  precision: 'lower',
  doc: 'x where positive, else weight * x: one weight for all, or one a channel (the last axis). He et al., arXiv:1502.01852.',
  call: <S extends Shape>(x: Tensor<S>, weight: Tensor): Tensor<S> => bind1(preluPrimitive, [x, weight], undefined) as Tensor<S>,
  samples: () => [
    { args: [sampleTensor([2, 3, 4]), sampleTensor([4])] },
    { args: [sampleTensor([5]), sampleTensor([1])] },
    { args: [sampleTensor([0, 2]), sampleTensor([2])] },
  ],
})

export const glu: (x: Tensor, axis?: number) => Tensor = defineFunction({
  name: 'glu',
  doc: 'The first half of an axis (default the last) times the sigmoid of the second. Dauphin et al., arXiv:1612.08083.',
  call: (x: Tensor, axis = -1): Tensor => {
    const at = normalizeAxis('glu', axis, x.rank)
    const half = x.shape[at]! / 2
    if (!Number.isInteger(half)) {
      throw new CotangentError('shape-mismatch', {
        op: 'glu',
        message: `axis ${axis} has an odd size and no halves`,
        shapes: [x.shape],
        hint: 'The layer before must have twice the wanted features.',
      })
    }
    return x.narrow(at, 0, half).mul(sigmoid(x.narrow(at, half, half)))
  },
  samples: () => [{ args: [sampleTensor([3, 4])] }, { args: [sampleTensor([2, 6, 3]), 1] }, { args: [sampleTensor([0, 2])] }],
})

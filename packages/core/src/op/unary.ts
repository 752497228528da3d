import type { Shape } from '../layout.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type UnaryFunction, unary, unaryWith } from './elementwise.ts'

export const neg = unary('neg', { doc: '-x.', dtypes: 'same', code: (k, x) => k.neg(x) })

export const exp = unary('exp', { doc: 'e to the power x.', code: (k, x) => k.exp(x), fromOutput: (k, g, y) => k.mul(g, y) })

export const log = unary('log', { doc: 'Natural logarithm.', code: (k, x) => k.log(x), domain: [0.2, 4] })

export const sin = unary('sin', { doc: 'Sine of x in radians.', code: (k, x) => k.sin(x), domain: [-7, 7] })

export const relu = unary('relu', {
  doc: 'max(x, 0); its gradient at 0 is 0.',
  dtypes: 'same',
  code: (k, x) => k.select(k.le(x, k.like(x, 0)), k.like(x, 0), x),
  fromOutput: (k, g, y) => k.select(k.le(y, k.like(y, 0)), k.like(y, 0), g),
})

export const leakyRelu = unaryWith<{ negativeSlope: number }, [number]>('leakyRelu', {
  doc: 'x where positive, else negativeSlope * x (default 0.01).',
  params: ({ negativeSlope = 0.01 }) => [negativeSlope],
  variants: [{ negativeSlope: 0.3 }],
  code: (k, x, slope) => k.select(k.gt(x, k.like(x, 0)), x, k.mul(x, slope)),
})

type Module = typeof import('./unary.ts')

/** Every elementwise op of this file, as a method. */
export type UnaryMethods<S extends Shape> = {
  [K in keyof Module as Module[K] extends UnaryFunction<never> ? K : never]: Module[K] extends UnaryFunction<infer Rest>
    ? (...rest: Rest) => Tensor<S>
    : never
}

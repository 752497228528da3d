import { isInt } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import { defaultGenerator, type Generator } from '../tensor/generator.ts'
import { Scalar } from '../tensor/scalar.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { keyScalars, wordsAt } from './random-key.ts'
import { defineFunction, sampleTensor } from './table.ts'
import { uniform24 } from './threefry.ts'

/** The mask is drawn again for the gradient rather than kept. */
const dropoutPrimitive = kernelPrimitive<undefined>({
  name: 'dropout',
  random: true,
  operands: ['promote', 'own'],
  code: (k, [x, k0, k1, call, p, scale]) => {
    const keep = k.ge(uniform24(k, wordsAt(k, [k0!, k1!, call!], k.index(0))[0]), p!)
    return [k.select(keep, k.mul(x!, k.cast(scale!, k.typeOf(x!))), k.like(x!, 0))]
  },
})

/** Draws now what is dropped: the same elements of each tensor of one size that the result is called with. */
export function dropoutOf(p: number, generator: Generator = defaultGenerator): <S extends Shape>(x: Tensor<S>) => Tensor<S> {
  if (!(p >= 0 && p <= 1))
    throw new CotangentError('invalid-argument', { op: 'dropout', message: `p is ${p}`, hint: 'It is a probability, from 0 to 1.' })
  const scalars = [...keyScalars(generator), new Scalar(p, 'float32'), new Scalar(p === 1 ? 0 : 1 / (1 - p), 'float32')]
  return <S extends Shape>(x: Tensor<S>) =>
    bind1(dropoutPrimitive, [x.reshape([-1]), ...scalars], undefined).reshape(x.shape as Shape) as Tensor<S>
}

export const dropout = defineFunction({
  name: 'dropout',
  doc: 'Zeroes elements with probability p (default 0.5) and scales the rest by 1 / (1 - p).',
  random: true,
  call<S extends Shape>(x: Tensor<S>, p = 0.5, options: { readonly generator?: Generator } = {}): Tensor<S> {
    if (isInt(x.dtype) || x.dtype === 'bool')
      throw new CotangentError('dtype-mismatch', {
        op: 'dropout',
        message: 'needs a float dtype',
        dtypes: [x.dtype],
        hint: "Cast with x.cast('float32').",
      })
    return p === 0 ? x : dropoutOf(p, options.generator)(x)
  },
  samples: () => [{ args: [sampleTensor([3, 4]), 0.3] }, { args: [sampleTensor([2, 3])] }],
})

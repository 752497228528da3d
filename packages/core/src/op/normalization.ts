import { CotangentError } from '../errors.ts'
import { sameShape, type Shape } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { layerNormPrimitive, rmsNormPrimitive } from './row-norm.ts'
import { defineFunction, sampleTensor } from './table.ts'

/** Factor, summand and `eps` of a layer norm; without the first two it only normalises. */
export interface LayerNormOptions {
  /** A factor for each element of the normalised axes. */
  readonly weight?: Tensor | null
  /** What is added to each element of the normalised axes. */
  readonly bias?: Tensor | null
  /** Added to the variance, against division by 0. Default 1e-5. */
  readonly eps?: number
}

/** Factor and `eps` of an RMS norm; without a factor it only normalises. */
export interface RmsNormOptions {
  readonly weight?: Tensor | null
  /** Added to the mean square. Default the machine precision of the computing dtype. */
  readonly eps?: number
}

/** The last axes of x, which must be of `normalizedShape` like weight and bias. */
function lastAxes(op: string, x: Tensor, normalizedShape: number | Shape, affine: readonly Tensor[]): number[] {
  const shape = typeof normalizedShape === 'number' ? [normalizedShape] : normalizedShape
  const lead = x.rank - shape.length
  if (lead < 0 || shape.length === 0 || !sameShape(x.shape.slice(lead), shape) || affine.some((p) => !sameShape(p.shape, shape))) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: `the last axes are not [${shape.join(', ')}], as the weight and bias must be too`,
      shapes: [x.shape, ...affine.map((p) => p.shape)],
      hint: 'Normalise over the last axes of the input, e.g. its last size.',
    })
  }
  return shape.map((_, i) => lead + i)
}

export const layerNorm = defineFunction({
  name: 'layerNorm',
  precision: 'float32',
  doc: 'The last axes (of `normalizedShape`) brought to mean 0 and variance 1, then times weight plus bias. Ba et al., arXiv:1607.06450.',
  call: <S extends Shape>(
    x: Tensor<S>,
    normalizedShape: number | Shape,
    { weight, bias, eps = 1e-5 }: LayerNormOptions = {},
  ): Tensor<S> => {
    const affine = [weight, bias].filter((p) => p != null)
    const axes = lastAxes('layerNorm', x, normalizedShape, affine)
    return bind1(layerNormPrimitive, [x, ...affine], { axes, eps, weight: weight != null, bias: bias != null }) as Tensor<S>
  },
  samples: () => [
    { args: [sampleTensor([3, 5]), 5] },
    { args: [sampleTensor([2, 3, 4]), [3, 4], { weight: sampleTensor([3, 4]), bias: sampleTensor([3, 4]) }] },
    { args: [sampleTensor([2, 7]), [7], { bias: sampleTensor([7]), eps: 0.1 }] },
    { args: [sampleTensor([0, 3]), 3] },
  ],
})

export const rmsNorm = defineFunction({
  name: 'rmsNorm',
  precision: 'float32',
  doc: 'The last axes (of `normalizedShape`) divided by their root mean square, then times weight. Zhang and Sennrich, arXiv:1910.07467.',
  call: <S extends Shape>(x: Tensor<S>, normalizedShape: number | Shape, { weight, eps }: RmsNormOptions = {}): Tensor<S> => {
    const affine = weight == null ? [] : [weight]
    const axes = lastAxes('rmsNorm', x, normalizedShape, affine)
    const tiny = x.dtype === 'float64' ? Number.EPSILON : 2 ** -23
    return bind1(rmsNormPrimitive, [x, ...affine], { axes, eps: eps ?? tiny, weight: weight != null, bias: false }) as Tensor<S>
  },
  samples: () => [
    { args: [sampleTensor([3, 5]), 5] },
    { args: [sampleTensor([2, 3, 4]), [3, 4], { weight: sampleTensor([3, 4]), eps: 1e-6 }] },
    { args: [sampleTensor([0, 3]), 3] },
  ],
})

import { dtypeInfo } from '../dtype.ts'
import type { KernelBuilder, Value } from '../engine/kernel.ts'
import { CotangentError } from '../errors.ts'
import { sameShape, type Shape } from '../layout.ts'
import { bind, bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { momentsOf } from './moments.ts'
import { layerNormPrimitive, type NormAttrs } from './row-norm.ts'
import { rowSize } from './rows.ts'
import { one } from './scalar-math.ts'
import { defineFunction, sampleTensor } from './table.ts'

export interface ChannelNormOptions {
  /** A factor for each channel. */
  readonly weight?: Tensor | null
  /** What is added to each channel. */
  readonly bias?: Tensor | null
  /** Added to the variance, against division by 0. Default 1e-5. */
  readonly eps?: number
}

/** The input says what elements are; statistics and parameters of a half-precision input may be float32, as in PyTorch. */
const operands = ['promote', 'own'] as const

/** Normalised elements with each channel's mean and variance, in one kernel; so are all gradients. */
const batchNormPrimitive = kernelPrimitive<NormAttrs>({
  name: 'batchNorm',
  accepts: ['float'],
  operands,
  result: (compute, _, index) => (index > 0 && dtypeInfo[compute].size === 2 ? 'float32' : compute),
  axes: ({ axes }) => axes,
  levels: ['element', 'row', 'row'],
  code: (k, [x, ...affine], { eps, weight, bias }) => {
    const { mean, squares } = momentsOf(k, x!)
    const variance = k.div(squares, k.like(squares, rowSize(k)))
    const y = k.mul(k.sub(x!, mean), scaleOf(k, variance, weight ? affine[0] : undefined, eps))
    return [bias ? k.add(y, k.cast(affine.at(-1)!, k.typeOf(y))) : y, mean, variance]
  },
  // What a channel has one of stands together, so that elements take two multiply-adds.
  adjoint: (k, [g, ofMean, ofVariance], [x, ...affine], [, mean, variance], { eps, weight, bias }) => {
    const scale = scaleOf(k, variance!, undefined, eps)
    const own = scaleOf(k, variance!, weight ? affine[0] : undefined, eps)
    const d = k.sub(x!, mean!)
    const size = k.like(x!, rowSize(k))
    const [alongBias, alongWeight] = [k.reduce('sum', g!), k.mul(k.reduce('sum', k.mul(g!, d)), scale)]
    const slope = k.div(k.sub(k.add(ofVariance!, ofVariance!), k.mul(k.mul(own, scale), alongWeight)), size)
    const shift = k.div(k.sub(ofMean!, k.mul(own, alongBias)), size)
    const dx = k.add(k.mul(g!, own), k.add(k.mul(d, slope), shift))
    return [dx, ...(weight ? [alongWeight] : []), ...(bias ? [alongBias] : [])]
  },
})

/** What elements less the mean are multiplied by: one number a channel. */
function scaleOf(k: KernelBuilder, variance: Value, weight: Value | undefined, eps: number): Value {
  const root = k.sqrt(k.add(variance, k.like(variance, eps)))
  return k.div(weight === undefined ? one(k, root) : k.cast(weight, k.typeOf(root)), root)
}

const batchNormWithPrimitive = kernelPrimitive<Pick<NormAttrs, 'eps' | 'weight' | 'bias'>>({
  name: 'batchNormWith',
  accepts: ['float'],
  operands,
  code: (k, [x, ...given], { eps, weight, bias }) => {
    const [mean, variance, ...affine] = given.map((value) => k.cast(value, k.typeOf(x!)))
    const scale = scaleOf(k, variance!, weight ? affine[0] : undefined, eps)
    const y = k.mul(k.sub(x!, mean!), scale)
    return [bias ? k.add(y, affine.at(-1)!) : y]
  },
})

function affineOf(op: string, x: Tensor, { weight, bias, eps = 1e-5 }: ChannelNormOptions, stats: readonly Tensor[] = []) {
  const affine = [weight, bias].filter((p) => p != null)
  if (x.rank < 2 || [...stats, ...affine].some((p) => !sameShape(p.shape, x.shape.slice(-1)))) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: 'needs [batch, ..., channels], and one value a channel for all else',
      shapes: [x.shape, ...stats.map((p) => p.shape), ...affine.map((p) => p.shape)],
      hint: 'Channels are last; NCHW data needs moveAxis(1, -1).',
    })
  }
  return { affine, eps, weight: weight != null, bias: bias != null }
}

export const batchNorm = defineFunction({
  name: 'batchNorm',
  doc: 'Each channel (the last axis) brought to mean 0 and variance 1 over all else, with the means and (biased) variances. Ioffe and Szegedy, arXiv:1502.03167.',
  call: <S extends Shape>(x: Tensor<S>, options: ChannelNormOptions = {}): [y: Tensor<S>, mean: Tensor, variance: Tensor] => {
    const { affine, ...attrs } = affineOf('batchNorm', x as unknown as Tensor, options)
    const axes = x.shape.slice(0, -1).map((_, axis) => axis)
    return bind(batchNormPrimitive, [x as unknown as Tensor, ...affine], { axes, ...attrs }) as unknown as [Tensor<S>, Tensor, Tensor]
  },
  samples: () => [
    { args: [sampleTensor([5, 3])] },
    { args: [sampleTensor([2, 3, 2, 4]), { weight: sampleTensor([4]), bias: sampleTensor([4]), eps: 0.1 }] },
    { args: [sampleTensor([3, 2, 5]), { bias: sampleTensor([5]) }] },
  ],
})

export const batchNormWith = defineFunction({
  name: 'batchNormWith',
  doc: 'Each channel (the last axis) less a given mean, over the root of a given variance, times weight plus bias.',
  call: <S extends Shape>(x: Tensor<S>, mean: Tensor, variance: Tensor, options: ChannelNormOptions = {}): Tensor<S> => {
    const { affine, ...attrs } = affineOf('batchNormWith', x as unknown as Tensor, options, [mean, variance])
    return bind1(batchNormWithPrimitive, [x as unknown as Tensor, mean, variance, ...affine], attrs) as unknown as Tensor<S>
  },
  samples: () => {
    const [mean, variance] = [sampleTensor([3]), sampleTensor([3], { low: 0.5, high: 2 })]
    return [
      { args: [sampleTensor([5, 3]), mean, variance] },
      { args: [sampleTensor([2, 2, 3]), mean, variance, { weight: sampleTensor([3]), bias: sampleTensor([3]), eps: 0.1 }] },
      { args: [sampleTensor([0, 3]), mean, variance] },
    ]
  },
})

export const groupNorm = defineFunction({
  name: 'groupNorm',
  precision: 'float32',
  doc: 'Each group of channels of each sample brought to mean 0 and variance 1, then times weight plus bias a channel. Wu and He, arXiv:1803.08494.',
  call: <S extends Shape>(x: Tensor<S>, groups: number, options: ChannelNormOptions = {}): Tensor<S> => {
    const { affine, ...attrs } = affineOf('groupNorm', x as unknown as Tensor, options)
    const channels = x.shape.at(-1)!
    if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0) {
      throw new CotangentError('invalid-argument', {
        op: 'groupNorm',
        message: `${channels} channels do not split into ${groups} groups`,
        shapes: [x.shape],
        hint: 'Choose a number of groups that divides the channels.',
      })
    }
    const size = [groups, channels / groups]
    const split = (x as unknown as Tensor).reshape([x.shape[0]!, x.shape.slice(1, -1).reduce((a, b) => a * b, 1), ...size])
    const y = bind1(layerNormPrimitive, [split, ...affine.map((p) => p.reshape(size))], { axes: [1, 3], ...attrs })
    return y.reshape(x.shape as Shape) as unknown as Tensor<S>
  },
  samples: () => [
    { args: [sampleTensor([2, 3, 4]), 2] },
    { args: [sampleTensor([2, 2, 3, 6]), 3, { weight: sampleTensor([6]), bias: sampleTensor([6]) }] },
    { args: [sampleTensor([2, 4]), 1, { eps: 0.1 }] },
  ],
})

export const instanceNorm = defineFunction({
  name: 'instanceNorm',
  doc: 'Each channel of each sample brought to mean 0 and variance 1, then times weight plus bias. Ulyanov et al., arXiv:1607.08022.',
  call: <S extends Shape>(x: Tensor<S>, options: ChannelNormOptions = {}): Tensor<S> => {
    affineOf('instanceNorm', x as unknown as Tensor, options)
    return groupNorm(x, Math.max(1, x.shape.at(-1)!), options)
  },
  samples: () => [
    { args: [sampleTensor([2, 3, 4])] },
    { args: [sampleTensor([2, 2, 3, 2]), { weight: sampleTensor([2]), bias: sampleTensor([2]) }] },
  ],
})

import { CotangentError } from '../errors.ts'
import { sameShape, type Shape } from '../layout.ts'
import type { Broadcast, Checked, Reduced, Result, Rows } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type LossOptions, reduceLoss, type Reduction, type WithReduction } from './loss.ts'
import type { HingeOptions } from './losses.ts'
import { defineFunction, sampleTensor } from './table.ts'
import { where } from './where.ts'

export const cosineSimilarity = defineFunction({
  name: 'cosineSimilarity',
  precision: 'float32',
  doc: 'a . b / (|a| |b|) along an axis (default the last); each norm is at least eps (default 1e-8).',
  call: (a: Tensor, b: Tensor, { axis = -1, eps = 1e-8 }: { readonly axis?: number; readonly eps?: number } = {}): Tensor => {
    const unit = (x: Tensor): Tensor =>
      x.div(
        x
          .mul(x)
          .sum({ axis, keepDims: true })
          .clamp({ min: eps * eps })
          .sqrt(),
      )
    return (unit(a).mul(unit(b)) as Tensor).sum(axis)
  },
  samples: () => [
    { args: [sampleTensor([3, 4]), sampleTensor([3, 4])] },
    { args: [sampleTensor([2, 3, 4]), sampleTensor([3, 4]), { axis: 1 }] },
  ],
})

interface CosineEmbeddingLoss {
  <A extends Shape, B extends Shape, R extends Reduction = 'mean'>(
    a: Tensor<A>,
    b: Checked<Broadcast<A, B>, Tensor<B>>,
    target: Tensor,
    options?: WithReduction<HingeOptions, R>,
  ): Tensor<Reduced<R, Rows<Result<Broadcast<A, B>>>>>
}

export const cosineEmbeddingLoss: CosineEmbeddingLoss = defineFunction({
  name: 'cosineEmbeddingLoss',
  precision: 'float32',
  doc: '1 - cosine of two vectors [..., size] where y is 1, max(0, cosine - margin) where y is -1.',
  call: ((a: Tensor, b: Tensor, target: Tensor, { margin = 0, reduction }: HingeOptions = {}): Tensor => {
    const cosine = cosineSimilarity(a, b)
    if (!sameShape(cosine.shape, target.shape))
      throw new CotangentError('shape-mismatch', {
        op: 'cosineEmbeddingLoss',
        message: 'needs one target a pair of vectors',
        shapes: [a.shape, b.shape, target.shape],
      })
    return reduceLoss('cosineEmbeddingLoss', where(target.gt(0), cosine.neg().add(1), cosine.sub(margin).relu()), reduction)
  }) as CosineEmbeddingLoss,
  samples: () => [{ args: [sampleTensor([4, 3]), sampleTensor([4, 3]), sampleTensor([4], { values: [1, -1, -1, 1] }), { margin: 0.2 }] }],
})

export const pairwiseDistance = defineFunction({
  name: 'pairwiseDistance',
  precision: 'float32',
  doc: 'p-norm (default 2) of a - b + eps (default 1e-6) along the last axis.',
  call: (
    a: Tensor,
    b: Tensor,
    { p = 2, eps = 1e-6, keepDims = false }: { readonly p?: number; readonly eps?: number; readonly keepDims?: boolean } = {},
  ): Tensor => (a.sub(b).add(eps) as Tensor).norm(-1, { p, keepDims }),
  samples: () => [
    { args: [sampleTensor([3, 4]), sampleTensor([3, 4])] },
    { args: [sampleTensor([3, 4]), sampleTensor([4]), { p: 1, keepDims: true }] },
  ],
})

/** The margin and the distance of triplet loss. */
export interface TripletOptions extends LossOptions {
  /** By how much the negative should be further away. Default 1. */
  readonly margin?: number
  /** Which norm measures distances. Default 2. */
  readonly p?: number
  /** Added to each difference. Default 1e-6. */
  readonly eps?: number
  /** Whether to take the negative's distance from the positive where that is smaller. Balntas et al. (2016). Default false. */
  readonly swap?: boolean
}

interface TripletMarginLoss {
  <A extends Shape, B extends Shape, C extends Shape, R extends Reduction = 'mean'>(
    anchor: Tensor<A>,
    positive: Checked<Broadcast<A, B>, Tensor<B>>,
    negative: Checked<Broadcast<Result<Broadcast<A, B>>, C>, Tensor<C>>,
    options?: WithReduction<TripletOptions, R>,
  ): Tensor<Reduced<R, Rows<Result<Broadcast<Result<Broadcast<A, B>>, C>>>>>
}

export const tripletMarginLoss: TripletMarginLoss = defineFunction({
  name: 'tripletMarginLoss',
  precision: 'float32',
  doc: 'max(0, |anchor - positive| - |anchor - negative| + margin) of vectors [..., size].',
  call: ((
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    { margin = 1, p = 2, eps = 1e-6, swap = false, reduction }: TripletOptions = {},
  ): Tensor => {
    const distance = (a: Tensor, b: Tensor): Tensor => pairwiseDistance(a, b, { p, eps })
    const apart = distance(anchor, negative)
    const far = swap ? apart.minimum(distance(positive, negative)) : apart
    return reduceLoss('tripletMarginLoss', distance(anchor, positive).sub(far).add(margin).relu() as Tensor, reduction)
  }) as TripletMarginLoss,
  samples: () => {
    const vectors = [sampleTensor([4, 3]), sampleTensor([4, 3]), sampleTensor([4, 3])]
    return [{ args: vectors }, { args: [...vectors, { swap: true, p: 1, margin: 0.5, reduction: 'none' }] }]
  },
})

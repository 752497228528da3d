import { where } from '../../op/index.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import { MeanMetric, type NameOption } from './mean-metric.ts'
import { checkSameShape, sampleWeights } from './sample-weights.ts'

/** The mean cosine of the angle between predicted and target vectors, which are on the last axis. 0 where one is 0; NaN without any. */
export class CosineSimilarity extends MeanMetric<[predictions: Tensor, targets: Tensor, options?: MetricUpdateOptions]> {
  constructor({ name = 'cosineSimilarity' }: NameOption = {}) {
    super(name)
  }

  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    checkSameShape(this.name, predictions, targets)
    this.accumulateMean(() => {
      const [a, b] = [unit(predictions.cast('float64')), unit(targets.cast('float64'))]
      return { values: a.mul(b).sum(-1), weights: sampleWeights(this.name, targets.shape.slice(0, -1), options) }
    })
  }
}

function unit(x: Tensor): Tensor {
  const length = x.norm({ axis: -1, keepDims: true })
  return x.div(where(length.eq(0), 1, length))
}

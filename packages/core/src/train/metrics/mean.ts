import { full } from '../../op/index.ts'
import { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import { MeanMetric, type NameOption } from './mean-metric.ts'
import { sampleWeights } from './sample-weights.ts'

/** The mean of given numbers, such as losses: weigh the mean loss of a batch by the size of the batch. */
export class Mean extends MeanMetric<[values: Tensor | number, options?: MetricUpdateOptions]> {
  constructor({ name = 'mean' }: NameOption = {}) {
    super(name)
  }

  update(values: Tensor | number, options: MetricUpdateOptions = {}): void {
    this.accumulateMean(() => {
      const x = values instanceof Tensor ? values : full([], values, { dtype: 'float64' })
      return { values: x, weights: sampleWeights(this.name, x.shape, options) }
    })
  }
}

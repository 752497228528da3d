import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import { MeanMetric } from './mean-metric.ts'
import { checkSameShape, sampleWeights } from './sample-weights.ts'

/**
 * The mean of an error of each prediction. Predictions and targets have one shape, whatever it is; all elements count alike, so
 * several outputs are averaged uniformly. A NaN that is not masked makes it NaN, and so does the lack of samples.
 */
export abstract class ErrorMetric extends MeanMetric<[predictions: Tensor, targets: Tensor, options?: MetricUpdateOptions]> {
  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    checkSameShape(this.name, predictions, targets)
    this.accumulateMean(() => ({
      values: this.error(predictions.cast('float64'), targets.cast('float64')),
      weights: sampleWeights(this.name, targets.shape, options),
    }))
  }

  /** Elementwise, in float64. */
  protected abstract error(predictions: Tensor, targets: Tensor): Tensor
}

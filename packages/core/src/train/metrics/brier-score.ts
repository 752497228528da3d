import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import { classScores, type ClassOptions, type ClassSetup, classSetup, labelScores } from './class-labels.ts'
import { MeanMetric } from './mean-metric.ts'

/**
 * Brier's score of probabilities, less is better: the mean of (probability - outcome)², which in a multiclass task is summed over
 * classes (0 to 2). Brier, "Verification of forecasts expressed in terms of probability" (1950). NaN without samples.
 */
export class BrierScore extends MeanMetric<[predictions: Tensor, targets: Tensor, options?: MetricUpdateOptions]> {
  readonly #setup: ClassSetup

  constructor(options: Omit<ClassOptions, 'threshold'> = {}) {
    const setup = classSetup('brier', options)
    super(setup.name)
    this.#setup = setup
  }

  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    this.accumulateMean(() => {
      if (this.#setup.task !== 'multiclass') {
        const { scores, actual, weights } = labelScores(this.#setup, predictions, targets, options)
        return { values: scores.sub(actual).square(), weights }
      }
      const { scores, actual, weights } = classScores(this.#setup, predictions, targets, options)
      const outcome = actual.oneHot(this.#setup.classes, { dtype: 'float64' })
      return { values: scores.sub(outcome).square().sum(-1), weights }
    })
  }
}

import { bceWithLogitsLoss, crossEntropy, where } from '../../op/index.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import {
  checkScores,
  type ClassOptions,
  type ClassSetup,
  classSetup,
  inRange,
  labelScores,
  someNaN,
  targetIndices,
  targetWeights,
} from './class-labels.ts'
import { MeanMetric } from './mean-metric.ts'

/** How close to 0 and 1 probabilities are believed. */
export interface LogLossOptions extends Omit<ClassOptions, 'threshold'> {
  /** Probabilities are kept so far from 0 and 1. Default 2^-52, as in scikit-learn. */
  readonly epsilon?: number
}

/** The mean of -log(probability of what is true), also called cross-entropy, in nats. NaN without samples. */
export class LogLoss extends MeanMetric<[predictions: Tensor, targets: Tensor, options?: MetricUpdateOptions]> {
  readonly #setup: ClassSetup
  readonly #epsilon: number

  constructor({ epsilon = Number.EPSILON, ...options }: LogLossOptions = {}) {
    const setup = classSetup('logLoss', options)
    super(setup.name)
    this.#setup = setup
    this.#epsilon = epsilon
  }

  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    this.accumulateMean(() =>
      this.#setup.task === 'multiclass'
        ? classLogLoss(this.#setup, predictions, targets, options, this.#epsilon)
        : this.#ofLabels(predictions, targets, options),
    )
  }

  #ofLabels(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions) {
    const { fromLogits = false } = this.#setup
    const { scores, actual, weights } = labelScores({ ...this.#setup, fromLogits: false }, predictions, targets, options)
    if (fromLogits) return { values: bceWithLogitsLoss(scores, actual, { reduction: 'none' }), weights }
    const bounded = scores.clamp({ min: this.#epsilon, max: 1 - this.#epsilon })
    return { values: where(actual.eq(1), bounded, bounded.neg().add(1)).log().neg(), weights }
  }
}

/** -log(probability of the target class) of each sample, with how much it counts. */
export function classLogLoss(setup: ClassSetup, predictions: Tensor, targets: Tensor, options: MetricUpdateOptions, epsilon: number) {
  const index = targetIndices(setup, predictions, targets)
  checkScores(setup.name, setup.classes, predictions, index)
  const rows = (predictions.dtype === 'float64' ? predictions : predictions.cast('float32')).reshape([-1, setup.classes])
  const actual = inRange(index, setup.classes)
  const bounded = () =>
    rows
      .gather(1, actual.unsqueeze(-1))
      .cast('float64')
      .clamp({ min: epsilon, max: 1 - epsilon })
  return {
    values: setup.fromLogits ? crossEntropy(rows, actual, { reduction: 'none' }) : bounded().log().neg().squeeze(-1),
    weights: targetWeights(setup, index, options, someNaN(predictions)).reshape([-1]),
  }
}

import type { Tensor } from '../../tensor/tensor.ts'
import { ErrorMetric } from './error-metric.ts'
import type { NameOption } from './mean-metric.ts'

/** What targets near 0 are divided by. */
export interface PercentageErrorOptions extends NameOption {
  /** Stands in for targets that are closer to 0. Default 2^-52, as in scikit-learn. */
  readonly epsilon?: number
}

/** MAPE: the mean of |prediction - target| / |target|, as a fraction (1 is 100%). */
export class MeanAbsolutePercentageError extends ErrorMetric {
  readonly #epsilon: number

  constructor({ name = 'mape', epsilon = Number.EPSILON }: PercentageErrorOptions = {}) {
    super(name)
    this.#epsilon = epsilon
  }

  protected error(predictions: Tensor, targets: Tensor): Tensor {
    return predictions
      .sub(targets)
      .abs()
      .div(targets.abs().clamp({ min: this.#epsilon }))
  }
}

import type { Tensor } from '../../tensor/tensor.ts'
import { ErrorMetric } from './error-metric.ts'
import type { NameOption } from './mean.ts'

/** MSE: the mean of (prediction - target)². */
export class MeanSquaredError extends ErrorMetric {
  constructor({ name = 'mse' }: NameOption = {}) {
    super(name)
  }

  protected error(predictions: Tensor, targets: Tensor): Tensor {
    return predictions.sub(targets).square()
  }
}

/** RMSE: the root of the mean squared error. */
export class RootMeanSquaredError extends MeanSquaredError {
  constructor({ name = 'rmse' }: NameOption = {}) {
    super({ name })
  }

  protected override finish(mean: number): number {
    return Math.sqrt(mean)
  }
}

import type { Tensor } from '../../tensor/tensor.ts'
import { ErrorMetric } from './error-metric.ts'
import type { NameOption } from './mean-metric.ts'

/** MSE: the mean of (prediction - target)². */
export class MeanSquaredError extends ErrorMetric {
  constructor({ name = 'mse' }: NameOption = {}) {
    super(name)
  }

  protected error(predictions: Tensor, targets: Tensor): Tensor {
    return predictions.sub(targets).square()
  }
}

import type { Tensor } from '../../tensor/tensor.ts'
import { ErrorMetric } from './error-metric.ts'
import type { NameOption } from './mean-metric.ts'

/** MAE: the mean of |prediction - target|. */
export class MeanAbsoluteError extends ErrorMetric {
  constructor({ name = 'mae' }: NameOption = {}) {
    super(name)
  }

  protected error(predictions: Tensor, targets: Tensor): Tensor {
    return predictions.sub(targets).abs()
  }
}

import type { NameOption } from './mean-metric.ts'
import { MeanSquaredError } from './mean-squared-error.ts'

/** RMSE: the root of the mean squared error. */
export class RootMeanSquaredError extends MeanSquaredError {
  constructor({ name = 'rmse' }: NameOption = {}) {
    super({ name })
  }

  protected override finish(mean: number): number {
    return Math.sqrt(mean)
  }
}

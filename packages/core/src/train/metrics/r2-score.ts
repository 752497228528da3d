import type { Tensor } from '../../tensor/tensor.ts'
import { CoMomentsMetric, type Moments, type OutputsAverage, type OutputsOptions } from './co-moments.ts'

/** How outputs are averaged, and for how many regressors the value is adjusted. */
export interface R2Options<A extends OutputsAverage = OutputsAverage> extends OutputsOptions<A> {
  /** Regressors of the model, for the adjusted R² 1 - (1 - R²)(n - 1) / (n - regressors - 1). Default 0: not adjusted. */
  readonly regressors?: number
}

/**
 * R², the coefficient of determination: 1 - (squared error) / (squared deviation of the targets from their mean). 1 at best,
 * 0 for predicting the mean, negative for worse. Where targets do not vary, as with a single sample, it is 1 for a perfect
 * prediction and else 0, as in scikit-learn, where a single sample alone gives NaN; NaN without samples.
 */
export class R2Score<A extends OutputsAverage = 'uniform'> extends CoMomentsMetric<A> {
  readonly #regressors: number

  constructor({ name = 'r2', regressors = 0, ...options }: R2Options<A> = {}) {
    super(name, options)
    this.#regressors = regressors
  }

  protected quantities(predictions: Tensor, targets: Tensor): [Tensor, Tensor] {
    return [targets, targets.sub(predictions)]
  }

  protected value({ weight, meanB, aa, bb }: Moments): number {
    const r2 = explained(bb + weight * meanB ** 2, aa)
    return this.#regressors === 0 ? r2 : 1 - ((1 - r2) * (weight - 1)) / (weight - this.#regressors - 1)
  }

  protected variance({ aa }: Moments): number {
    return aa
  }
}

/** The share of a sum of squares that is not left over. */
export function explained(rest: number, all: number): number {
  if (all === 0) return rest === 0 ? 1 : 0
  return 1 - rest / all
}

import type { Tensor } from '../../tensor/tensor.ts'
import { CoMomentsMetric, type Moments, type OutputsAverage, type OutputsOptions } from './co-moments.ts'
import { explained } from './r2-score.ts'

/**
 * 1 - (variance of the errors) / (variance of the targets): R² that forgives a constant offset. Where targets do not vary, it is 1
 * where errors do not either and else 0, as in scikit-learn; NaN without samples.
 */
export class ExplainedVariance<A extends OutputsAverage = 'uniform'> extends CoMomentsMetric<A> {
  constructor({ name = 'explainedVariance', ...options }: OutputsOptions<A> = {}) {
    super(name, options)
  }

  protected quantities(predictions: Tensor, targets: Tensor): [Tensor, Tensor] {
    return [targets, targets.sub(predictions)]
  }

  protected value({ aa, bb }: Moments): number {
    return explained(bb, aa)
  }

  protected variance({ aa }: Moments): number {
    return aa
  }
}

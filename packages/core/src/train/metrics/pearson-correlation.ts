import type { Tensor } from '../../tensor/tensor.ts'
import { CoMomentsMetric, type Moments, type OutputsAverage, type OutputsOptions } from './co-moments.ts'

/** Pearson's r: covariance / (deviation of predictions · deviation of targets), from -1 to 1. NaN where one of them does not vary. */
export class PearsonCorrelation<A extends OutputsAverage = 'uniform'> extends CoMomentsMetric<A> {
  constructor({ name = 'pearson', ...options }: OutputsOptions<A> = {}) {
    super(name, options)
  }

  protected quantities(predictions: Tensor, targets: Tensor): [Tensor, Tensor] {
    return [targets, predictions]
  }

  protected value({ aa, bb, ab }: Moments): number {
    // Two roots: the product of the sums could overflow.
    return Math.max(-1, Math.min(1, ab / Math.sqrt(aa) / Math.sqrt(bb)))
  }

  protected variance({ aa }: Moments): number {
    return aa
  }
}

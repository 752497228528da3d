import type { Tensor } from '../../tensor/tensor.ts'
import { weighted } from './sample-weights.ts'
import { SumMetric, type Sums } from './sum-metric.ts'

export interface NameOption {
  /** What logs call it. Default: the kind. */
  readonly name?: string
}

/** A metric that is a function of the weighted mean of a value of each sample. NaN without samples. */
export abstract class MeanMetric<In extends readonly unknown[]> extends SumMetric<number, 'sum' | 'weight', In> {
  constructor(name: string) {
    super(name, { sum: [], weight: [] })
  }

  protected accumulateMean(values: () => { readonly values: Tensor; readonly weights: Tensor }): void {
    this.accumulate(() => {
      const { values: x, weights } = values()
      return { sum: weighted(weights, x).sum(), weight: weights.sum() }
    })
  }

  protected evaluate({ sum, weight }: Sums<'sum' | 'weight'>): number {
    return this.finish(sum[0]! / weight[0]!)
  }

  /** The metric, from the mean. */
  protected finish(mean: number): number {
    return mean
  }
}

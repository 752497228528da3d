import type { ClassAverage } from './class-average.ts'
import { precisionRecallArea, type RankingCurve } from './ranking-curve.ts'
import { RankingMetric, type RankingOptions } from './ranking-metric.ts'

/** The mean of the precisions at each sample found, without interpolation. NaN where there are no positives. */
export class AveragePrecision<A extends ClassAverage = 'macro'> extends RankingMetric<A> {
  constructor(options: RankingOptions<A> = {}) {
    super('averagePrecision', options)
  }

  protected area(curve: RankingCurve): number {
    return precisionRecallArea(curve, { trapezoids: false })
  }
}

import type { ClassAverage } from './class-average.ts'
import { precisionRecallArea, type RankingCurve } from './ranking-curve.ts'
import { RankingMetric, type RankingOptions } from './ranking-metric.ts'

/** The area below the curve of precision over recall, joined by lines. NaN where there are no positives. See `AveragePrecision`. */
export class PrAuc<A extends ClassAverage = 'macro'> extends RankingMetric<A> {
  constructor(options: RankingOptions<A> = {}) {
    super('prAuc', options)
  }

  protected area(curve: RankingCurve): number {
    return precisionRecallArea(curve, { trapezoids: true })
  }
}

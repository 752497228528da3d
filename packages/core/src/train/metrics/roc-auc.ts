import type { ClassAverage } from './class-average.ts'
import { type RankingCurve, rocArea } from './ranking-curve.ts'
import { RankingMetric, type RankingOptions } from './ranking-metric.ts'

/**
 * The area below the receiver operating characteristic: the chance that a positive sample has a higher score than a negative one,
 * ties counting half. NaN where one of both kinds is missing.
 */
export class RocAuc<A extends ClassAverage = 'macro'> extends RankingMetric<A> {
  constructor(options: RankingOptions<A> = {}) {
    super('rocAuc', options)
  }

  protected area(curve: RankingCurve): number {
    return rocArea(curve)
  }
}

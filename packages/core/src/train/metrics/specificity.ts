import type { ClassAverage } from './class-average.ts'
import { type AveragedClassOptions, type ClassCount, ClassCountMetric } from './class-counts.ts'

/** The share of those not of a class that were not taken for it: true negatives / negatives. Default average: `macro`. */
export class Specificity<A extends ClassAverage = 'macro'> extends ClassCountMetric<A> {
  constructor(options: AveragedClassOptions<A> = {}) {
    super('specificity', options)
  }

  protected ratio({ total, predicted, actual, hits }: ClassCount): [number, number] {
    return [total - predicted - actual + hits, total - actual]
  }
}

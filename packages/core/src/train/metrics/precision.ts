import type { ClassAverage } from './class-average.ts'
import { type AveragedClassOptions, type ClassCount, ClassCountMetric } from './class-counts.ts'

/** The share of right ones among those predicted to be of a class. Default average: `macro`. */
export class Precision<A extends ClassAverage = 'macro'> extends ClassCountMetric<A> {
  constructor(options: AveragedClassOptions<A> = {}) {
    super('precision', options)
  }

  protected ratio({ hits, predicted }: ClassCount): [number, number] {
    return [hits, predicted]
  }
}

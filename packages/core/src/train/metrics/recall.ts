import type { ClassAverage } from './class-average.ts'
import { type AveragedClassOptions, type ClassCount, ClassCountMetric } from './class-counts.ts'

/** The share of those of a class that were found. Default average: `macro`. */
export class Recall<A extends ClassAverage = 'macro'> extends ClassCountMetric<A> {
  constructor(options: AveragedClassOptions<A> = {}) {
    super('recall', options)
  }

  protected ratio({ hits, actual }: ClassCount): [number, number] {
    return [hits, actual]
  }
}

import type { ClassAverage } from './class-average.ts'
import { type AveragedClassOptions, type ClassCount, ClassCountMetric } from './class-counts.ts'

/** Dice's coefficient 2·|both| / (|predicted| + |actual|) over all samples, which is F1. Default average: `macro`. */
export class Dice<A extends ClassAverage = 'macro'> extends ClassCountMetric<A> {
  constructor(options: AveragedClassOptions<A> = {}) {
    super('dice', options)
  }

  protected ratio({ hits, predicted, actual }: ClassCount): [number, number] {
    return [2 * hits, predicted + actual]
  }
}

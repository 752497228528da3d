import type { ClassAverage } from './class-average.ts'
import { type AveragedClassOptions, type ClassCount, ClassCountMetric } from './class-counts.ts'

/**
 * Intersection over union, also called the Jaccard index: of those predicted to be of a class and those that are, the share that is
 * both. Predictions may be pixels: scores `[batch, height, width, classes]`. Default average: `macro`, the mean IoU.
 */
export class IoU<A extends ClassAverage = 'macro'> extends ClassCountMetric<A> {
  constructor(options: AveragedClassOptions<A> = {}) {
    super('iou', options)
  }

  protected ratio({ hits, predicted, actual }: ClassCount): [number, number] {
    return [hits, predicted + actual - hits]
  }
}

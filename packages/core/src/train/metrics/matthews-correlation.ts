import type { ClassOptions } from './class-labels.ts'
import { columnSums, ConfusionMetric, sumOf } from './confusion-matrix.ts'
import type { Sums } from './sum-metric.ts'

/**
 * Matthews' correlation of predicted and true classes, from -1 to 1, for two or more of them: Gorodkin, "Comparing two K-category
 * assignments by a K-category correlation coefficient" (2004). In a multilabel task, of all labels together. 0 where all predictions
 * or all targets are of one class; NaN without samples.
 */
export class MatthewsCorrelation extends ConfusionMetric<number> {
  constructor(options: ClassOptions = {}) {
    super('matthews', options)
  }

  protected evaluate(sums: Sums<'counts'>): number {
    const all = this.matrices(sums)
    const matrix = all[0]!.map((row, i) => row.map((_, j) => sumOf(all.map((one) => one[i]![j]!))))
    const [predicted, actual] = [columnSums(matrix), matrix.map(sumOf)]
    const total = sumOf(actual)
    if (total === 0) return Number.NaN
    const share = (x: readonly number[], y: readonly number[]) => sumOf(x.map((value, i) => (value / total) * (y[i]! / total)))
    const hits = sumOf(matrix.map((row, i) => row[i]! / total))
    const spread = (1 - share(predicted, predicted)) * (1 - share(actual, actual))
    return spread === 0 || Number.isNaN(spread) ? spread : (hits - share(predicted, actual)) / Math.sqrt(spread)
  }
}

import { CotangentError } from '../../errors.ts'
import { stack } from '../../op/index.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import type { NameOption } from './mean-metric.ts'
import { checkSameShape, sampleWeights } from './sample-weights.ts'
import { StoredMetric, type StoredRows } from './stored-metric.ts'

/**
 * Spearman's rho: Pearson's correlation of the ranks of predictions and targets, from -1 to 1; equal values share their mean rank.
 * NaN where one of them does not vary, for a NaN that is not masked, and without samples. It keeps all samples.
 */
export class SpearmanCorrelation extends StoredMetric<
  number,
  [predictions: Tensor, targets: Tensor, options?: Pick<MetricUpdateOptions, 'mask'>]
> {
  constructor({ name = 'spearman' }: NameOption = {}) {
    super(name, 3)
  }

  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    checkSameShape(this.name, predictions, targets)
    if (options.weights)
      throw new CotangentError('unsupported', { op: this.name, message: 'ranks have no weights', hint: 'Leave samples out with { mask }.' })
    this.store(() => {
      const column = (x: Tensor) => x.cast('float64').reshape([-1])
      return stack([column(predictions), column(targets), column(sampleWeights(this.name, targets.shape, options))], 1)
    })
  }

  protected evaluate({ rows, at }: StoredRows): number {
    const counted = Array.from({ length: rows }, (_, row) => row).filter((row) => at(row, 2) !== 0)
    const [a, b] = [0, 1].map((column) => ranksOf(counted.map((row) => at(row, column))))
    // The mean of ranks is what it is, however many are equal.
    const mean = (counted.length + 1) / 2
    const product = (x: readonly number[], y: readonly number[]) => x.reduce((sum, value, i) => sum + (value - mean) * (y[i]! - mean), 0)
    return product(a!, b!) / Math.sqrt(product(a!, a!)) / Math.sqrt(product(b!, b!))
  }
}

/** Ranks from 1; equal values share the mean of theirs. NaN has none. */
function ranksOf(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((i, j) => values[i]! - values[j]!)
  const ranks = values.map(() => Number.NaN)
  if (values.some(Number.isNaN)) return ranks
  for (let start = 0, end = 0; start < order.length; start = end) {
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + 1 + end) / 2
  }
  return ranks
}

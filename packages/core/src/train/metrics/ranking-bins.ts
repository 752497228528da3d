import { arange, tensor } from '../../op/index.ts'
import { keep } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import { classScores, type ClassSetup, labelScores } from './class-labels.ts'
import type { RankingCurve } from './ranking-curve.ts'
import { SumMetric, type Sums } from './sum-metric.ts'

type Counted = 'positives' | 'negatives'

/** The curve of each class or label at given thresholds only, from counts; with `together`, one of all. */
export class RankingBins extends SumMetric<RankingCurve[], Counted, [predictions: Tensor, targets: Tensor, options?: MetricUpdateOptions]> {
  readonly #setup: ClassSetup
  readonly #thresholds: readonly number[]
  readonly #bounds: Tensor
  readonly #together: boolean

  /** @param thresholds Ascending. */
  constructor(setup: ClassSetup, { thresholds, together }: { readonly thresholds: readonly number[]; readonly together: boolean }) {
    const shape = [setup.classes * (thresholds.length + 1)]
    super(setup.name, { positives: shape, negatives: shape })
    this.#setup = setup
    this.#thresholds = thresholds
    this.#bounds = keep(tensor(thresholds, { dtype: 'float64' }))
    this.#together = together
  }

  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    this.accumulate(() => {
      const { scores, actual, weights } = this.#labels(predictions, targets, options)
      const { classes } = this.#setup
      const bins = this.#thresholds.length + 1
      // A bin is the number of thresholds that a score reaches.
      const bin = scores.unsqueeze(-1).ge(this.#bounds).cast('int32').sum(-1)
      const cell = bin.add(arange(classes, { dtype: 'int32' }).mul(bins)).reshape([-1])
      const count = (w: Tensor) => cell.bincount({ weights: w, length: classes * bins })
      const positives = weights.mul(actual)
      return { positives: count(positives), negatives: count(weights.sub(positives)) }
    })
  }

  #labels(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions): Record<'scores' | 'actual' | 'weights', Tensor> {
    if (this.#setup.task !== 'multiclass') return labelScores(this.#setup, predictions, targets, options)
    const { scores, actual, weights } = classScores(this.#setup, predictions, targets, options)
    return { scores, actual: actual.oneHot(this.#setup.classes, { dtype: 'float64' }), weights: weights.unsqueeze(-1) }
  }

  protected evaluate({ positives, negatives }: Sums<Counted>): RankingCurve[] {
    const bins = this.#thresholds.length + 1
    const labels = Array.from({ length: this.#setup.classes }, (_, label) => label)
    const curveOf = (of: readonly number[]): RankingCurve => {
      const curve = { thresholds: [] as number[], truePositives: [] as number[], falsePositives: [] as number[] }
      const within = (counts: Float64Array, bin: number) => of.reduce((sum, label) => sum + counts[label * bins + bin]!, 0)
      for (let bin = bins - 1; bin >= 0; bin--) {
        curve.thresholds.push(bin === 0 ? Number.NEGATIVE_INFINITY : this.#thresholds[bin - 1]!)
        curve.truePositives.push((curve.truePositives.at(-1) ?? 0) + within(positives, bin))
        curve.falsePositives.push((curve.falsePositives.at(-1) ?? 0) + within(negatives, bin))
      }
      return curve
    }
    return this.#together ? [curveOf(labels)] : labels.map((label) => curveOf([label]))
  }
}

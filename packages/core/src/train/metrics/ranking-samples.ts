import { concat } from '../../op/index.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import { classScores, type ClassSetup, labelScores } from './class-labels.ts'
import { type RankingCurve, rankingCurve } from './ranking-curve.ts'
import { StoredMetric, type StoredRows } from './stored-metric.ts'

/** The exact curve of each class or label, from all scores; with `together`, one of all. */
export class RankingSamples extends StoredMetric<RankingCurve[], [predictions: Tensor, targets: Tensor, options?: MetricUpdateOptions]> {
  readonly #setup: ClassSetup
  readonly #together: boolean

  constructor(setup: ClassSetup, { together }: { readonly together: boolean }) {
    // A class index and a weight serve all classes; labels have their own.
    super(setup.name, setup.task === 'multiclass' ? setup.classes + 2 : 3 * setup.classes)
    this.#setup = setup
    this.#together = together
  }

  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    this.store(() => {
      if (this.#setup.task !== 'multiclass') {
        const { scores, actual, weights } = labelScores(this.#setup, predictions, targets, options)
        return concat([scores, actual, weights], 1)
      }
      const { scores, actual, weights } = classScores(this.#setup, predictions, targets, options)
      return concat([scores, actual.cast('float64').unsqueeze(-1), weights.unsqueeze(-1)], 1)
    })
  }

  protected evaluate({ rows, at }: StoredRows): RankingCurve[] {
    const { task, classes } = this.#setup
    const samplesOf = (label: number) =>
      Array.from({ length: rows }, (_, row) => ({
        score: at(row, label),
        positive: task === 'multiclass' ? Number(at(row, classes) === label) : at(row, classes + label),
        weight: task === 'multiclass' ? at(row, classes + 1) : at(row, 2 * classes + label),
      }))
    const labels = Array.from({ length: classes }, (_, label) => label)
    return this.#together ? [rankingCurve(labels.flatMap(samplesOf))] : labels.map((label) => rankingCurve(samplesOf(label)))
  }
}

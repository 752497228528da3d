import { CotangentError } from '../../errors.ts'
import type { ClassOptions } from './class-labels.ts'
import { columnSums, ConfusionMetric, sumOf } from './confusion-matrix.ts'
import type { Sums } from './sum-metric.ts'

/** How much it matters by how many classes a prediction is off. */
export interface CohenKappaOptions extends ClassOptions {
  /** How much it matters to be off by d classes: all the same (default), d, or d². For classes that are in order. */
  readonly distance?: 'linear' | 'quadratic'
}

/**
 * Cohen's kappa: agreement of predicted and true classes beyond that of chance, 1 at best and 0 for chance. Cohen, "A coefficient of
 * agreement for nominal scales" (1960). NaN where chance agrees always (all samples are of one class and predicted so), and without samples.
 */
export class CohenKappa extends ConfusionMetric<number> {
  readonly #distance: CohenKappaOptions['distance']

  constructor({ distance, ...options }: CohenKappaOptions = {}) {
    super('cohenKappa', options)
    this.#distance = distance
    if (this.setup.task === 'multilabel') {
      throw new CotangentError('invalid-argument', {
        op: this.name,
        message: 'labels that hold at the same time have no kappa together',
        hint: 'Make one binary metric for each label.',
      })
    }
  }

  protected evaluate(sums: Sums<'counts'>): number {
    const matrix = this.matrices(sums)[0]!
    const [predicted, actual] = [columnSums(matrix), matrix.map(sumOf)]
    const total = sumOf(actual)
    const cost = (row: number, column: number) => {
      const off = Math.abs(row - column)
      return this.#distance === 'linear' ? off : this.#distance === 'quadratic' ? off ** 2 : Number(off > 0)
    }
    const disagreement = (cell: (row: number, column: number) => number) =>
      sumOf(matrix.map((row, i) => sumOf(row.map((_, j) => cost(i, j) * cell(i, j)))))
    return 1 - disagreement((i, j) => matrix[i]![j]!) / disagreement((i, j) => (actual[i]! / total) * predicted[j]!)
  }
}

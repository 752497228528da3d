import { CotangentError } from '../../errors.ts'
import { arange } from '../../op/index.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import { classIndices, type ClassOptions, type ClassSetup, classSetup, flagsOf, labelScores } from './class-labels.ts'
import { SumMetric, type Sums } from './sum-metric.ts'

/** What counts are divided by: nothing, by default. */
export interface ConfusionMatrixOptions extends ClassOptions {
  /** Divides by the sum of each row (`true`: of the true class), of each column (`predicted`), or of all. Default: counts. 0 / 0 is 0. */
  readonly normalize?: 'true' | 'predicted' | 'all'
}

/** A metric that follows from how often each class was taken for each. */
export abstract class ConfusionMetric<Out> extends SumMetric<
  Out,
  'counts',
  [predictions: Tensor, targets: Tensor, options?: MetricUpdateOptions]
> {
  protected readonly setup: ClassSetup

  constructor(kind: string, options: ClassOptions) {
    const setup = classSetup(kind, options)
    super(setup.name, { counts: setup.task === 'multiclass' ? [setup.classes ** 2] : [setup.classes, 4] })
    this.setup = setup
  }

  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    this.accumulate(() => ({
      counts: (this.setup.task === 'multiclass' ? this.#countClasses : this.#countLabels).call(this, predictions, targets, options),
    }))
  }

  #countClasses(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions): Tensor {
    const { classes } = this.setup
    const { predicted, actual, weights } = classIndices(this.setup, predictions, targets, options)
    return actual
      .mul(classes)
      .add(predicted)
      .bincount({ weights, length: classes ** 2 })
  }

  /** Of each label: no taken for no, no for yes, yes for no, yes for yes. */
  #countLabels(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions): Tensor {
    const labels = labelScores(this.setup, predictions, targets, options)
    const { classes } = this.setup
    const cell = labels.actual.mul(2).add(flagsOf(this.setup, labels))
    const cells = cell
      .clamp({ min: 0, max: 3 })
      .cast('int32')
      .unsqueeze(-1)
      .eq(arange(4, { dtype: 'int32' }))
    return cells.cast('float64').mul(labels.weights.unsqueeze(-1)).sum(0).reshape([classes, 4])
  }

  /** The matrix, rows by true class and columns by predicted class; in a multilabel task, one of 2 x 2 for each label. */
  protected matrices({ counts }: Sums<'counts'>): number[][][] {
    const { task, classes } = this.setup
    const size = task === 'multiclass' ? classes : 2
    return Array.from({ length: counts.length / size ** 2 }, (_, i) =>
      Array.from({ length: size }, (_, row) => Array.from(counts.subarray(i * size ** 2 + row * size, i * size ** 2 + (row + 1) * size))),
    )
  }
}

/**
 * How often each class was taken for each: rows are true classes, columns predicted ones. In a binary task `[[tn, fp], [fn, tp]]`,
 * in a multilabel task one such matrix for each label.
 */
export class ConfusionMatrix extends ConfusionMetric<number[][] | number[][][]> {
  readonly #normalize: ConfusionMatrixOptions['normalize']

  /** @throws {CotangentError} `invalid-argument` for options that are none. */
  constructor({ normalize, ...options }: ConfusionMatrixOptions = {}) {
    super('confusionMatrix', options)
    if (normalize !== undefined && !['true', 'predicted', 'all'].includes(normalize)) {
      throw new CotangentError('invalid-argument', {
        op: this.name,
        message: `normalize is ${String(normalize)}`,
        hint: "It is 'true', 'predicted' or 'all'; counts are left as they are without it.",
      })
    }
    this.#normalize = normalize
  }

  protected evaluate(sums: Sums<'counts'>): number[][] | number[][][] {
    const matrices = this.matrices(sums).map((matrix) => this.#normalized(matrix))
    return this.setup.task === 'multilabel' ? matrices : matrices[0]!
  }

  #normalized(matrix: readonly (readonly number[])[]): number[][] {
    const columns = columnSums(matrix)
    const all = sumOf(columns)
    const by = { true: (row: number) => sumOf(matrix[row]!), predicted: (_: number, column: number) => columns[column]!, all: () => all }
    const normalize = this.#normalize
    return matrix.map((values, row) =>
      values.map((value, column) => (normalize === undefined || value === 0 ? value : value / by[normalize](row, column))),
    )
  }
}

export const sumOf = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
export const columnSums = (matrix: readonly (readonly number[])[]): number[] =>
  matrix[0]!.map((_, column) => sumOf(matrix.map((row) => row[column]!)))

import { CotangentError } from '../../errors.ts'
import { arange } from '../../op/index.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import { averaged, averageOf, type ClassAverage, type OfClasses } from './class-average.ts'
import {
  checkScores,
  classIndices,
  type ClassOptions,
  type ClassSetup,
  classSetup,
  flagsOf,
  inRange,
  labelScores,
  someNaN,
  targetIndices,
  targetWeights,
} from './class-labels.ts'
import { SumMetric, type Sums } from './sum-metric.ts'

/** When a prediction is right, and how classes are averaged. */
export interface AccuracyOptions<A extends ClassAverage = ClassAverage> extends ClassOptions {
  /** See `ClassAverage`. Default `micro`: the share of right predictions. `macro` is the balanced accuracy. */
  readonly average?: A
  /** A multiclass prediction is right if the class is among the so many highest scores. Default 1; of equal scores the first counts. */
  readonly topK?: number
  /** A multilabel prediction is right only if all of its labels are. Default false: each label counts for itself. */
  readonly subset?: boolean
}

/**
 * The share of right predictions: of samples, or of labels in a multilabel task. By class (`average` other than `micro`), it is that
 * of the samples of each class, or of each label. A class without samples is left out; NaN without any.
 */
export class Accuracy<A extends ClassAverage = 'micro'> extends SumMetric<
  OfClasses<A>,
  'right' | 'total' | 'support',
  [predictions: Tensor, targets: Tensor, options?: MetricUpdateOptions]
> {
  readonly #setup: ClassSetup
  readonly #average: ClassAverage
  readonly #topK: number
  readonly #subset: boolean

  constructor({ average, topK = 1, subset = false, ...options }: AccuracyOptions<A> = {}) {
    const setup = classSetup('accuracy', options)
    const shape = [subset ? 1 : setup.classes]
    super(setup.name, { right: shape, total: shape, support: shape })
    this.#setup = setup
    this.#average = averageOf(setup.name, average ?? 'micro')
    this.#topK = topK
    this.#subset = subset
    const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: setup.name, message, hint })
    if (topK !== 1 && !(setup.task === 'multiclass' && Number.isInteger(topK) && topK >= 1 && topK <= setup.classes))
      throw refused(
        `topK is ${topK} in a ${setup.task} task of ${setup.classes} classes`,
        'It is a whole number of classes of a multiclass task.',
      )
    if (subset && (setup.task !== 'multilabel' || this.#average !== 'micro'))
      throw refused('subset is about all labels of a sample together', "Use it with { task: 'multilabel' } and no average.")
  }

  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    this.accumulate(() =>
      (this.#setup.task === 'multiclass' ? this.#countClasses : this.#countLabels).call(this, predictions, targets, options),
    )
  }

  #countClasses(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions) {
    const { right, actual, weights } =
      this.#topK === 1 ? this.#matches(predictions, targets, options) : this.#ranks(predictions, targets, options)
    const count = (w: Tensor) => actual.bincount({ weights: w, length: this.#setup.classes })
    const total = count(weights)
    return { right: count(weights.mul(right.cast('float64'))), total, support: total }
  }

  #matches(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions) {
    const { predicted, actual, weights } = classIndices(this.#setup, predictions, targets, options)
    return { right: predicted.eq(actual), actual, weights }
  }

  /** Whether fewer than k classes come before the right one. */
  #ranks(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions) {
    const { name, classes } = this.#setup
    const index = targetIndices(this.#setup, predictions, targets)
    checkScores(name, classes, predictions, index)
    const scores = predictions.reshape([-1, classes])
    const actual = inRange(index, classes)
    const column = actual.unsqueeze(-1)
    const own = scores.gather(1, column)
    const earlier = arange(classes, { dtype: 'int32' }).lt(column)
    const before = scores.gt(own).logicalOr(scores.eq(own).logicalAnd(earlier)).cast('int32').sum(-1)
    const weights = targetWeights(this.#setup, index, options, someNaN(predictions)).reshape([-1])
    return { right: before.lt(this.#topK), actual, weights }
  }

  #countLabels(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions) {
    const labels = labelScores(this.#setup, predictions, targets, options)
    const right = flagsOf(this.#setup, labels).eq(labels.actual)
    const support = labels.weights.mul(labels.actual).sum(0)
    if (!this.#subset) return { right: labels.weights.mul(right.cast('float64')).sum(0), total: labels.weights.sum(0), support }
    // What has no weight is right whatever it is; a sample counts as much as the most of its labels.
    const whole = right.logicalOr(labels.weights.eq(0)).all(-1).cast('float64')
    const weights = labels.weights.max(-1)
    return { right: weights.mul(whole).sum(), total: weights.sum(), support: weights.sum() }
  }

  protected evaluate({ right, total, support }: Sums<'right' | 'total' | 'support'>): OfClasses<A> {
    const sum = (x: Float64Array) => x.reduce((a, b) => a + b, 0)
    if (this.#average === 'micro' || this.#setup.task === 'binary') return (sum(right) / sum(total)) as OfClasses<A>
    return averaged(
      Array.from(right, (n, i) => n / total[i]!),
      [...support],
      this.#average,
    ) as OfClasses<A>
  }
}

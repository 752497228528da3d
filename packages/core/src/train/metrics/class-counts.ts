import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import { averaged, averageOf, type ClassAverage, type OfClasses } from './class-average.ts'
import { classIndices, type ClassOptions, type ClassSetup, classSetup, flagsOf, labelScores } from './class-labels.ts'
import { SumMetric, type Sums } from './sum-metric.ts'

/** How values of classes become one, and what stands for one that is 0 / 0. */
export interface AveragedClassOptions<A extends ClassAverage = ClassAverage> extends ClassOptions {
  /** See `ClassAverage`. A binary task has one class, the positive one, and nothing to average. */
  readonly average?: A
  /** Value of a class for which it is 0 / 0, e.g. the precision of one that was never predicted: 0 (default), 1, or NaN, which the average leaves out. */
  readonly zeroDivision?: number
}

/** Weights of the samples of one class: of all that were looked at for it, that it was predicted for, that it was right for, and both. */
export interface ClassCount {
  readonly total: number
  readonly predicted: number
  readonly actual: number
  readonly hits: number
}

type Counted = 'hits' | 'predicted' | 'actual' | 'total'

/** A metric that follows from how often each class was predicted, was right, and both. NaN without samples. */
export abstract class ClassCountMetric<A extends ClassAverage> extends SumMetric<
  OfClasses<A>,
  Counted,
  [predictions: Tensor, targets: Tensor, options?: MetricUpdateOptions]
> {
  protected readonly setup: ClassSetup
  readonly #average: ClassAverage
  readonly #zeroDivision: number

  constructor(kind: string, { average, zeroDivision = 0, ...options }: AveragedClassOptions<A>) {
    const setup = classSetup(kind, options)
    const shape = [setup.classes]
    super(setup.name, { hits: shape, predicted: shape, actual: shape, total: shape })
    this.setup = setup
    this.#average = averageOf(setup.name, average)
    this.#zeroDivision = zeroDivision
  }

  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    this.accumulate(() =>
      (this.setup.task === 'multiclass' ? this.#countClasses : this.#countLabels).call(this, predictions, targets, options),
    )
  }

  #countClasses(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions): Record<Counted, Tensor> {
    const { predicted, actual, weights } = classIndices(this.setup, predictions, targets, options)
    const count = (index: Tensor, w: Tensor) => index.bincount({ weights: w, length: this.setup.classes })
    return {
      hits: count(actual, weights.mul(predicted.eq(actual).cast('float64'))),
      predicted: count(predicted, weights),
      actual: count(actual, weights),
      total: weights.sum().expand([this.setup.classes]),
    }
  }

  #countLabels(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions): Record<Counted, Tensor> {
    const labels = labelScores(this.setup, predictions, targets, options)
    const [counted, said] = [labels.actual.mul(labels.weights), flagsOf(this.setup, labels)]
    return {
      hits: counted.mul(said).sum(0),
      predicted: said.mul(labels.weights).sum(0),
      actual: counted.sum(0),
      total: labels.weights.sum(0),
    }
  }

  protected evaluate(sums: Sums<Counted>): OfClasses<A> {
    const classes = Array.from(sums.total, (total, i): ClassCount => ({
      total,
      predicted: sums.predicted[i]!,
      actual: sums.actual[i]!,
      hits: sums.hits[i]!,
    }))
    const ratio = (count: ClassCount) => {
      if (count.total === 0) return Number.NaN
      const [over, under] = this.ratio(count)
      return over === 0 && under === 0 ? this.#zeroDivision : over / under
    }
    if (this.setup.task === 'binary') return ratio(classes[0]!) as OfClasses<A>
    if (this.#average === 'micro') return ratio(this.summed(classes)) as OfClasses<A>
    return averaged(
      classes.map(ratio),
      classes.map(({ actual }) => actual),
      this.#average,
    ) as OfClasses<A>
  }

  /** The counts of all classes together. */
  protected summed(classes: readonly ClassCount[]): ClassCount {
    const sum = (key: keyof ClassCount) => classes.reduce((total, count) => total + count[key], 0)
    return { total: sum('total'), predicted: sum('predicted'), actual: sum('actual'), hits: sum('hits') }
  }

  /** The metric of a class as a quotient. */
  protected abstract ratio(count: ClassCount): readonly [over: number, under: number]
}

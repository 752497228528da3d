import { CotangentError } from '../../errors.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Metric, MetricUpdateOptions } from '../metric.ts'
import { averaged, averageOf, type ClassAverage, type OfClasses } from './class-average.ts'
import { type ClassOptions, type ClassSetup, classSetup } from './class-labels.ts'
import { RankingBins } from './ranking-bins.ts'
import type { RankingCurve } from './ranking-curve.ts'
import { RankingSamples } from './ranking-samples.ts'

/** How classes are averaged, and whether scores are kept (exact, by default) or counted between thresholds. */
export interface RankingOptions<A extends ClassAverage = ClassAverage> extends Omit<ClassOptions, 'threshold'> {
  /** See `ClassAverage`: each class against all others. Classes without a value are left out. Default `macro`. */
  readonly average?: A
  /**
   * Without, the metric is exact and keeps all scores. With it, scores are only told apart by these thresholds (ascending), or by
   * so many at equal distances from 0 to 1: the memory is fixed, and `update` can be traced.
   */
  readonly thresholds?: number | readonly number[]
}

/** A metric of how well scores order samples, for each class against the others. */
export abstract class RankingMetric<A extends ClassAverage> implements Metric<
  OfClasses<A>,
  [predictions: Tensor, targets: Tensor, options?: MetricUpdateOptions]
> {
  readonly #setup: ClassSetup
  readonly #average: ClassAverage
  readonly #counts: RankingBins | RankingSamples

  constructor(kind: string, { average, thresholds, ...options }: RankingOptions<A>) {
    this.#setup = classSetup(kind, options)
    this.#average = averageOf(this.#setup.name, average)
    const together = this.#average === 'micro'
    this.#counts =
      thresholds === undefined
        ? new RankingSamples(this.#setup, { together })
        : new RankingBins(this.#setup, { thresholds: ascending(this.#setup.name, thresholds), together })
  }

  get name(): string {
    return this.#setup.name
  }

  get traceable(): boolean {
    return this.#counts.traceable
  }

  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    this.#counts.update(predictions, targets, options)
  }

  async compute(): Promise<OfClasses<A>> {
    const curves = await this.curves()
    const values = curves.map((curve) => this.area(curve))
    if (this.#setup.task === 'binary' || this.#average === 'micro') return values[0]! as OfClasses<A>
    const support = curves.map(({ truePositives }) => truePositives.at(-1) ?? 0)
    return averaged(values, support, this.#average) as OfClasses<A>
  }

  /** The points behind the value, of each class or label (one of all with `micro`), for a plot. */
  curves(): Promise<readonly RankingCurve[]> {
    return this.#counts.compute()
  }

  protected abstract area(curve: RankingCurve): number

  reset(): void {
    this.#counts.reset()
  }

  merge(other: this): void {
    if (other.traceable !== this.traceable) {
      throw new CotangentError('invalid-argument', {
        op: this.name,
        message: 'one of the two has thresholds, the other has none',
        hint: 'Make both with the same options.',
      })
    }
    this.#counts.merge(other.#counts as never)
  }

  stateDict(): unknown {
    return this.#counts.stateDict()
  }

  loadStateDict(state: never): void {
    this.#counts.loadStateDict(state)
  }
}

function ascending(op: string, thresholds: number | readonly number[]): readonly number[] {
  const values = typeof thresholds === 'number' ? Array.from({ length: thresholds }, (_, i) => i / (thresholds - 1)) : thresholds
  if (values.length < 2 || values.some((value, i) => !(value > (values[i - 1] ?? Number.NEGATIVE_INFINITY)))) {
    throw new CotangentError('invalid-argument', {
      op,
      message: 'thresholds must be at least two, in ascending order',
      hint: 'Give how many from 0 to 1, such as 200, or a list.',
    })
  }
  return values
}

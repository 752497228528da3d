import { CotangentError } from '../../errors.ts'
import { where } from '../../op/index.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import type { NameOption } from './mean-metric.ts'
import { checkSameShape, sampleWeights, weighted } from './sample-weights.ts'
import { AccumulatingMetric, type Sums } from './sum-metric.ts'

/** How many outputs the model has, and how their values become one. */
export interface OutputsOptions<A extends OutputsAverage = OutputsAverage> extends NameOption {
  /** Outputs of the model: the size of the last axis, each of which is measured for itself. Default 1: all elements are one output. */
  readonly outputs?: number
  /** How outputs become one number: their mean (default), the mean weighted by the variance of their targets, or not at all. */
  readonly average?: A
}

export type OutputsAverage = 'uniform' | 'variance' | 'none'
type OfOutputs<A> = 'none' extends A ? number[] : number

/** Weight, means and summed products of deviations of two quantities, for each output. */
type Moment = 'weight' | 'meanA' | 'meanB' | 'aa' | 'bb' | 'ab'

/** One output's moments. */
export interface Moments {
  readonly weight: number
  readonly meanA: number
  readonly meanB: number
  /** Sums of weight · (a - meanA)², and so on. */
  readonly aa: number
  readonly bb: number
  readonly ab: number
}

/**
 * A metric that follows from means, variances and covariance of two quantities a and b. They are joined batch by batch without
 * differences of large numbers: Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances"
 * (1979).
 */
export abstract class CoMomentsMetric<A extends OutputsAverage> extends AccumulatingMetric<
  OfOutputs<A>,
  Moment,
  [predictions: Tensor, targets: Tensor, options?: MetricUpdateOptions]
> {
  readonly #outputs: number
  readonly #average: OutputsAverage

  constructor(name: string, { outputs = 1, average }: OutputsOptions<A>) {
    const shape = [outputs]
    super(name, { weight: shape, meanA: shape, meanB: shape, aa: shape, bb: shape, ab: shape })
    this.#outputs = outputs
    this.#average = average ?? 'uniform'
  }

  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    checkSameShape(this.name, predictions, targets)
    const outputs = this.#outputs
    if (outputs !== 1 && targets.shape.at(-1) !== outputs) {
      throw new CotangentError('shape-mismatch', {
        op: this.name,
        message: `there are to be ${outputs} outputs, but the last axis has another size`,
        shapes: [targets.shape],
        hint: 'Give { outputs } as many as the model has.',
      })
    }
    this.accumulate(() => {
      const weight = sampleWeights(this.name, targets.shape, options).reshape([-1, outputs])
      const columns = (x: Tensor) => where(weight.eq(0), 0, x.cast('float64').reshape([-1, outputs]))
      const [a, b] = this.quantities(columns(predictions), columns(targets))
      const total = weight.sum(0)
      const mean = (x: Tensor) => quotient(weight.mul(x).sum(0), total)
      const [meanA, meanB] = [mean(a), mean(b)]
      const [da, db] = [a.sub(meanA), b.sub(meanB)]
      const product = (x: Tensor, y: Tensor) => weighted(weight, x.mul(y)).sum(0)
      return { weight: total, meanA, meanB, aa: product(da, da), bb: product(db, db), ab: product(da, db) }
    })
  }

  protected combine(one: Readonly<Record<Moment, Tensor>>, two: Readonly<Record<Moment, Tensor>>): Record<Moment, Tensor> {
    const weight = one.weight.add(two.weight)
    const share = quotient(two.weight, weight)
    const [da, db] = [two.meanA.sub(one.meanA), two.meanB.sub(one.meanB)]
    const joint = one.weight.mul(share)
    const join = (moment: 'aa' | 'bb' | 'ab', d: Tensor) => one[moment].add(two[moment]).add(d.mul(joint))
    return {
      weight,
      meanA: one.meanA.add(da.mul(share)),
      meanB: one.meanB.add(db.mul(share)),
      aa: join('aa', da.square()),
      bb: join('bb', db.square()),
      ab: join('ab', da.mul(db)),
    }
  }

  protected evaluate(sums: Sums<Moment>): OfOutputs<A> {
    const all = Array.from(sums.weight, (weight, i): Moments => {
      const [meanA, meanB] = [sums.meanA[i]!, sums.meanB[i]!]
      return {
        weight,
        meanA,
        meanB,
        aa: deviation(sums.aa[i]!, weight, meanA),
        bb: deviation(sums.bb[i]!, weight, meanB),
        ab: sums.ab[i]!,
      }
    })
    const values = all.map((moments) => (moments.weight === 0 ? Number.NaN : this.value(moments)))
    if (this.#average === 'none') return values as OfOutputs<A>
    const shares = all.map((moments) => (this.#average === 'variance' ? this.variance(moments) : 1))
    const total = shares.reduce((sum, share) => sum + share, 0)
    const mean = (weights: readonly number[], of: number) => values.reduce((sum, value, i) => sum + (weights[i]! * value) / of, 0)
    // Outputs that do not vary at all weigh alike.
    return (
      total === 0
        ? mean(
            shares.map(() => 1),
            shares.length,
          )
        : mean(shares, total)
    ) as OfOutputs<A>
  }

  /** a and b, from predictions and targets `[samples, outputs]` in float64. */
  protected abstract quantities(predictions: Tensor, targets: Tensor): readonly [a: Tensor, b: Tensor]

  /** The metric of one output that has samples. */
  protected abstract value(moments: Moments): number

  /** How much an output weighs with `average: 'variance'`: what its targets deviate. */
  protected abstract variance(moments: Moments): number
}

/** Sum of squared deviations, 0 where that is the rounding of the mean: equal values must count as equal. */
const deviation = (sum: number, weight: number, mean: number): number => (sum <= weight * (1e-14 * mean) ** 2 ? 0 : sum)

/** x / y, and 0 where y is. */
const quotient = (x: Tensor, y: Tensor): Tensor => where(y.eq(0), 0, x.div(where(y.eq(0), 1, y)))

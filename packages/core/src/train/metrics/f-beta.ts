import { CotangentError } from '../../errors.ts'
import type { ClassAverage } from './class-average.ts'
import { type AveragedClassOptions, type ClassCount, ClassCountMetric } from './class-counts.ts'

/** How recall is weighed against precision, and how classes are averaged. */
export interface FBetaOptions<A extends ClassAverage = ClassAverage> extends AveragedClassOptions<A> {
  /** How many times as much recall counts as precision. Default 1. */
  readonly beta?: number
}

/** The weighted harmonic mean of precision and recall, (1 + β²)·hits / (β²·actual + predicted). Default average: `macro`. */
export class FBeta<A extends ClassAverage = 'macro'> extends ClassCountMetric<A> {
  readonly #beta: number

  constructor({ beta = 1, ...options }: FBetaOptions<A> = {}) {
    super(beta === 1 ? 'f1' : `f${beta}`, options)
    if (!(beta >= 0))
      throw new CotangentError('invalid-argument', { op: 'FBeta', message: `beta is ${beta}`, hint: 'It must be at least 0.' })
    this.#beta = beta
  }

  protected ratio({ hits, predicted, actual }: ClassCount): [number, number] {
    const squared = this.#beta ** 2
    return [(1 + squared) * hits, squared * actual + predicted]
  }
}

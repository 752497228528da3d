import { CotangentError } from '../../errors.ts'
import { sameShape, type Shape } from '../../layout.ts'
import { zeros } from '../../op/index.ts'
import { noGrad } from '../../tensor/modes.ts'
import { keep } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Metric } from '../metric.ts'

/** Values of accumulators on the host. */
export type Sums<K extends string> = Readonly<Record<K, Float64Array>>

/**
 * A metric whose accumulators are float64 tensors of fixed shapes, changed in place. Integers up to 2^53 add up exactly; sums of
 * fractions depend on how samples were split into batches in the last digits only.
 */
export abstract class AccumulatingMetric<Out, K extends string, In extends readonly unknown[]> implements Metric<Out, In> {
  readonly name: string
  readonly traceable = true
  readonly #state: Readonly<Record<K, Tensor>>

  constructor(name: string, shapes: Readonly<Record<K, Shape>>) {
    this.name = name
    this.#state = mapRecord(shapes, (shape) => keep(zeros(shape, { dtype: 'float64' })))
  }

  abstract update(...batch: In): void

  /** What the accumulators become when the accumulators of further samples come to them. */
  protected abstract combine(state: Readonly<Record<K, Tensor>>, more: Readonly<Record<K, Tensor>>): Readonly<Record<K, Tensor>>

  /** The value, from what the accumulators hold. */
  protected abstract evaluate(sums: Sums<K>): Out

  /** Takes in the accumulators of a batch. `batch` runs without recording gradients. */
  protected accumulate(batch: () => Readonly<Record<K, Tensor>>): void {
    noGrad(() => {
      const combined = this.combine(this.#state, batch())
      for (const key of this.#keys) this.#state[key].assign(combined[key])
    })
  }

  async compute(): Promise<Out> {
    return this.evaluate(await this.sums())
  }

  /** What the accumulators hold now. */
  protected async sums(): Promise<Sums<K>> {
    const values = await Promise.all(this.#keys.map(async (key) => [key, (await this.#state[key].data()) as Float64Array] as const))
    return Object.fromEntries(values) as unknown as Sums<K>
  }

  reset(): void {
    noGrad(() => this.#keys.forEach((key) => this.#state[key].assign(0)))
  }

  merge(other: this): void {
    this.#checkShapes(other.#state)
    this.accumulate(() => other.#state)
  }

  stateDict(): Readonly<Record<K, Tensor>> {
    return { ...this.#state }
  }

  loadStateDict(state: Readonly<Record<K, Tensor>>): void {
    this.#checkShapes(state)
    noGrad(() => this.#keys.forEach((key) => this.#state[key].assign(state[key])))
  }

  get #keys(): K[] {
    return Object.keys(this.#state) as K[]
  }

  #checkShapes(state: Partial<Readonly<Record<K, Tensor>>>): void {
    for (const key of this.#keys) {
      const [own, given] = [this.#state[key], state[key]]
      if (given && sameShape(given.shape, own.shape)) continue
      throw new CotangentError('shape-mismatch', {
        op: this.name,
        message: `the state to take over ${given ? `has ${key} of another shape` : `has no ${key}`}`,
        shapes: given ? [own.shape, given.shape] : [own.shape],
        hint: 'It must come from a metric of the same kind and options.',
      })
    }
  }
}

/** A metric whose accumulators are sums over samples. */
export abstract class SumMetric<Out, K extends string, In extends readonly unknown[]> extends AccumulatingMetric<Out, K, In> {
  protected combine(state: Readonly<Record<K, Tensor>>, more: Readonly<Record<K, Tensor>>): Readonly<Record<K, Tensor>> {
    return mapRecord(state, (sum, key) => sum.add(more[key]))
  }
}

function mapRecord<K extends string, A, B>(record: Readonly<Record<K, A>>, change: (value: A, key: K) => B): Record<K, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value as A, key as K)])) as Record<K, B>
}

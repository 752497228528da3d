import { checkCount } from '../../data/check.ts'
import type { Callback } from '../callback.ts'
import { formatMetric } from '../terminal-format.ts'
import type { Training } from '../training.ts'

/** A loss that stands out, and where; epochs count from 1. */
export interface Spike {
  readonly epoch: number
  readonly batch: number
  readonly step: number
  readonly loss: number
  /** What the loss was about, by a moving average. */
  readonly expected: number
}

/** What counts as a spike of the loss, and what then happens. */
export interface SpikeDetectionOptions {
  /** Standard deviations above the moving average that make a spike. Default 6. */
  readonly threshold?: number
  /** Batches before the first one is looked for. Default 50. */
  readonly warmup?: number
  /** How much of the moving average stays from batch to batch. Default 0.98. */
  readonly decay?: number
  /** What happens then; default: a line is shown. */
  readonly onSpike?: (spike: Spike, training: Training) => void | Promise<void>
  readonly name?: string
}

interface State {
  readonly mean: number
  readonly variance: number
  readonly seen: number
}

/** Notices losses that are far above what they were lately: broken batches, or a learning rate that is too high. */
export class SpikeDetection implements Callback {
  readonly name: string
  /** Of the last training. */
  spikes: Spike[] = []
  readonly #threshold: number
  readonly #warmup: number
  readonly #decay: number
  readonly #onSpike: SpikeDetectionOptions['onSpike']
  #mean = 0
  #variance = 0
  #seen = 0
  #loaded: State | undefined

  /** @throws {CotangentError} `invalid-argument` for numbers that are none of the kind. */
  constructor({ threshold = 6, warmup = 50, decay = 0.98, onSpike, name = 'SpikeDetection' }: SpikeDetectionOptions = {}) {
    checkCount('SpikeDetection', 'warmup', warmup, { least: 0 })
    this.name = name
    this.#threshold = threshold
    this.#warmup = warmup
    this.#decay = decay
    this.#onSpike = onSpike
  }

  onFitStart(): void {
    const { mean, variance, seen } = this.#loaded ?? { mean: 0, variance: 0, seen: 0 }
    this.#loaded = undefined
    this.#mean = mean
    this.#variance = variance
    this.#seen = seen
    this.spikes = []
  }

  async onBatchEnd(training: Training): Promise<void> {
    const loss = await training.loss()
    const expected = this.#mean
    const isSpike = this.#seen >= this.#warmup && !(loss <= expected + this.#threshold * Math.sqrt(this.#variance))
    // A spike is no part of what is usual.
    if (!isSpike) return this.#learn(loss)
    const { epoch, batch, step } = training
    const spike = { epoch: epoch + 1, batch, step, loss, expected }
    this.spikes.push(spike)
    if (this.#onSpike) await this.#onSpike(spike, training)
    else
      training.write(
        `spike: loss ${formatMetric(loss)} in epoch ${epoch + 1}, batch ${batch}, where it was about ${formatMetric(expected)}`,
      )
  }

  stateDict(): State {
    return { mean: this.#mean, variance: this.#variance, seen: this.#seen }
  }

  loadStateDict(state: State): void {
    this.#loaded = state
  }

  /** Moving mean and variance (West 1979, exponentially weighted); a true mean while there are few. */
  #learn(loss: number): void {
    if (!Number.isFinite(loss)) return
    this.#seen++
    const weight = Math.max(1 - this.#decay, 1 / this.#seen)
    const difference = loss - this.#mean
    this.#mean += weight * difference
    this.#variance = (1 - weight) * (this.#variance + weight * difference ** 2)
  }
}

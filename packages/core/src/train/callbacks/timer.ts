import type { Callback } from '../callback.ts'
import type { Training } from '../training.ts'

/** How long training may take. */
export interface TimerOptions {
  /** Seconds of training, those before it was resumed included, behind which it ends. */
  readonly limit?: number
}

/** Adds seconds to the logs: `epochSeconds`, of which `validationSeconds`; and ends a training that takes longer than it may. */
export class Timer implements Callback {
  readonly #limit: number
  #validation = 0
  #began = 0

  constructor({ limit = Number.POSITIVE_INFINITY }: TimerOptions = {}) {
    this.#limit = limit
  }

  onEpochStart(): void {
    this.#validation = 0
  }

  onBatchEnd(training: Training): void {
    if (training.seconds >= this.#limit) training.stop('maxTime')
  }

  onValidationStart(training: Training): void {
    this.#began = training.seconds
  }

  onValidationEnd(training: Training): void {
    this.#validation += training.seconds - this.#began
  }

  onEpochEnd(training: Training): void {
    training.log('epochSeconds', training.epochSeconds)
    if (this.#validation > 0) training.log('validationSeconds', this.#validation)
  }
}

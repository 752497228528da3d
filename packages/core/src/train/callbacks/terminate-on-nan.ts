import { checkCount } from '../../data/check.ts'
import { CotangentError } from '../../errors.ts'
import type { Callback } from '../callback.ts'
import type { Training } from '../training.ts'

/** How often the loss is looked at, and how the training ends. */
export interface TerminateOnNaNOptions {
  /** Steps between two looks at the loss, each of which waits for the engine. Default 1. */
  readonly everySteps?: number
  /** `stop` (default) ends the training as if it were over; `throw` throws a `non-finite` error. */
  readonly action?: 'stop' | 'throw'
}

/** Ends a training whose loss has become NaN or infinite. */
export class TerminateOnNaN implements Callback {
  readonly #everySteps: number
  readonly #action: 'stop' | 'throw'

  /** @throws {CotangentError} `invalid-argument` for a number of steps that is none. */
  constructor({ everySteps = 1, action = 'stop' }: TerminateOnNaNOptions = {}) {
    checkCount('TerminateOnNaN', 'everySteps', everySteps)
    this.#everySteps = everySteps
    this.#action = action
  }

  async onBatchEnd(training: Training): Promise<void> {
    if (training.batch % this.#everySteps !== 0) return
    const loss = await training.loss()
    if (Number.isFinite(loss)) return
    const message = `the loss is ${loss} in epoch ${training.epoch + 1}, batch ${training.batch}`
    if (this.#action === 'stop') return training.stop(message)
    throw new CotangentError('non-finite', {
      op: 'TerminateOnNaN',
      message,
      hint: 'Lower the learning rate, clip gradients, or look for its origin with detectAnomaly().',
    })
  }
}

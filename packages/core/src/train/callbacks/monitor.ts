import { CotangentError } from '../../errors.ts'
import { didYouMean } from '../../near-names.ts'
import { type Direction, directionOf, isBetter } from '../metric-direction.ts'
import type { Logs } from '../metric-set.ts'
import type { Training } from '../training.ts'

/** The value that is watched, and which direction is better. */
export interface MonitorOptions {
  /** The name in the logs. Default: `valLoss` with validation, else `loss`. */
  readonly monitor?: string
  /** Whether less or more is better. Default: what the name says, such as more for `valAccuracy`; else less. */
  readonly mode?: Direction
  /** By how much it must be better to count. Default 0. */
  readonly minDelta?: number
}

export const isValidationName = (name: string): boolean => /^val[A-Z]/.test(name)

/** Picks one number out of the logs: those of validations behind each, those of the training at the end of epochs. */
export class Monitor {
  readonly #op: string
  readonly #options: MonitorOptions

  constructor(op: string, { monitor, mode, minDelta = 0 }: MonitorOptions) {
    this.#op = op
    if (mode !== undefined && mode !== 'min' && mode !== 'max') throw this.#refused(`mode is ${String(mode)}`, 'It is min or max.')
    this.#options = { ...(monitor !== undefined && { monitor }), ...(mode && { mode }), minDelta }
  }

  name({ plan }: Training): string {
    return this.#options.monitor ?? (plan.validates ? 'valLoss' : 'loss')
  }

  direction(training: Training): Direction {
    return this.#options.mode ?? directionOf(this.name(training))
  }

  isBetter(training: Training, value: number, best: number): boolean {
    return isBetter(value, best, this.direction(training), this.#options.minDelta)
  }

  /** The value behind a validation, if it is that one's. */
  ofValidation(training: Training, logs: Logs): number | undefined {
    const name = this.name(training)
    return isValidationName(name) ? logs[name] : undefined
  }

  /**
   * The value at the end of an epoch, if it is the training's.
   *
   * @throws {CotangentError} `invalid-argument` for a name that is not there at all.
   */
  ofEpoch(training: Training, logs: Logs): number | undefined {
    const name = this.name(training)
    if (name in logs) return isValidationName(name) ? undefined : logs[name]
    // There are epochs without a validation.
    const known = Object.keys({ ...logs, ...Object.assign({}, ...training.history.epochs.map((epoch) => epoch.logs)) })
    if (known.includes(name)) return undefined
    if (isValidationName(name) && training.plan.validates && !known.some(isValidationName)) return undefined
    throw this.#refused(`there is no ${name} in the logs`, `${didYouMean(name, known)}There are ${known.join(', ')}.`)
  }

  #refused(message: string, hint: string): CotangentError {
    return new CotangentError('invalid-argument', { op: this.#op, message, hint })
  }
}

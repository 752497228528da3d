import { type PlateauState, ReduceLROnPlateau, type ReduceLROnPlateauOptions } from '../../optim/schedulers/reduce-lr-on-plateau.ts'
import type { Callback } from '../callback.ts'
import type { Logs } from '../metric-set.ts'
import type { Training } from '../training.ts'
import { keepingRates } from './keeping-rates.ts'
import { Monitor } from './monitor.ts'

/** By which metric, and how much, the learning rate falls. */
export interface ReduceOnPlateauOptions extends ReduceLROnPlateauOptions {
  /** See `EarlyStopping`. */
  readonly monitor?: string
  readonly name?: string
}

/** Reduces the learning rate when a metric has stopped becoming better: `optim.ReduceLROnPlateau`, behind each validation or epoch. */
export class ReduceOnPlateau implements Callback {
  readonly name: string
  readonly #monitor: Monitor
  readonly #options: ReduceLROnPlateauOptions
  #scheduler: ReduceLROnPlateau | undefined
  #saved: PlateauState | null = null

  constructor({ monitor, name = 'ReduceOnPlateau', ...options }: ReduceOnPlateauOptions = {}) {
    this.name = name
    this.#options = options
    this.#monitor = new Monitor('ReduceOnPlateau', {
      ...(monitor !== undefined && { monitor }),
      ...(options.mode && { mode: options.mode }),
    })
  }

  onFitStart(training: Training): void {
    const { optimizer } = training
    const scheduler = new ReduceLROnPlateau(optimizer, { ...this.#options, mode: this.#monitor.direction(training) })
    const saved = this.#saved
    this.#scheduler = scheduler
    this.#saved = null
    if (saved) keepingRates(optimizer, () => scheduler.loadStateDict(saved))
  }

  onValidationEnd(training: Training, logs: Logs): void {
    this.#step(training, this.#monitor.ofValidation(training, logs))
  }

  onEpochEnd(training: Training, logs: Logs): void {
    this.#step(training, this.#monitor.ofEpoch(training, logs))
  }

  stateDict(): PlateauState | null {
    return this.#scheduler?.stateDict() ?? this.#saved
  }

  loadStateDict(state: PlateauState | null): void {
    this.#saved = state
  }

  #step(training: Training, value: number | undefined): void {
    if (value === undefined) return
    const before = training.optimizer.lr
    this.#scheduler!.step(value)
    const { lr } = training.optimizer
    if (lr < before)
      training.write(
        `learning rate ${Number(before.toPrecision(3))} -> ${Number(lr.toPrecision(3))}: ${this.#monitor.name(training)} has stopped becoming better`,
      )
  }
}

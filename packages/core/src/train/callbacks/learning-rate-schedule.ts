import { CotangentError } from '../../errors.ts'
import type { Optimizer } from '../../optim/optimizer.ts'
import type { Scheduler, SchedulerState } from '../../optim/schedulers/scheduler.ts'
import type { Callback } from '../callback.ts'
import type { Training } from '../training.ts'
import { keepingRates } from './keeping-rates.ts'

/**
 * A scheduler, or what makes one when training begins. A function that takes a second argument gets the number of steps (or epochs) of the
 * whole training, which must be known then.
 */
export type SchedulerSource = Scheduler | ((optimizer: Optimizer, total: number) => Scheduler)

/** Schedulers by what they count in. */
export interface Schedule {
  readonly step?: SchedulerSource
  readonly epoch?: SchedulerSource
}

/** What a schedule counts in: epochs, by default. */
export interface LearningRateScheduleOptions {
  /** Whether the schedule counts in steps or epochs (default). */
  readonly every?: 'step' | 'epoch'
  readonly name?: string
}

/** Steps a scheduler of `optim`. */
export class LearningRateSchedule implements Callback {
  readonly name: string
  readonly #source: SchedulerSource
  readonly #every: 'step' | 'epoch'
  #scheduler: Scheduler | undefined
  #saved: SchedulerState | undefined

  constructor(source: SchedulerSource, { every = 'epoch', name = `LearningRateSchedule.${every}` }: LearningRateScheduleOptions = {}) {
    this.name = name
    this.#source = source
    this.#every = every
  }

  onFitStart(training: Training): void {
    const { optimizer } = training
    const source = this.#source
    const make = () => {
      if (typeof source !== 'function') return source
      return source(optimizer, source.length < 2 ? this.#knownTotal(training) : this.#total(training))
    }
    const saved = this.#saved
    this.#saved = undefined
    if (!saved) this.#scheduler = make()
    else keepingRates(optimizer, () => (this.#scheduler = make()).loadStateDict(saved))
  }

  onStepEnd(training: Training): void {
    if (this.#every === 'step') this.#step(training, training.step)
  }

  onEpochEnd(training: Training): void {
    if (this.#every === 'epoch') this.#step(training, training.epoch + 1)
  }

  stateDict(): SchedulerState | null {
    return this.#scheduler?.stateDict() ?? this.#saved ?? null
  }

  loadStateDict(state: SchedulerState | null): void {
    // A scheduler that is yet to be made sets the rates of its beginning first.
    this.#saved = state ?? undefined
  }

  /** @param done How many steps or epochs are over. */
  #step(training: Training, done: number): void {
    // One that was made for this training alone has nothing to say beyond its end.
    if (typeof this.#source === 'function' && done >= this.#knownTotal(training)) return
    this.#scheduler!.step()
  }

  /** Infinity where nobody knows. */
  #knownTotal({ plan }: Training): number {
    return (this.#every === 'step' ? plan.totalSteps : plan.epochs) ?? Number.POSITIVE_INFINITY
  }

  #total(training: Training): number {
    const total = this.#knownTotal(training)
    if (total !== Number.POSITIVE_INFINITY) return total
    throw new CotangentError('invalid-argument', {
      op: 'LearningRateSchedule',
      message: `the number of ${this.#every}s is not known`,
      hint: 'Give fit { epochs } and data with a length, { batchesPerEpoch } or { maxSteps }; or a function of the optimizer alone.',
    })
  }
}

/** The callbacks of a trainer's `schedule`. */
export function scheduleCallbacks(schedule: Schedule = {}): LearningRateSchedule[] {
  const { step, epoch } = schedule
  // A scheduler has a `step`, too, of another kind.
  if (Object.getPrototypeOf(schedule) !== Object.prototype) {
    throw new CotangentError('invalid-argument', {
      op: 'fit',
      message: 'the schedule does not say what it counts in',
      hint: 'Give { step: scheduler } or { epoch: scheduler }; in place of a scheduler there may be a function (optimizer, total) that makes one.',
    })
  }
  return [
    ...(step ? [new LearningRateSchedule(step, { every: 'step' })] : []),
    ...(epoch ? [new LearningRateSchedule(epoch, { every: 'epoch' })] : []),
  ]
}

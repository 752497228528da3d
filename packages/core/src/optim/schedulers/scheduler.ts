import { CotangentError } from '../../errors.ts'
import { hostEffect } from '../../tensor/modes.ts'
import type { Optimizer, ParamGroup } from '../optimizer.ts'

/** What a scheduler remembers, as plain data. */
export interface SchedulerState {
  /** Steps taken so far. */
  readonly epoch: number
  /** The learning rates that it set last, by group. */
  readonly lastLrs: readonly number[]
  /** The rates that it starts from, by group. */
  readonly baseLrs?: readonly number[]
  /** States of the schedulers within. */
  readonly schedulers?: readonly SchedulerState[]
}

/**
 * Changes the learning rates of an optimiser over time. Call `step()` after `optimizer.step()`: once an epoch or once a step,
 * whichever the schedule counts in. The first rates are set when the scheduler is made.
 *
 * To resume, make optimiser and schedulers as before and load the state of each: the optimiser's, then the scheduler's.
 */
export abstract class Scheduler {
  readonly optimizer: Optimizer
  /** What it was made with. */
  abstract readonly options: object
  /** Steps taken so far. */
  epoch = 0
  /** The learning rates that were set last, by group. */
  lastLrs: readonly number[]

  constructor(optimizer: Optimizer) {
    this.optimizer = optimizer
    this.lastLrs = lrsOf(optimizer)
  }

  /** Sets the rates of the next epoch. */
  abstract step(): void

  /** Sets the rates of epoch 0, on top of what other schedulers have set. */
  abstract begin(): void

  /** Sets the rates of epoch 0, whatever the rates are now: a sequence has come to this scheduler. */
  abstract restart(): void

  stateDict(): SchedulerState {
    return { epoch: this.epoch, lastLrs: this.lastLrs }
  }

  /** Takes over a saved state and sets the learning rates that it set last. */
  loadStateDict(state: SchedulerState): void {
    const groups = this.optimizer.paramGroups
    if (state.lastLrs.length !== groups.length) {
      throw new CotangentError('invalid-argument', {
        op: this.constructor.name,
        message: `the state has ${state.lastLrs.length} learning rates, the optimiser ${groups.length} parameter groups`,
        hint: 'Make the optimiser with the groups that it had.',
      })
    }
    this.epoch = state.epoch
    this.lastLrs = [...state.lastLrs]
    groups.forEach((group, i) => {
      group.lr = state.lastLrs[i]!
    })
  }
}

export const lrsOf = (optimizer: Optimizer): number[] => optimizer.paramGroups.map((group) => group.lr)

/** A schedule, group by group. */
interface Schedule {
  /** What the scheduler was made with, for files. */
  readonly options: object
  /**
   * The rate at `epoch` (at least 1) from the rate before it. Written in terms of that one where possible, so that several
   * schedulers of one optimiser multiply their effects.
   */
  readonly next: (lr: number, epoch: number, base: number, group: number) => number
  /** The rate at epoch 0, from what the rate is then. Default: as it is. */
  readonly first?: (lr: number, base: number, group: number) => number
  /** The rate at epoch 0 from the base rate alone. Default: the base rate. */
  readonly restart?: (base: number, group: number) => number
  /** The momentum (or first beta) at an epoch, where the schedule has one. */
  readonly momentum?: ((epoch: number, group: number) => number) | undefined
}

/** A scheduler that is given by a formula. */
export abstract class FormulaScheduler extends Scheduler {
  /** The rates that it starts from, by group. */
  baseLrs: readonly number[]
  readonly options: object
  readonly #schedule: Schedule

  constructor(optimizer: Optimizer, schedule: Schedule, baseLrs?: readonly number[]) {
    super(optimizer)
    this.#schedule = schedule
    this.options = schedule.options
    const initial = optimizer.paramGroups.map((group) => (group.initialLr ??= group.lr))
    this.baseLrs = baseLrs ?? initial
    this.begin()
  }

  step(): void {
    hostEffect(
      () => {
        this.epoch++
        this.set((lr, base, group) => this.#schedule.next(lr, this.epoch, base, group))
      },
      { kind: 'schedule', scheduler: this },
    )
  }

  begin(): void {
    this.epoch = 0
    this.set((lr, base, group) => this.#schedule.first?.(lr, base, group) ?? lr)
  }

  restart(): void {
    this.epoch = 0
    this.set((_, base, group) => this.#schedule.restart?.(base, group) ?? base)
  }

  /** Sets all rates, and the momenta of `epoch`. */
  protected set(rate: (lr: number, base: number, group: number) => number): void {
    this.optimizer.paramGroups.forEach((group, i) => {
      group.lr = rate(group.lr, this.#baseOf(group, i), i)
      if (this.#schedule.momentum) setMomentum(group, this.#schedule.momentum(this.epoch, i))
    })
    this.lastLrs = lrsOf(this.optimizer)
  }

  #baseOf(group: ParamGroup, i: number): number {
    const base = this.baseLrs[i]
    if (base !== undefined) return base
    // A group that was added later.
    const own = (group.initialLr ??= group.lr)
    this.baseLrs = [...this.baseLrs, own]
    return own
  }

  override stateDict(): SchedulerState {
    return { ...super.stateDict(), baseLrs: this.baseLrs }
  }

  /** Takes over a saved state and sets the learning rates that it set last, and momenta, where the schedule has them. */
  override loadStateDict(state: SchedulerState): void {
    super.loadStateDict(state)
    this.baseLrs = [...(state.baseLrs ?? this.baseLrs)]
    const { momentum } = this.#schedule
    if (momentum) this.optimizer.paramGroups.forEach((group, i) => setMomentum(group, momentum(this.epoch, i)))
  }
}

type MomentumGroup = ParamGroup & { momentum?: number; betas?: readonly number[] }

function setMomentum(group: MomentumGroup, momentum: number): void {
  if (group.betas) group.betas = [momentum, ...group.betas.slice(1)]
  else group.momentum = momentum
}

/** Refuses an optimiser that has no momentum to cycle. */
export function checkMomentum(op: string, optimizer: Optimizer): void {
  const { defaults } = optimizer
  if ('momentum' in defaults || 'betas' in defaults) return
  throw new CotangentError('invalid-argument', {
    op,
    message: 'the optimiser has neither momentum nor betas to cycle',
    hint: 'Set { cycleMomentum: false }.',
  })
}

/** One value a group, from one for all or a list. */
export function perGroup<T extends number | ((epoch: number) => number)>(
  op: string,
  name: string,
  optimizer: Optimizer,
  value: T | readonly T[],
): readonly T[] {
  const count = optimizer.paramGroups.length
  if (!Array.isArray(value)) return optimizer.paramGroups.map(() => value as T)
  if (value.length !== count) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `there are ${value.length} values of ${name} for ${count} parameter groups`,
      hint: 'Give one value, or one for each group.',
    })
  }
  return value as readonly T[]
}

/** Refuses what is no whole number of at least `low`. */
export function checkCount(op: string, name: string, value: number, low = 1): void {
  if (!Number.isInteger(value) || value < low)
    throw new CotangentError('invalid-argument', { op, message: `${name} is ${value}, not a whole number of at least ${low}` })
}

export function checkBetween(op: string, name: string, value: number, low: number, high: number): void {
  if (!(value >= low && value <= high))
    throw new CotangentError('invalid-argument', { op, message: `${name} is ${value}, not a number from ${low} to ${high}` })
}

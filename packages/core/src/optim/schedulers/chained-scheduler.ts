import { CotangentError } from '../../errors.ts'
import { hostEffect } from '../../tensor/modes.ts'
import { lrsOf, Scheduler, type SchedulerState } from './scheduler.ts'

/** Steps several schedulers of one optimiser together, so that their effects multiply (where they are given by factors). */
export class ChainedScheduler extends Scheduler {
  readonly options = {}
  readonly schedulers: readonly Scheduler[]

  constructor(schedulers: readonly Scheduler[]) {
    super(optimizerOf('ChainedScheduler', schedulers))
    this.schedulers = schedulers
  }

  step(): void {
    hostEffect(
      () => {
        this.epoch++
        for (const scheduler of this.schedulers) scheduler.step()
        this.lastLrs = lrsOf(this.optimizer)
      },
      { kind: 'schedule', scheduler: this },
    )
  }

  begin(): void {
    this.epoch = 0
    for (const scheduler of this.schedulers) scheduler.begin()
    this.lastLrs = lrsOf(this.optimizer)
  }

  restart(): void {
    for (const group of this.optimizer.paramGroups) group.lr = group.initialLr ?? group.lr
    this.begin()
  }

  override stateDict(): SchedulerState {
    return { ...super.stateDict(), schedulers: this.schedulers.map((s) => s.stateDict()) }
  }

  override loadStateDict(state: SchedulerState): void {
    loadStates('ChainedScheduler', this.schedulers, state)
    super.loadStateDict(state)
  }
}

/** The optimiser that all of the schedulers are for. */
export function optimizerOf(op: string, schedulers: readonly Scheduler[]): Scheduler['optimizer'] {
  const first = schedulers[0]
  if (!first) throw new CotangentError('invalid-argument', { op, message: 'needs at least one scheduler' })
  if (schedulers.some((s) => s.optimizer !== first.optimizer)) {
    throw new CotangentError('invalid-argument', {
      op,
      message: 'the schedulers are for different optimisers',
      hint: 'Make all of them with one optimiser.',
    })
  }
  return first.optimizer
}

export function loadStates(op: string, schedulers: readonly Scheduler[], { schedulers: states = [] }: SchedulerState): void {
  if (states.length !== schedulers.length) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `the state is of ${states.length} schedulers, not of ${schedulers.length}`,
      hint: 'Make the schedulers that there were.',
    })
  }
  schedulers.forEach((scheduler, i) => scheduler.loadStateDict(states[i]!))
}

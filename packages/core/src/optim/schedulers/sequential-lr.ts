import { CotangentError } from '../../errors.ts'
import { hostEffect } from '../../tensor/modes.ts'
import { loadStates, optimizerOf } from './chained-scheduler.ts'
import { Scheduler, type SchedulerState } from './scheduler.ts'

/** The schedulers, and when each takes over from the one before. */
export interface SequentialLROptions {
  /** In the order in which they take over. */
  readonly schedulers: readonly Scheduler[]
  /** Epochs at which the next scheduler takes over; one fewer than schedulers. */
  readonly milestones: readonly number[]
}

/** One scheduler after the other, for instance a warm-up and then a cosine. */
export class SequentialLR extends Scheduler {
  readonly schedulers: readonly Scheduler[]
  readonly milestones: readonly number[]
  readonly options: { readonly milestones: readonly number[] }

  constructor({ schedulers, milestones }: SequentialLROptions) {
    super(optimizerOf('SequentialLR', schedulers))
    if (milestones.length !== schedulers.length - 1 || milestones.some((m, i) => !(m > (milestones[i - 1] ?? 0)))) {
      throw new CotangentError('invalid-argument', {
        op: 'SequentialLR',
        message: `milestones [${milestones.join(', ')}] do not separate ${schedulers.length} schedulers`,
        hint: 'Give rising epochs, one fewer than schedulers.',
      })
    }
    this.schedulers = schedulers
    this.milestones = milestones
    this.options = { milestones }
    // Each scheduler has set its first rate when it was made.
    for (const group of this.optimizer.paramGroups) group.lr = group.initialLr ?? group.lr
    this.begin()
  }

  step(): void {
    hostEffect(
      () => {
        this.epoch++
        const passed = this.#passed()
        const active = this.schedulers[passed]!
        if (passed > 0 && this.milestones[passed - 1] === this.epoch) active.restart()
        else active.step()
        this.lastLrs = active.lastLrs
      },
      { kind: 'schedule', scheduler: this },
    )
  }

  /** Milestones behind us, and so the scheduler whose turn it is. */
  #passed(): number {
    return this.milestones.filter((m) => m <= this.epoch).length
  }

  begin(): void {
    this.#startWith((first) => first.begin())
  }

  restart(): void {
    this.#startWith((first) => first.restart())
  }

  #startWith(start: (first: Scheduler) => void): void {
    this.epoch = 0
    start(this.schedulers[0]!)
    this.lastLrs = this.schedulers[0]!.lastLrs
  }

  override stateDict(): SchedulerState {
    return { ...super.stateDict(), schedulers: this.schedulers.map((s) => s.stateDict()) }
  }

  override loadStateDict(state: SchedulerState): void {
    loadStates('SequentialLR', this.schedulers, state)
    super.loadStateDict(state)
    // Rates and momenta are those of the one whose turn it is, whatever the others have set.
    const active = this.#passed()
    this.schedulers[active]!.loadStateDict(state.schedulers![active]!)
  }
}

import { CotangentError } from '../../errors.ts'
import type { Callback } from '../callback.ts'
import type { Training } from '../training.ts'

/**
 * Changes how many batches make one step of the optimiser: `new AccumulationSchedule({ 0: 8, 4: 4, 8: 1 })` has it be 8 from the first
 * epoch on, 4 from the fifth and 1 from the ninth. Schedules that count steps in advance take the number of the trainer.
 */
export class AccumulationSchedule implements Callback {
  readonly #batches: ReadonlyMap<number, number>

  /** @throws {CotangentError} `invalid-argument` for numbers of batches that are none. */
  constructor(batches: Readonly<Record<number, number>>) {
    this.#batches = new Map(Object.entries(batches).map(([epoch, count]) => [Number(epoch), count]))
    for (const [epoch, count] of this.#batches) {
      if (Number.isInteger(epoch) && epoch >= 0 && Number.isInteger(count) && count >= 1) continue
      throw new CotangentError('invalid-argument', {
        op: 'AccumulationSchedule',
        message: `from epoch ${epoch} on, ${count} batches are to make a step`,
        hint: 'Epochs count from 0, batches from 1.',
      })
    }
  }

  onEpochStart(training: Training): void {
    const last = Math.max(...[...this.#batches.keys()].filter((epoch) => epoch <= training.epoch))
    if (Number.isFinite(last)) training.accumulate = this.#batches.get(last)!
  }
}

import type { Callback } from '../callback.ts'
import type { Training } from '../training.ts'

/** Adds the learning rate to the logs, as `lr`, or `lr0`, `lr1`... where groups of parameters have rates of their own. */
export class LearningRateMonitor implements Callback {
  onEpochStart(training: Training): void {
    this.#log(training)
  }

  onStepEnd(training: Training): void {
    this.#log(training)
  }

  #log(training: Training): void {
    const groups = training.optimizer.paramGroups
    const rates = groups.map((group) => group.lr)
    if (rates.every((lr) => lr === rates[0])) training.log('lr', rates[0]!)
    else rates.forEach((lr, i) => training.log(`lr${i}`, lr))
  }
}

import type { Optimizer } from '../optimizer.ts'
import { checkBetween, checkCount, FormulaScheduler } from './scheduler.ts'

/** The factors of the rate at the beginning and at the end, and how long the way between takes. */
export interface LinearLROptions {
  /** From above 0 to 1; default 1/3. */
  readonly startFactor?: number
  /** From 0 to 1; default 1. */
  readonly endFactor?: number
  /** Epochs; default 5. */
  readonly totalIters?: number
}

/** Multiplies the learning rate by a factor that goes in a line from `startFactor` to `endFactor` within `totalIters` (default 5) epochs: a linear warm-up. */
export class LinearLR extends FormulaScheduler {
  constructor(optimizer: Optimizer, { startFactor = 1 / 3, endFactor = 1, totalIters = 5 }: LinearLROptions = {}) {
    checkBetween('LinearLR', 'startFactor', startFactor, Number.MIN_VALUE, 1)
    checkBetween('LinearLR', 'endFactor', endFactor, 0, 1)
    checkCount('LinearLR', 'totalIters', totalIters)
    const rise = endFactor - startFactor
    super(optimizer, {
      options: { startFactor, endFactor, totalIters },
      first: (lr) => lr * startFactor,
      next: (lr, epoch) => (epoch > totalIters ? lr : lr * (1 + rise / (totalIters * startFactor + (epoch - 1) * rise))),
      restart: (base) => base * startFactor,
    })
  }
}

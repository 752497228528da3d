import type { Optimizer } from '../optimizer.ts'
import { checkBetween, checkCount, FormulaScheduler } from './scheduler.ts'

/** By how much the rate is smaller at the beginning, and for how long: a third for 5 epochs, by default. */
export interface ConstantLROptions {
  /** From above 0 to 1; default 1/3. */
  readonly factor?: number
  /** Epochs; default 5. */
  readonly totalIters?: number
}

/** Multiplies the learning rate by `factor` for the first `totalIters` (default 5) epochs. */
export class ConstantLR extends FormulaScheduler {
  constructor(optimizer: Optimizer, { factor = 1 / 3, totalIters = 5 }: ConstantLROptions = {}) {
    checkBetween('ConstantLR', 'factor', factor, Number.MIN_VALUE, 1)
    checkCount('ConstantLR', 'totalIters', totalIters, 0)
    super(optimizer, {
      options: { factor, totalIters },
      first: (lr) => lr * factor,
      next: (lr, epoch) => (epoch === totalIters ? lr * (1 / factor) : lr),
      restart: (base) => (totalIters === 0 ? base : base * factor),
    })
  }
}

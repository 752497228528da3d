import type { Optimizer } from '../optimizer.ts'
import { checkCount, FormulaScheduler } from './scheduler.ts'

/** How long the rate falls to 0, and along which power. */
export interface PolynomialLROptions {
  /** Epochs; default 5. */
  readonly totalIters?: number
  /** Default 1. */
  readonly power?: number
}

/** Takes the learning rate to 0 within `totalIters` (default 5) epochs: `(1 - epoch / totalIters) ** power` (default 1) of it is left. */
export class PolynomialLR extends FormulaScheduler {
  constructor(optimizer: Optimizer, { totalIters = 5, power = 1 }: PolynomialLROptions = {}) {
    checkCount('PolynomialLR', 'totalIters', totalIters)
    super(optimizer, {
      options: { totalIters, power },
      next: (lr, epoch) => (epoch > totalIters ? lr : lr * ((1 - epoch / totalIters) / (1 - (epoch - 1) / totalIters)) ** power),
    })
  }
}

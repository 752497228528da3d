import type { Optimizer } from '../optimizer.ts'
import { checkCount, FormulaScheduler } from './scheduler.ts'

/** After how many epochs the rate falls each time, and by which factor. */
export interface StepLROptions {
  /** Epochs. */
  readonly stepSize: number
  /** Default 0.1. */
  readonly gamma?: number
}

/** Multiplies the learning rate by `gamma` (default 0.1) every `stepSize` epochs. */
export class StepLR extends FormulaScheduler {
  constructor(optimizer: Optimizer, { stepSize, gamma = 0.1 }: StepLROptions) {
    checkCount('StepLR', 'stepSize', stepSize)
    super(optimizer, { options: { stepSize, gamma }, next: (lr, epoch) => (epoch % stepSize === 0 ? lr * gamma : lr) })
  }
}

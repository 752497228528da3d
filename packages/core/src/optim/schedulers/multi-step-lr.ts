import type { Optimizer } from '../optimizer.ts'
import { FormulaScheduler } from './scheduler.ts'

/** When the rate falls, and by which factor. */
export interface MultiStepLROptions {
  /** Epochs; one that is given twice counts twice. */
  readonly milestones: readonly number[]
  /** Default 0.1. */
  readonly gamma?: number
}

/** Multiplies the learning rate by `gamma` (default 0.1) at each milestone. */
export class MultiStepLR extends FormulaScheduler {
  constructor(optimizer: Optimizer, { milestones, gamma = 0.1 }: MultiStepLROptions) {
    const times = (epoch: number) => milestones.filter((m) => m === epoch).length
    super(optimizer, {
      options: { milestones, gamma },
      next: (lr, epoch) => lr * gamma ** times(epoch),
      restart: (base) => base * gamma ** times(0),
    })
  }
}

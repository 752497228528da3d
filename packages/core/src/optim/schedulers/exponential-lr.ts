import type { Optimizer } from '../optimizer.ts'
import { FormulaScheduler } from './scheduler.ts'

/** Multiplies the learning rate by `gamma` every epoch. */
export class ExponentialLR extends FormulaScheduler {
  constructor(optimizer: Optimizer, { gamma }: { readonly gamma: number }) {
    super(optimizer, { options: { gamma }, next: (lr) => lr * gamma })
  }
}

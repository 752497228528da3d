import type { Optimizer } from '../optimizer.ts'
import type { LambdaLROptions } from './lambda-lr.ts'
import { FormulaScheduler, perGroup } from './scheduler.ts'

/** The learning rate before, times a function of the epoch. */
export class MultiplicativeLR extends FormulaScheduler {
  constructor(optimizer: Optimizer, { lrLambda }: LambdaLROptions) {
    const factors = perGroup('MultiplicativeLR', 'lrLambda', optimizer, lrLambda)
    super(optimizer, { options: { lrLambda }, next: (lr, epoch, _, group) => lr * factors[group]!(epoch) })
  }
}

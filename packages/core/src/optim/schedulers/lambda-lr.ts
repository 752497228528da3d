import type { Optimizer } from '../optimizer.ts'
import { FormulaScheduler, perGroup } from './scheduler.ts'

/** The function that gives the factor of the rate at an epoch. */
export interface LambdaLROptions {
  /** The factor at an epoch; one function for all groups or one a group. */
  readonly lrLambda: ((epoch: number) => number) | readonly ((epoch: number) => number)[]
}

/** The initial learning rate times a function of the epoch. */
export class LambdaLR extends FormulaScheduler {
  constructor(optimizer: Optimizer, { lrLambda }: LambdaLROptions) {
    const factors = perGroup('LambdaLR', 'lrLambda', optimizer, lrLambda)
    super(optimizer, {
      options: { lrLambda },
      first: (_, base, group) => base * factors[group]!(0),
      next: (_, epoch, base, group) => base * factors[group]!(epoch),
      restart: (base, group) => base * factors[group]!(0),
    })
  }
}

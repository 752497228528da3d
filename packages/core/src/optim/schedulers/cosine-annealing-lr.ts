import type { Optimizer } from '../optimizer.ts'
import { checkCount, FormulaScheduler } from './scheduler.ts'

/** How long the rate falls, and how low. */
export interface CosineAnnealingLROptions {
  /** Epochs from the highest to the lowest rate. */
  readonly tMax: number
  /** The lowest rate; default 0. */
  readonly etaMin?: number
}

/** Takes the learning rate along half a cosine to `etaMin` within `tMax` epochs, and back if it goes on (Loshchilov & Hutter 2017, without restarts). */
export class CosineAnnealingLR extends FormulaScheduler {
  constructor(optimizer: Optimizer, { tMax, etaMin = 0 }: CosineAnnealingLROptions) {
    checkCount('CosineAnnealingLR', 'tMax', tMax)
    const height = (epoch: number) => 1 + Math.cos((Math.PI * epoch) / tMax)
    super(optimizer, {
      options: { tMax, etaMin },
      next: (lr, epoch, base) =>
        // At the bottom there is nothing left to multiply.
        (epoch - 1 - tMax) % (2 * tMax) === 0
          ? lr + ((base - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2
          : (height(epoch) / height(epoch - 1)) * (lr - etaMin) + etaMin,
    })
  }
}

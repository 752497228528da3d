import { CotangentError } from '../../errors.ts'
import type { Optimizer } from '../optimizer.ts'
import { checkCount, FormulaScheduler } from './scheduler.ts'

/** How long the cycles are, and how low the rate falls in each. */
export interface CosineAnnealingWarmRestartsOptions {
  /** Epochs of the first cycle. */
  readonly t0: number
  /** How many times as long each cycle is as the one before; default 1. */
  readonly tMult?: number
  /** The lowest rate; default 0. */
  readonly etaMin?: number
}

/** Cycles of half a cosine down to `etaMin`, each beginning at the full learning rate: SGDR (Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983). */
export class CosineAnnealingWarmRestarts extends FormulaScheduler {
  readonly #rate: (epoch: number, base: number) => number

  constructor(optimizer: Optimizer, { t0, tMult = 1, etaMin = 0 }: CosineAnnealingWarmRestartsOptions) {
    checkCount('CosineAnnealingWarmRestarts', 't0', t0)
    checkCount('CosineAnnealingWarmRestarts', 'tMult', tMult)
    const rate = (epoch: number, base: number) => {
      let position = epoch
      let length = t0
      while (position >= length) {
        position -= length
        length *= tMult
      }
      return etaMin + ((base - etaMin) * (1 + Math.cos((Math.PI * position) / length))) / 2
    }
    super(optimizer, { options: { t0, tMult, etaMin }, first: (_, base) => rate(0, base), next: (_, epoch, base) => rate(epoch, base) })
    this.#rate = rate
  }

  /** @param epoch Where to go, also between epochs: `step(epoch + batch / batches)`. Default: the next epoch. */
  override step(epoch?: number): void {
    if (epoch === undefined) return super.step()
    if (!(epoch >= 0 && Number.isFinite(epoch)))
      throw new CotangentError('invalid-argument', { op: 'CosineAnnealingWarmRestarts', message: `there is no epoch ${epoch}` })
    this.epoch = Math.floor(epoch)
    this.set((_, base) => this.#rate(epoch, base))
  }
}

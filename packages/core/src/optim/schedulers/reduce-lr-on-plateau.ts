import { CotangentError } from '../../errors.ts'
import type { Optimizer } from '../optimizer.ts'
import { lrsOf, perGroup } from './scheduler.ts'

/** When a metric counts as having stopped becoming better, and by how much the rate falls then. */
export interface ReduceLROnPlateauOptions {
  /** Whether a smaller (default) or a larger metric is better. */
  readonly mode?: 'min' | 'max'
  /** What the rate is multiplied by, below 1; default 0.1. */
  readonly factor?: number
  /** Epochs without improvement that are let pass; default 10. */
  readonly patience?: number
  /** How much better the metric must be to count; default 1e-4. */
  readonly threshold?: number
  /** Whether `threshold` is a share of the best metric (default) or a difference. */
  readonly thresholdMode?: 'rel' | 'abs'
  /** Epochs after a reduction that do not count; default 0. */
  readonly cooldown?: number
  /** Lower bounds of the rate; one for all groups or one a group. */
  readonly minLr?: number | readonly number[]
  /** A reduction by less than this is left out; default 1e-8. */
  readonly eps?: number
}

export interface PlateauState {
  readonly epoch: number
  readonly lastLrs: readonly number[]
  readonly best: number
  readonly badEpochs: number
  readonly cooldownLeft: number
}

/** Reduces the learning rate when a metric has stopped improving. Call `step(metric)` after every validation. */
export class ReduceLROnPlateau {
  readonly optimizer: Optimizer
  epoch = 0
  /** The best metric so far. */
  best: number
  /** Epochs since then (those of the cooldown left out). */
  badEpochs = 0
  cooldownLeft = 0
  lastLrs: readonly number[]
  readonly #options: Required<Omit<ReduceLROnPlateauOptions, 'minLr'>>
  readonly #minLr: number | readonly number[]

  constructor(optimizer: Optimizer, options: ReduceLROnPlateauOptions = {}) {
    const { minLr = 0, ...rest } = options
    this.#options = { mode: 'min', factor: 0.1, patience: 10, threshold: 1e-4, thresholdMode: 'rel', cooldown: 0, eps: 1e-8, ...rest }
    const { mode, thresholdMode, factor } = this.#options
    if (!(factor < 1)) throw this.#refused(`factor is ${factor}, not below 1`)
    if (mode !== 'min' && mode !== 'max') throw this.#refused(`mode is ${String(mode)}, not min or max`)
    if (thresholdMode !== 'rel' && thresholdMode !== 'abs') throw this.#refused(`thresholdMode is ${String(thresholdMode)}, not rel or abs`)
    this.#minLr = minLr
    this.optimizer = optimizer
    this.best = mode === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
    this.lastLrs = lrsOf(optimizer)
    perGroup('ReduceLROnPlateau', 'minLr', optimizer, minLr)
  }

  /** Once an epoch, with what is watched. */
  step(metric: number): void {
    if (typeof metric !== 'number')
      throw this.#refused(`the metric is ${String(metric)}, not a number`, 'Read a tensor with await t.data() or t.item().')
    const { patience, cooldown } = this.#options
    this.epoch++
    if (this.#isBetter(metric)) {
      this.best = metric
      this.badEpochs = 0
    } else this.badEpochs++
    if (this.cooldownLeft > 0) {
      this.cooldownLeft--
      this.badEpochs = 0
    }
    if (this.badEpochs > patience) {
      this.#reduce()
      this.cooldownLeft = cooldown
      this.badEpochs = 0
    }
    this.lastLrs = lrsOf(this.optimizer)
  }

  stateDict(): PlateauState {
    const { epoch, lastLrs, best, badEpochs, cooldownLeft } = this
    return { epoch, lastLrs, best, badEpochs, cooldownLeft }
  }

  /** Takes over a saved state and sets the learning rates of then. */
  loadStateDict(state: PlateauState): void {
    perGroup('ReduceLROnPlateau', 'lastLrs', this.optimizer, state.lastLrs)
    this.epoch = state.epoch
    this.best = state.best
    this.badEpochs = state.badEpochs
    this.cooldownLeft = state.cooldownLeft
    this.lastLrs = [...state.lastLrs]
    this.optimizer.paramGroups.forEach((group, i) => {
      group.lr = state.lastLrs[i]!
    })
  }

  #isBetter(metric: number): boolean {
    const { mode, threshold, thresholdMode } = this.#options
    if (mode === 'min') return metric < (thresholdMode === 'rel' ? this.best * (1 - threshold) : this.best - threshold)
    return metric > (thresholdMode === 'rel' ? this.best * (1 + threshold) : this.best + threshold)
  }

  #reduce(): void {
    const { factor, eps } = this.#options
    const lowest = perGroup('ReduceLROnPlateau', 'minLr', this.optimizer, this.#minLr)
    this.optimizer.paramGroups.forEach((group, i) => {
      const reduced = Math.max(group.lr * factor, lowest[i]!)
      if (group.lr - reduced > eps) group.lr = reduced
    })
  }

  #refused(message: string, hint?: string): CotangentError {
    return new CotangentError('invalid-argument', { op: 'ReduceLROnPlateau', message, ...(hint && { hint }) })
  }
}

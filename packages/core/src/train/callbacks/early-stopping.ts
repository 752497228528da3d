import { checkCount } from '../../data/check.ts'
import type { Callback } from '../callback.ts'
import type { Logs } from '../metric-set.ts'
import { formatMetric } from '../terminal-format.ts'
import type { Training } from '../training.ts'
import { Monitor, type MonitorOptions } from './monitor.ts'
import { WeightsCopy } from './weights-copy.ts'

/** How long training goes on without becoming better, and what counts as better. */
export interface EarlyStoppingOptions extends MonitorOptions {
  /** Stops at the so manyth check in a row without improvement, as in Keras and Lightning. Default 3. */
  readonly patience?: number
  /** Stops at once when it is this good. */
  readonly target?: number
  /** Stops at once when it is this bad, or NaN or infinite. Default: only for the latter. */
  readonly divergence?: number
  /** Stops if it has not become this good by the end of the patience from the beginning. */
  readonly baseline?: number
  /** Epochs at the beginning that are not looked at. Default 0. */
  readonly startEpoch?: number
  /** Whether the model gets the parameters and buffers back that it had when it was best. Default false. */
  readonly restoreBest?: boolean
  readonly name?: string
}

interface State {
  readonly best: number
  readonly waited: number
  readonly bestEpoch: number
  readonly weights: ReturnType<WeightsCopy['stateDict']> | null
}

/** Ends a training that has stopped becoming better. Looks behind each validation, or each epoch for what is the training's own. */
export class EarlyStopping implements Callback {
  readonly name: string
  readonly #monitor: Monitor
  readonly #options: EarlyStoppingOptions
  readonly #patience: number
  #best = Number.NaN
  #bestEpoch = 0
  #waited = 0
  #weights: WeightsCopy | undefined
  #loaded: State | undefined

  constructor(options: EarlyStoppingOptions = {}) {
    this.name = options.name ?? 'EarlyStopping'
    this.#monitor = new Monitor('EarlyStopping', options)
    this.#options = options
    const { patience = 3, startEpoch = 0 } = options
    checkCount('EarlyStopping', 'patience', patience, { least: 0, infinite: true })
    checkCount('EarlyStopping', 'startEpoch', startEpoch, { least: 0 })
    this.#patience = Math.max(1, patience)
  }

  /** The best value so far; NaN before the first. */
  get best(): number {
    return this.#best
  }

  onFitStart(training: Training): void {
    const { best, waited, bestEpoch, weights } = this.#loaded ?? { best: Number.NaN, waited: 0, bestEpoch: 0, weights: null }
    this.#loaded = undefined
    this.#best = best
    this.#waited = waited
    this.#bestEpoch = bestEpoch
    // A training that was ended so, and is started again, is over.
    this.#stopIfDone(training)
    if (!this.#options.restoreBest) return
    this.#weights = new WeightsCopy(training.model)
    if (weights) this.#weights.loadStateDict(weights)
  }

  onValidationEnd(training: Training, logs: Logs): void {
    this.#check(training, this.#monitor.ofValidation(training, logs))
  }

  onEpochEnd(training: Training, logs: Logs): void {
    this.#check(training, this.#monitor.ofEpoch(training, logs))
  }

  afterFit(training: Training): void {
    if (!this.#weights || Number.isNaN(this.#best)) return
    this.#weights.restore()
    training.write(`the weights of epoch ${this.#bestEpoch} are back, with ${this.#monitor.name(training)} ${formatMetric(this.#best)}`)
  }

  stateDict(): State {
    return { best: this.#best, waited: this.#waited, bestEpoch: this.#bestEpoch, weights: this.#weights?.stateDict() ?? null }
  }

  loadStateDict(state: State): void {
    this.#loaded = state
  }

  #check(training: Training, value: number | undefined): void {
    const { target, divergence, baseline, startEpoch = 0 } = this.#options
    if (value === undefined || training.epoch < startEpoch) return
    const name = this.#monitor.name(training)
    const [direction, shown] = [this.#monitor.direction(training), formatMetric(value)]
    const reaches = (bound: number) => (direction === 'min' ? value <= bound : value >= bound)
    if (!Number.isFinite(value)) return training.stop(`${name} is ${value}`)
    if (divergence !== undefined && (direction === 'min' ? value > divergence : value < divergence))
      return training.stop(`${name} has diverged to ${shown}`)
    const better = this.#monitor.isBetter(training, value, this.#best)
    if (better) {
      this.#best = value
      this.#bestEpoch = training.epoch + 1
      this.#weights?.take()
    }
    if (better && (baseline === undefined || reaches(baseline))) this.#waited = 0
    else this.#waited++
    if (target !== undefined && reaches(target)) return training.stop(`${name} has reached ${shown}`)
    this.#stopIfDone(training)
  }

  #stopIfDone(training: Training): void {
    if (this.#waited < this.#patience) return
    const [name, count] = [this.#monitor.name(training), this.#waited]
    training.stop(`${name} has not become better than ${formatMetric(this.#best)} for ${count} check${count === 1 ? '' : 's'}`)
  }
}

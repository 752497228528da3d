import { checkCount } from '../../data/check.ts'
import { isFloat } from '../../dtype.ts'
import { CotangentError } from '../../errors.ts'
import { compile } from '../../graph/compile.ts'
import type { Stateful } from '../../io/checkpoint.ts'
import type { Module } from '../../nn/module.ts'
import { full } from '../../op/index.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Callback } from '../callback.ts'
import type { Training } from '../training.ts'
import { WeightsCopy } from './weights-copy.ts'

interface AveragingOptions {
  /** Whether the model is left with the averaged weights (default), or with those of the last step. */
  readonly atEnd?: 'average' | 'last'
  readonly name?: string
}

interface State {
  readonly count: number
  readonly weights: Readonly<Record<string, Tensor>> | null
}

/**
 * Weights that are averages of the model's over time, which validations use. Running statistics, as of batch normalisation, are
 * averaged as well; `updateBatchNorm` measures them anew.
 */
abstract class AveragedWeights implements Callback {
  readonly name: string
  readonly #atEnd: 'average' | 'last'
  #copy: WeightsCopy | undefined
  #saved: State['weights'] = null
  #update: ((weight: Tensor) => null) | undefined
  /** How often weights have been taken in. */
  protected count = 0

  constructor(name: string, { atEnd = 'average' }: AveragingOptions) {
    this.name = name
    this.#atEnd = atEnd
  }

  onFitStart(training: Training): void {
    const copy = new WeightsCopy(training.model)
    if (this.#saved) copy.loadStateDict(this.#saved)
    else this.count = 0
    this.#saved = null
    this.#copy = copy
    this.#update = compile((weight: Tensor) => {
      copy.update((mean, own) => (isFloat(mean.dtype) ? mean.add(own.sub(mean).mul(weight).cast(mean.dtype)) : own))
      return null
    })
  }

  async aroundValidation(_: Training, evaluate: () => Promise<void>): Promise<void> {
    if (this.count === 0) return evaluate()
    this.#copy!.swap()
    try {
      await evaluate()
    } finally {
      this.#copy!.swap()
    }
  }

  afterFit(): void {
    if (this.#atEnd === 'average' && this.count > 0) this.#copy!.swap()
  }

  stateDict(): State {
    return { count: this.count, weights: this.#copy?.stateDict() ?? this.#saved }
  }

  loadStateDict({ count, weights }: State): void {
    this.count = count
    this.#saved = weights
  }

  /** Moves the averages by this share of the way to the weights of now. */
  protected take(weight: number): void {
    this.#update!(full([], weight))
    this.count++
  }
}

/** How fast the average follows the weights. */
export interface ExponentialAverageOptions extends AveragingOptions {
  /** How much of the average stays from step to step. Default 0.999. */
  readonly decay?: number
  /** Steps between two that are taken in. Default 1. */
  readonly everySteps?: number
  /** Whether the decay begins low, as (1 + steps) / (10 + steps), so that the average soon forgets the beginning. Default true. */
  readonly warmup?: boolean
}

/** EMA: an exponential moving average of the weights (Polyak & Juditsky 1992, https://doi.org/10.1137/0330046). */
export class ExponentialAverage extends AveragedWeights {
  readonly #decay: number
  readonly #everySteps: number
  readonly #warmup: boolean

  /** @throws {CotangentError} `invalid-argument` for a decay that is none. */
  constructor({ decay = 0.999, everySteps = 1, warmup = true, name = 'ExponentialAverage', ...options }: ExponentialAverageOptions = {}) {
    super(name, options)
    if (!(decay >= 0 && decay < 1)) throw refused(name, `decay is ${decay}`, 'It is a number from 0 to below 1.')
    checkCount(name, 'everySteps', everySteps)
    this.#decay = decay
    this.#everySteps = everySteps
    this.#warmup = warmup
  }

  onStepEnd(training: Training): void {
    if (training.step % this.#everySteps !== 0) return
    const { count } = this
    this.take(1 - (this.#warmup ? Math.min(this.#decay, (1 + count) / (10 + count)) : this.#decay))
  }
}

/** Which epochs' weights are averaged, and by which learning rate they are found. */
export interface StochasticWeightAveragingOptions extends AveragingOptions {
  /** The first epoch (from 0) whose weights count; below 1, a share of the epochs. Default 0.75. */
  readonly start?: number
  /** Epochs between two that count. Default 1. */
  readonly everyEpochs?: number
  /** The learning rate from then on. Default: as it is. */
  readonly lr?: number
}

/** SWA: the mean of the weights at the ends of the last epochs (Izmailov et al. 2018, https://arxiv.org/abs/1803.05407). */
export class StochasticWeightAveraging extends AveragedWeights {
  readonly #start: number
  readonly #everyEpochs: number
  readonly #lr: number | undefined

  /** @throws {CotangentError} `invalid-argument` for a start that is none. */
  constructor({
    start = 0.75,
    everyEpochs = 1,
    lr,
    name = 'StochasticWeightAveraging',
    ...options
  }: StochasticWeightAveragingOptions = {}) {
    super(name, options)
    if (!(start >= 0)) throw refused(name, `start is ${start}`, 'It is an epoch, or a share of the epochs below 1.')
    checkCount(name, 'everyEpochs', everyEpochs)
    this.#start = start
    this.#everyEpochs = everyEpochs
    this.#lr = lr
  }

  onEpochStart(training: Training): void {
    // In the middle of an epoch that goes on, a schedule may have changed it since.
    if (this.#lr !== undefined && training.batch === 0 && training.epoch >= this.#first(training)) training.optimizer.lr = this.#lr
  }

  onEpochEnd(training: Training): void {
    const since = training.epoch - this.#first(training)
    if (since >= 0 && since % this.#everyEpochs === 0) this.take(1 / (this.count + 1))
  }

  #first({ plan }: Training): number {
    if (this.#start >= 1 || this.#start === 0) return this.#start
    if (plan.epochs === Number.POSITIVE_INFINITY)
      throw refused(this.name, 'start is a share of epochs whose number is not known', 'Give the number of an epoch.')
    return Math.floor(this.#start * plan.epochs)
  }
}

/**
 * In place of the part `callbacks` of a checkpoint: gives a model the averaged weights, which are those that validations used, where its
 * own part `model` has the weights that go on learning.
 *
 *     await store.restore({ callbacks: train.averagesInto(model) }, 'best')
 *
 * @param name That of the callback, where there are several; default the one that averages.
 * @throws {CotangentError} `invalid-argument`, when it is restored, where the checkpoint has no averages.
 */
export function averagesInto(model: Module, name?: string): Stateful {
  return {
    stateDict: () => ({}),
    loadStateDict(states: Readonly<Record<string, Partial<State> | null>>) {
      const has = (state: Partial<State> | null | undefined) =>
        typeof state?.count === 'number' && state.count > 0 && Boolean(state.weights)
      const found = name === undefined ? Object.values(states).find(has) : states[name]
      if (!has(found))
        throw refused(
          'averagesInto',
          `the checkpoint has no averaged weights${name === undefined ? '' : ` of ${name}`}`,
          `Its callbacks are ${Object.keys(states).join(', ') || 'none'}; averages begin with the first step or epoch that counts.`,
        )
      model.loadStateDict(found!.weights!)
    },
  }
}

const refused = (op: string, message: string, hint: string) => new CotangentError('invalid-argument', { op, message, hint })

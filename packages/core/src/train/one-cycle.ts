import { CotangentError } from '../errors.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import { OneCycleLR, type OneCycleLROptions } from '../optim/schedulers/one-cycle-lr.ts'
import type { OptionNames } from '../option-names.ts'
import type { BatchData } from './batch.ts'
import type { FitResult } from './fit-loop.ts'
import type { FitOptions } from './fit-options.ts'
import { checkTrainingOptions, fitOptionNames } from './option-names.ts'
import type { TensorData } from './tensor-data.ts'
import type { Trainer } from './trainer.ts'

/** Options of `fit` and of `optim.OneCycleLR`. The schedule and its number of steps follow from the training. */
export type OneCycleOptions = Omit<FitOptions, 'schedule'> & Omit<OneCycleLROptions, 'totalSteps'>

const { schedule: _, ...ofFit } = fitOptionNames
const ofOneCycle: OptionNames<OneCycleOptions> = {
  ...ofFit,
  maxLr: true,
  pctStart: true,
  annealStrategy: true,
  cycleMomentum: true,
  baseMomentum: true,
  maxMomentum: true,
  divFactor: true,
  finalDivFactor: true,
  threePhase: true,
}

/** `fit` with a learning rate that rises to `maxLr` and falls far below where it began: see `optim.OneCycleLR`. */
export async function oneCycle<O, T>(trainer: Trainer<O, T>, data: BatchData | TensorData, options: OneCycleOptions): Promise<FitResult> {
  checkTrainingOptions('oneCycle', options, ofOneCycle)
  const { maxLr, pctStart, annealStrategy, cycleMomentum, baseMomentum, maxMomentum, divFactor, finalDivFactor, threePhase, ...fit } =
    options
  const shape = { pctStart, annealStrategy, cycleMomentum, baseMomentum, maxMomentum, divFactor, finalDivFactor, threePhase }
  const given = Object.fromEntries(Object.entries(shape).filter(([, value]) => value !== undefined))
  return trainer.fit(data, { ...fit, schedule: { step: (optimizer, totalSteps) => cycle(optimizer, { ...given, maxLr, totalSteps }) } })
}

function cycle(optimizer: Optimizer, options: OneCycleLROptions): OneCycleLR {
  const hasMomentum = 'momentum' in optimizer.defaults || 'betas' in optimizer.defaults
  return new OneCycleLR(optimizer, { cycleMomentum: hasMomentum, ...options })
}

/** Epochs and rates of the two phases of fine-tuning, and options of `fit`. */
export interface FineTuneOptions extends Omit<OneCycleOptions, 'maxLr' | 'epochs'> {
  /** Epochs for all of the model. */
  readonly epochs: number
  /** Epochs before them in which only the last group of parameters, the head, learns. Default 1. */
  readonly freezeEpochs?: number
  /** The highest rate of the head while the rest is frozen; then half of it. Default 2e-3. */
  readonly baseLr?: number
  /** By how much the first group's rate is smaller than the head's; groups between have rates between. Default 100. */
  readonly lrMult?: number
}

const { maxLr: __, ...ofCycle } = ofOneCycle
const ofFineTune: OptionNames<FineTuneOptions> = { ...ofCycle, freezeEpochs: true, baseLr: true, lrMult: true }

/** The trainings of the two phases. */
export interface FineTuneResult {
  /** While all but the head was frozen; undefined with `freezeEpochs: 0`. */
  readonly frozen: FitResult | undefined
  readonly whole: FitResult
}

/**
 * Adapts a model that was trained before: first only its head learns, then all of it, the earlier layers more slowly (fastai's
 * `fine_tune`; Howard & Ruder 2018, https://arxiv.org/abs/1801.06146). The groups of the optimiser's parameters, first to last, are the
 * groups of layers; the last is the head. Behind it all parameters require gradients.
 *
 *     const optimizer = new optim.AdamW([{ params: model.body }, { params: model.head }])
 *     await train.fineTune(new train.Trainer(model, { optimizer, loss: crossEntropy }), batches, { epochs: 4 })
 *
 * @throws {CotangentError} `invalid-argument` for an optimiser with one group.
 */
export async function fineTune<O, T>(
  trainer: Trainer<O, T>,
  data: BatchData | TensorData,
  given: FineTuneOptions,
): Promise<FineTuneResult> {
  checkTrainingOptions('fineTune', given, ofFineTune)
  const { epochs, freezeEpochs = 1, baseLr = 2e-3, lrMult = 100, ...options } = given
  const groups = trainer.optimizer.paramGroups
  if (groups.length < 2) {
    throw new CotangentError('invalid-argument', {
      op: 'fineTune',
      message: 'the optimiser has one group of parameters, so nothing tells the head from the rest',
      hint: 'Make it with groups: new optim.AdamW([{ params: model.body }, { params: model.head }]).',
    })
  }
  const require = (count: number, needed: boolean) => {
    for (const { params } of groups.slice(0, count)) for (const param of params) param.requiresGrad = needed
  }
  const last = groups.length - 1
  require(groups.length, true)
  require(last, false)
  const frozen =
    freezeEpochs === 0
      ? undefined
      : await oneCycle(trainer, data, { pctStart: 0.99, ...options, epochs: freezeEpochs, maxLr: baseLr }).finally(() =>
          require(last, true),
        )
  require(last, true)
  const high = baseLr / 2
  const maxLr = groups.map((_, i) => (high / lrMult) * lrMult ** (i / last))
  const whole =
    frozen?.stopReason === 'interrupted'
      ? frozen
      : await oneCycle(trainer, data, { pctStart: 0.3, divFactor: 5, ...options, epochs, maxLr })
  return { frozen, whole }
}

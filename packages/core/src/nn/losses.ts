import {
  bceLoss,
  bceWithLogitsLoss,
  type BceWithLogitsOptions,
  cosineEmbeddingLoss,
  cosineSimilarity,
  crossEntropy,
  type CrossEntropyOptions,
  ctcLoss,
  type CtcOptions,
  gaussianNllLoss,
  type GaussianNllOptions,
  hingeEmbeddingLoss,
  hingeLoss,
  type HingeOptions,
  huberLoss,
  type HuberOptions,
  klDivLoss,
  type KlDivOptions,
  l1Loss,
  type LossOptions,
  marginRankingLoss,
  mseLoss,
  nllLoss,
  type NllOptions,
  poissonNllLoss,
  type PoissonNllOptions,
  smoothL1Loss,
  type SmoothL1Options,
  softMarginLoss,
  tripletMarginLoss,
  type TripletOptions,
  type WeightedLossOptions,
} from '../op/index.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { describeOptions } from './describe.ts'
import { Module } from './module.ts'

/** A loss of fixed options as a module. */
export interface Loss<Inputs extends readonly Tensor[]> extends Module {
  forward(...inputs: Inputs): Tensor
}

type LossOp<Inputs extends readonly Tensor[], Options> = (...args: [...Inputs, options?: Options]) => Tensor

/** The module of a loss function: its constructor takes the function's options. */
/* @__NO_SIDE_EFFECTS__ */
const loss = <Inputs extends readonly Tensor[], Options extends object>(
  f: LossOp<Inputs, Options>,
): { new (options?: Options): Loss<Inputs> } =>
  class extends Module {
    readonly #options: Options

    constructor(options: Options = {} as Options) {
      super()
      this.#options = options
    }

    forward(...inputs: Inputs): Tensor {
      return f(...inputs, this.#options)
    }

    override describe(): string {
      return describeOptions(this.#options)
    }
  }

type Pair = [input: Tensor, target: Tensor]
type Three = [first: Tensor, second: Tensor, third: Tensor]

/** `crossEntropy` of logits `[..., classes]` with class indices `[...]` or probabilities `[..., classes]`. */
export class CrossEntropyLoss extends loss<Pair, CrossEntropyOptions>(crossEntropy) {}
/** `nllLoss` of log-probabilities `[..., classes]` with class indices `[...]`. */
export class NLLLoss extends loss<Pair, NllOptions>(nllLoss) {}
/** `bceLoss` of probabilities with probabilities. */
export class BCELoss extends loss<Pair, WeightedLossOptions>(bceLoss) {}
/** `bceWithLogitsLoss` of logits with probabilities. */
export class BCEWithLogitsLoss extends loss<Pair, BceWithLogitsOptions>(bceWithLogitsLoss) {}
/** Mean of (x - y)². */
export class MSELoss extends loss<Pair, LossOptions>(mseLoss) {}
/** Mean of |x - y|. */
export class L1Loss extends loss<Pair, LossOptions>(l1Loss) {}
/** `smoothL1Loss`: squared near 0, absolute beyond beta. */
export class SmoothL1Loss extends loss<Pair, SmoothL1Options>(smoothL1Loss) {}
/** `huberLoss`: squared near 0, absolute beyond delta. */
export class HuberLoss extends loss<Pair, HuberOptions>(huberLoss) {}
/** `klDivLoss` of log-probabilities with probabilities (or log-probabilities). */
export class KLDivLoss extends loss<Pair, KlDivOptions>(klDivLoss) {}
/** `hingeLoss` with targets of -1 and 1. */
export class HingeLoss extends loss<Pair, HingeOptions>(hingeLoss) {}
/** `hingeEmbeddingLoss` of distances with targets of -1 and 1. */
export class HingeEmbeddingLoss extends loss<Pair, HingeOptions>(hingeEmbeddingLoss) {}
/** `softMarginLoss` with targets of -1 and 1. */
export class SoftMarginLoss extends loss<Pair, LossOptions>(softMarginLoss) {}
/** `poissonNllLoss` of (logarithms of) rates with counts. */
export class PoissonNLLLoss extends loss<Pair, PoissonNllOptions>(poissonNllLoss) {}
/** `gaussianNllLoss` of means with targets and variances. */
export class GaussianNLLLoss extends loss<Three, GaussianNllOptions>(gaussianNllLoss) {}
/** `cosineEmbeddingLoss` of two vectors with targets of -1 and 1. */
export class CosineEmbeddingLoss extends loss<Three, HingeOptions>(cosineEmbeddingLoss) {}
/** `marginRankingLoss` of two scores with targets of -1 and 1. */
export class MarginRankingLoss extends loss<Three, HingeOptions>(marginRankingLoss) {}
/** `tripletMarginLoss` of anchor, positive and negative. */
export class TripletMarginLoss extends loss<Three, TripletOptions>(tripletMarginLoss) {}

/** `ctcLoss` of log-probabilities `[batch, time, classes]` with targets `[batch, labels]`, of given lengths. */
export class CTCLoss extends Module {
  readonly #options: Omit<CtcOptions, 'inputLengths' | 'targetLengths'>

  constructor(options: Omit<CtcOptions, 'inputLengths' | 'targetLengths'> = {}) {
    super()
    this.#options = options
  }

  forward(logProbs: Tensor, targets: Tensor, lengths: Pick<CtcOptions, 'inputLengths' | 'targetLengths'> = {}): Tensor {
    return ctcLoss(logProbs, targets, { ...this.#options, ...lengths })
  }

  override describe(): string {
    return describeOptions(this.#options)
  }
}

/** `cosineSimilarity` of two tensors along an axis. */
export class CosineSimilarity extends loss<Pair, { readonly axis?: number; readonly eps?: number }>(cosineSimilarity) {}

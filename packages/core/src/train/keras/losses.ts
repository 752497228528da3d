import { isFloat } from '../../dtype.ts'
import {
  bceLoss,
  bceWithLogitsLoss,
  cosineSimilarity,
  crossEntropy,
  hingeLoss,
  huberLoss,
  l1Loss,
  mseLoss,
  nllLoss,
  poissonNllLoss,
  softplus,
} from '../../op/index.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { LossFunction } from '../loss-terms.ts'
import { classIndices } from './like-outputs.ts'

/** What Keras keeps probabilities from 0 by. */
const epsilon = 1e-7

/** Of probabilities, as Keras has it: for logits there is `crossEntropy`. */
const categorical: LossFunction = (probabilities, targets, options) => {
  const logs = probabilities.clamp({ min: epsilon, max: 1 }).log()
  if (!isFloat(targets.dtype)) return nllLoss(logs, targets, options) as Tensor
  const losses = logs.mul(targets).sum(-1).neg()
  return options?.reduction === 'none' ? losses : losses.mean()
}

const divergence: LossFunction = (probabilities, targets, options) => {
  const p = targets.clamp({ min: epsilon, max: 1 })
  const losses = p.mul(p.log().sub(probabilities.clamp({ min: epsilon, max: 1 }).log())).sum(-1)
  return options?.reduction === 'none' ? losses : losses.mean()
}

/* @__NO_SIDE_EFFECTS__ */
const reduced =
  (each: (x: Tensor, targets: Tensor) => Tensor): LossFunction =>
  (x, targets, options) => {
    const losses = each(x, targets.cast(x.dtype))
    return options?.reduction === 'none' ? losses : losses.mean()
  }

/** log(cosh(d)), without its overflow for large d. */
const logCosh = reduced((x, targets) => {
  const d = x.sub(targets)
  return d.add(softplus(d.mul(-2))).sub(Math.LN2)
})
/** In percent, unlike `MeanAbsolutePercentageError`. */
export const percentage = reduced((x, targets) =>
  x
    .sub(targets)
    .abs()
    .div(targets.abs().clamp({ min: epsilon }))
    .mul(100),
)
const logarithmic = reduced((x, targets) => {
  const logOf = (value: Tensor) => value.clamp({ min: epsilon }).log1p()
  return logOf(x).sub(logOf(targets)).square()
})

/** Cross-entropy in which what is certain already counts little (Lin et al. 2017, https://arxiv.org/abs/1708.02002), with Keras' factors. */
const focal: LossFunction = (probabilities, targets, options) => {
  const p = probabilities.clamp({ min: epsilon, max: 1 - epsilon })
  const losses = targets.mul(p.log()).mul(p.neg().add(1).square()).mul(-0.25).sum(-1)
  return options?.reduction === 'none' ? losses : losses.mean()
}
const binaryFocal = reduced((probabilities, targets) => {
  const p = probabilities.clamp({ min: epsilon, max: 1 - epsilon })
  const right = targets.mul(p).add(targets.sub(1).mul(p.sub(1)))
  return right.neg().add(1).square().mul(right.log()).neg()
})
/** The best score of another class should be one below that of the right one. */
const categoricalHinge: LossFunction = (x, targets, options) => {
  const [right, other] = [targets.mul(x).sum(-1), targets.neg().add(1).mul(x).max(-1)]
  const losses = other.sub(right).add(1).clamp({ min: 0 })
  return options?.reduction === 'none' ? losses : losses.mean()
}

/** Losses by the names that Keras has for them, and `crossEntropy` and `bceWithLogits` of logits. */
export const losses: Readonly<Record<string, LossFunction>> = {
  categoricalCrossentropy: categorical,
  sparseCategoricalCrossentropy: (p, targets, options) => categorical(p, classIndices(p, targets), options),
  categoricalFocalCrossentropy: focal,
  categoricalHinge,
  binaryCrossentropy: (p, targets, options) =>
    bceLoss(p.clamp({ min: epsilon, max: 1 - epsilon }), targets.cast(p.dtype), options) as Tensor,
  binaryFocalCrossentropy: binaryFocal,
  crossEntropy: (logits, targets, options) => crossEntropy(logits, classIndices(logits, targets), options) as Tensor,
  bceWithLogits: (logits, targets, options) => bceWithLogitsLoss(logits, targets.cast(logits.dtype), options) as Tensor,
  mse: (x, targets, options) => mseLoss(x, targets, options) as Tensor,
  meanSquaredError: (x, targets, options) => mseLoss(x, targets, options) as Tensor,
  mae: (x, targets, options) => l1Loss(x, targets, options) as Tensor,
  meanAbsoluteError: (x, targets, options) => l1Loss(x, targets, options) as Tensor,
  huber: (x, targets, options) => huberLoss(x, targets, options) as Tensor,
  hinge: (x, targets, options) => hingeLoss(x, targets, options) as Tensor,
  poisson: (rates, targets, options) => poissonNllLoss(rates, targets, { logInput: false, ...options }) as Tensor,
  klDivergence: divergence,
  kld: divergence,
  logCosh,
  mape: percentage,
  meanAbsolutePercentageError: percentage,
  msle: logarithmic,
  meanSquaredLogarithmicError: logarithmic,
  squaredHinge: reduced((x, targets) => targets.mul(-1).mul(x).add(1).clamp({ min: 0 }).square()),
  cosineSimilarity: reduced((x, targets) => cosineSimilarity(x, targets, { axis: -1 }).neg() as Tensor),
}

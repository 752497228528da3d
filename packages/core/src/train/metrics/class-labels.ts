import { dtypeInfo, isFloat } from '../../dtype.ts'
import { CotangentError } from '../../errors.ts'
import { sameShape, type Shape } from '../../layout.ts'
import { where } from '../../op/index.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import type { NameOption } from './mean-metric.ts'
import { checkSameShape, checkTensors, sampleWeights } from './sample-weights.ts'

/** One class or not, one class of several, or several at once. */
export type ClassTask = 'binary' | 'multiclass' | 'multilabel'

/** What predictions and targets are: classes, labels or a yes and no, as probabilities or logits. */
export interface ClassOptions extends NameOption {
  /**
   * `binary`: predictions and targets have one shape; targets are 0 and 1. `multiclass`: predictions are scores
   * `[..., classes]` (the largest counts) or class indices, targets class indices or `[..., classes]` of which the largest counts.
   * `multilabel`: both are `[..., classes]`, and each label is binary. Default: `multiclass` with `classes`, else `binary`.
   */
  readonly task?: ClassTask
  /** How many classes or labels there are. */
  readonly classes?: number
  /** Probabilities above it count as yes, in binary and multilabel tasks. Default 0.5. */
  readonly threshold?: number
  /** Predictions are logits, to which the sigmoid (or softmax) is applied first. Default false: probabilities, or yes and no. */
  readonly fromLogits?: boolean
  /** Elements with this target count for nothing. Default: none. */
  readonly ignoreIndex?: number
}

export interface ClassSetup extends ClassOptions {
  readonly name: string
  readonly task: ClassTask
  /** 1 in a binary task. */
  readonly classes: number
}

/** @throws {CotangentError} `invalid-argument` for options that contradict each other. */
export function classSetup(op: string, options: ClassOptions): ClassSetup {
  const { name = op, classes, threshold = 0.5 } = options
  const task = options.task ?? (classes === undefined ? 'binary' : 'multiclass')
  const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: name, message, hint })
  if (!['binary', 'multiclass', 'multilabel'].includes(task))
    throw refused(`there is no task ${String(task)}`, 'Use binary, multiclass or multilabel.')
  if (task === 'binary' && classes !== undefined && classes !== 1)
    throw refused(`a binary task has no ${classes} classes`, "Use { task: 'multiclass' } or 'multilabel'.")
  if (task !== 'binary' && (!Number.isInteger(classes) || classes! < 1))
    throw refused(`a ${task} task needs the number of classes`, 'Give { classes: 10 }, for instance.')
  if (task === 'multiclass' && classes === 1)
    throw refused('a multiclass task has more than 1 class', 'For yes or no, leave { classes } out: the task is binary then.')
  if (!(threshold >= 0 && threshold <= 1))
    throw refused(`threshold is ${threshold}`, 'It is a probability, from 0 to 1, also where predictions are logits.')
  return { ...options, name, task, classes: classes ?? 1 }
}

/** Class indices of predictions and targets of a multiclass task, int32 in range, one axis, with how much each counts. */
interface ClassIndices {
  readonly predicted: Tensor
  readonly actual: Tensor
  /** float64. NaN where a score is NaN or an index is no class. */
  readonly weights: Tensor
}

export function classIndices(setup: ClassSetup, predictions: Tensor, targets: Tensor, options: MetricUpdateOptions): ClassIndices {
  const { name, classes } = setup
  const actual = targetIndices(setup, predictions, targets)
  const scored = predictions.rank === actual.rank + 1
  if (scored) checkScores(name, classes, predictions, actual)
  else checkSameShape(name, predictions, actual)
  const predicted = scored ? predictions.argmax(-1) : predictions.cast('int32')
  const broken = scored ? someNaN(predictions) : noClass(predicted, classes)
  return {
    predicted: inRange(predicted, classes),
    actual: inRange(actual, classes),
    weights: targetWeights(setup, actual, options, broken).reshape([-1]),
  }
}

/** Scores of all classes of a multiclass task, float64 `[samples, classes]` (probabilities, if they are given as logits), and targets. */
export function classScores(setup: ClassSetup, predictions: Tensor, targets: Tensor, options: MetricUpdateOptions) {
  const index = targetIndices(setup, predictions, targets)
  checkScores(setup.name, setup.classes, predictions, index)
  const rows = predictions.cast('float64').reshape([-1, setup.classes])
  return {
    scores: setup.fromLogits ? rows.softmax(-1) : rows,
    actual: inRange(index, setup.classes),
    weights: targetWeights(setup, index, options, someNaN(predictions)).reshape([-1]),
  }
}

/** Indices of the target classes, in the targets' shape or without the axis of one-hot targets. */
export function targetIndices({ name, classes }: ClassSetup, predictions: Tensor, targets: Tensor): Tensor {
  checkTensors(name, predictions, targets)
  // Shares of classes, one-hot or mixed.
  if (
    isFloat(targets.dtype) &&
    sameShape(targets.shape, predictions.shape) &&
    targets.shape.at(-1) === classes &&
    isFloat(predictions.dtype)
  )
    return targets.argmax(-1)
  if (dtypeInfo[targets.dtype].kind === 'float') {
    throw new CotangentError('dtype-mismatch', {
      op: name,
      message: 'targets must be class indices, or a number for each class',
      dtypes: [targets.dtype],
      shapes: [targets.shape],
      hint: "Use targets.cast('int32').",
    })
  }
  return targets.cast('int32')
}

export function checkScores(op: string, classes: number, predictions: Tensor, { shape }: { readonly shape: Shape }): void {
  if (predictions.rank === shape.length + 1 && predictions.shape.at(-1) === classes && sameShape(predictions.shape.slice(0, -1), shape))
    return
  throw new CotangentError('shape-mismatch', {
    op,
    message: `predictions must be scores of ${classes} classes on a last axis that the targets do not have`,
    shapes: [predictions.shape, shape],
    hint: 'Check { classes }, and that classes are on the last axis.',
  })
}

/** How much each target class index counts. `broken`: where its prediction is none. */
export function targetWeights(setup: ClassSetup, actual: Tensor, options: MetricUpdateOptions, broken: Tensor): Tensor {
  const { name, classes, ignoreIndex } = setup
  const weights = sampleWeights(name, actual.shape, options, broken.logicalOr(noClass(actual, classes)))
  return ignoreIndex === undefined ? weights : where(actual.eq(ignoreIndex), 0, weights)
}

export const someNaN = (scores: Tensor): Tensor => scores.isNaN().any(-1)

const noClass = (index: Tensor, classes: number): Tensor => index.lt(0).logicalOr(index.ge(classes))
export const inRange = (index: Tensor, classes: number): Tensor => index.clamp({ min: 0, max: classes - 1 }).reshape([-1])

/** Each label of a binary or multilabel task, `[samples, labels]` in float64. */
interface LabelScores {
  /** Probabilities, or yes and no. */
  readonly scores: Tensor
  /** 0 and 1. */
  readonly actual: Tensor
  /** How much each counts. NaN where a score is NaN or a target is neither 0 nor 1. */
  readonly weights: Tensor
}

export function labelScores(setup: ClassSetup, predictions: Tensor, targets: Tensor, options: MetricUpdateOptions): LabelScores {
  const { name, task, classes, ignoreIndex, fromLogits = false } = setup
  checkTensors(name, predictions, targets)
  const scoresOf = task === 'binary' && predictions.rank === targets.rank + 1 ? predictions.shape.at(-1)! : 0
  const given = scoresOf === 1 ? predictions.reshape(targets.shape) : predictions
  checkSameShape(
    name,
    given,
    targets,
    scoresOf > 1 ? `These look like scores of ${scoresOf} classes: make the metric with { classes: ${scoresOf} }.` : undefined,
  )
  if (task === 'multilabel' && targets.shape.at(-1) !== classes) {
    throw new CotangentError('shape-mismatch', {
      op: name,
      message: `there are to be ${classes} labels, but the last axis has another size`,
      shapes: [targets.shape],
      hint: 'Give { classes } as many as there are labels.',
    })
  }
  const scores = fromLogits ? given.cast('float64').sigmoid() : given.cast('float64')
  const actual = targets.cast('float64')
  const broken = scores.isNaN().logicalOr(actual.ne(0).logicalAnd(actual.ne(1)))
  const counted = sampleWeights(name, targets.shape, options, broken)
  const weights = ignoreIndex === undefined ? counted : where(actual.eq(ignoreIndex), 0, counted)
  const rows = [-1, classes]
  return { scores: scores.reshape(rows), actual: actual.reshape(rows), weights: weights.reshape(rows) }
}

/** Which labels are said to hold, `[samples, labels]` in float64. */
export const flagsOf = ({ threshold = 0.5 }: ClassSetup, { scores }: LabelScores): Tensor => scores.gt(threshold).cast('float64')

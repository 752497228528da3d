import { dtypeInfo, isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Reduced } from '../shape-types.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { full, tensor } from './creation.ts'
import { concat } from './join.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { lengthsOf } from './lengths.ts'
import { type LossOptions, reduceLoss, type Reduction, type WithReduction } from './loss.ts'
import { pad } from './pad.ts'
import { timeSteps } from './recurrent.ts'
import { defineFunction, sampleTensor } from './table.ts'
import { where } from './where.ts'

/** Which class is the blank of CTC, how long samples are, and what becomes of targets that do not fit. */
export interface CtcOptions extends LossOptions {
  /** The class that stands for no label. Default 0. */
  readonly blank?: number
  /** How many time steps of each sample count. Default: all. */
  readonly inputLengths?: Tensor | readonly number[]
  /** How many labels of each sample count. Default: all. */
  readonly targetLengths?: Tensor | readonly number[]
  /** Whether targets that do not fit into their inputs cost nothing, instead of infinitely much. Default false. */
  readonly zeroInfinity?: boolean
}

/** Stands for log(0): sums and differences of it stay finite, so that gradients do. */
const never = -1e30

/** One step of the forward variables: a label is reached from itself, the one before, or (`skip`) the one before that. */
const stepPrimitive = kernelPrimitive<undefined>({
  name: 'ctcStep',
  operands: ['promote', 'promote', 'promote', 'promote', 'own'],
  code: (k, [stay, next, over, emission, skip, active]) => {
    const skipped = k.select(skip!, over!, k.like(over!, never))
    const most = k.max(k.max(stay!, next!), skipped)
    const sum = [stay!, next!, skipped].map((a) => k.exp(k.sub(a, most))).reduce((a, b) => k.add(a, b))
    const reached = k.max(k.add(k.add(most, k.log(sum)), emission!), k.like(most, never))
    return [k.select(active!, reached, stay!)]
  },
})

const shifted = (x: Tensor, by: number, value: number): Tensor =>
  pad(
    x,
    [
      [0, 0],
      [by, -by],
    ],
    { value },
  )

/** Blank, label, blank, label, ..., blank: `[batch, 2 * labels + 1]`. */
function withBlanks(targets: Tensor, blank: number): Tensor {
  const [batch, count] = targets.shape as unknown as [number, number]
  const column = (n: number): Tensor => full([batch, n, 1], blank, { dtype: 'int32' }) as Tensor
  const pairs: Tensor = (concat([column(count), targets.unsqueeze(-1)] as readonly Tensor[], -1) as Tensor).reshape([batch, 2 * count])
  return concat([pairs, column(1).reshape([batch, 1])] as readonly Tensor[], 1)
}

interface CtcLoss {
  <R extends Reduction = 'mean'>(logProbs: Tensor, targets: Tensor, options?: WithReduction<CtcOptions, R>): Tensor<Reduced<R, [number]>>
}

export const ctcLoss: CtcLoss = defineFunction({
  name: 'ctcLoss',
  precision: 'float32',
  doc: 'Connectionist temporal classification: -log of the probability of all alignments of targets [batch, labels] to log-probabilities [batch, time, classes]. Graves et al. (2006).',
  call: ((logProbs: Tensor, targets: Tensor, options: CtcOptions = {}): Tensor => {
    const { blank = 0, zeroInfinity = false, reduction } = options
    const [batch, time, classes] = logProbs.shape as unknown as [number, number, number]
    if (logProbs.rank !== 3 || targets.rank !== 2 || targets.shape[0] !== batch || time === 0) {
      throw new CotangentError('shape-mismatch', {
        op: 'ctcLoss',
        message: 'needs log-probabilities [batch, time, classes] and targets [batch, labels]',
        shapes: [logProbs.shape, targets.shape],
      })
    }
    if (!isFloat(logProbs.dtype))
      throw new CotangentError('dtype-mismatch', {
        op: 'ctcLoss',
        message: 'needs log-probabilities',
        dtypes: [logProbs.dtype],
        hint: 'Use logits.logSoftmax().',
      })
    if (dtypeInfo[targets.dtype].kind !== 'int')
      throw new CotangentError('dtype-mismatch', {
        op: 'ctcLoss',
        message: 'targets are class indices',
        dtypes: [targets.dtype],
        hint: "Use targets.cast('int32').",
      })
    if (!Number.isInteger(blank) || blank < 0 || blank >= classes)
      throw new CotangentError('index-out-of-range', { op: 'ctcLoss', message: `blank ${blank} is not one of ${classes} classes` })
    const inputLengths = lengthsOf('ctcLoss', 'inputLengths', options.inputLengths, batch, time)
    const targetLengths = lengthsOf('ctcLoss', 'targetLengths', options.targetLengths, batch, targets.shape[1]!)

    const labels = withBlanks(targets.detach().cast('int32'), blank)
    const width = labels.shape[1]!
    const skip = labels.ne(blank).logicalAnd(labels.ne(shifted(labels, 2, -1))) as Tensor
    const emissions = timeSteps(logProbs.gather(2, labels.unsqueeze(1).expand([batch, time, width]) as never) as Tensor)
    const start = full([1, width], never, { dtype: logProbs.dtype }) as Tensor
    const first = tensor(Array.from({ length: width }, (_, i) => i < 2)) as Tensor
    let reached: Tensor = where(first, emissions[0]!, start)
    for (let t = 1; t < time; t++) {
      const active = inputLengths.gt(t).unsqueeze(1) as Tensor
      reached = bind1(
        stepPrimitive,
        [reached, shifted(reached, 1, never), shifted(reached, 2, never), emissions[t]!, skip, active],
        undefined,
      )
    }
    // An alignment ends with the last label or the blank behind it.
    const end = targetLengths.mul(2).unsqueeze(1) as Tensor
    const behind = reached.gather(1, end as never) as Tensor
    const last = where(end.gt(0), reached.gather(1, end.sub(1).maximum(0) as never) as Tensor, never)
    const total = (behind as Tensor).logAddExp(last).squeeze(1) as Tensor
    const possible = total.gt(never / 2) as Tensor
    const losses = where(possible, total.neg() as Tensor, zeroInfinity ? 0 : Number.POSITIVE_INFINITY)
    const scaled =
      reduction === undefined || reduction === 'mean'
        ? (losses.div(targetLengths.maximum(1).cast(losses.dtype) as Tensor) as Tensor)
        : losses
    return reduceLoss('ctcLoss', scaled, reduction)
  }) as CtcLoss,
  samples: () => {
    const logProbs = sampleTensor([2, 5, 4], { low: -3, high: -0.2 })
    const targets = sampleTensor([2, 2], { dtype: 'int32', values: [1, 1, 3, 2] })
    return [
      { args: [logProbs, targets] },
      // Second derivatives of an empty target's loss overflow where paths are impossible; PyTorch has none at all.
      { args: [logProbs, targets, { inputLengths: [5, 4], targetLengths: [2, 0], reduction: 'none' }], gradient: 'first-order' },
      { args: [logProbs, targets, { inputLengths: [2, 5], blank: 0, zeroInfinity: true, reduction: 'sum' }] },
    ]
  },
})

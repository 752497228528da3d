import { dtypeInfo, isFloat, toFloat } from '../dtype.ts'
import type { KernelBuilder, Value } from '../engine/kernel.ts'
import { CotangentError } from '../errors.ts'
import { sameShape, type Shape } from '../layout.ts'
import { bind, bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { canRead } from './index-tensor.ts'
import { type KernelOp, kernelPrimitive, type RowAttrs } from './kernel-op.ts'
import { checkReduction, type LossOptions, reduceLoss, type RowLoss } from './loss.ts'
import { nan, one, scaled, zero } from './scalar-math.ts'
import { logSoftmax } from './softmax.ts'
import { defineFunction, sampleTensor } from './table.ts'

/** Classes and examples that a negative log likelihood leaves out or weighs, and how it is reduced. */
export interface NllOptions extends LossOptions {
  /** One weight a class `[classes]`: a rare class can count more. The mean is then over the weights of the targets. */
  readonly weight?: Tensor | null
  /** Rows with this target count for nothing. Default -100. */
  readonly ignoreIndex?: number
}

/** Classes and examples that cross entropy leaves out or weighs, smoothing of the targets, and how it is reduced. */
export interface CrossEntropyOptions extends NllOptions {
  /** The share of each target that is spread evenly over all classes, from 0 (default) to 1. Szegedy et al., arXiv:1512.00567. */
  readonly labelSmoothing?: number
}

interface Attrs extends RowAttrs {
  readonly ignore: number
  readonly smoothing: number
  readonly weighted: boolean
}

/** What a row's class index says: whether each element is the target's, and whether the row counts or has no such class. */
function targetOf(k: KernelBuilder, target: Value, ignore: number) {
  const classes = k.reduceAxes[0]!
  const ignored = k.eq(target, k.like(target, ignore))
  const known = k.and(k.ge(target, zero(k, target)), k.lt(target, k.like(target, classes)))
  return {
    here: k.eq(k.index(k.parallel.length), target),
    /** A row's value: 0 where the target is ignored, NaN where there is no such class. */
    counted: (value: Value) => k.select(ignored, zero(k, value), k.select(known, value, nan(k, value))),
  }
}

/** A loss of rows of scores with a class index each. */
/* @__NO_SIDE_EFFECTS__ */
const rowPrimitive = (op: Pick<KernelOp<Attrs>, 'name' | 'code' | 'adjoint'>) =>
  kernelPrimitive<Attrs>({
    compute: toFloat,
    axes: ({ axes }) => axes,
    levels: ['row'],
    operands: ['promote', 'own', 'promote'],
    ...op,
  })

/** Loss and weight of each row of logits with a class index, without logSoftmax in memory; so is its gradient. */
const crossEntropyPrimitive = rowPrimitive({
  name: 'crossEntropy',
  code: (k, [x, target, w], { ignore, smoothing }) => {
    const { here, counted } = targetOf(k, target!, ignore)
    const centred = k.sub(x!, k.reduce('max', x!))
    const total = k.log(k.reduce('sum', k.exp(centred)))
    const weight = w ?? one(k, x!)
    const loss = k.mul(weight, k.sub(total, centred))
    let y = k.reduce('sum', k.select(here, loss, zero(k, loss)))
    if (smoothing > 0) y = k.add(scaled(k, y, 1 - smoothing), scaled(k, k.reduce('sum', loss), smoothing / k.reduceAxes[0]!))
    return [counted(y), counted(k.reduce('sum', k.select(here, weight, zero(k, weight))))]
  },
  adjoint: (k, [g, ofWeight], [x, target, w], _, { ignore, smoothing }) => {
    const { here, counted } = targetOf(k, target!, ignore)
    const centred = k.sub(x!, k.reduce('max', x!))
    const e = k.exp(centred)
    const total = k.reduce('sum', e)
    // A row's loss is the sum of share * weight * (logSumExp(x) - x), with these shares.
    const even = k.like(x!, smoothing / k.reduceAxes[0]!)
    const share = k.select(here, k.like(x!, 1 - smoothing + smoothing / k.reduceAxes[0]!), even)
    const weighted = w === undefined ? share : k.mul(share, w)
    const dx = k.mul(counted(g!), k.sub(k.mul(k.div(e, total), k.reduce('sum', weighted)), weighted))
    if (w === undefined) return [dx]
    const dw = k.mul(k.mul(counted(g!), share), k.sub(k.log(total), centred))
    return [dx, undefined, k.add(dw, k.select(here, counted(ofWeight!), zero(k, x!)))]
  },
})

/** The same from log-probabilities. */
const nllPrimitive = rowPrimitive({
  name: 'nllLoss',
  code: (k, [x, target, w], { ignore }) => {
    const { here, counted } = targetOf(k, target!, ignore)
    const weight = w ?? one(k, x!)
    const pick = (value: Value) => k.reduce('sum', k.select(here, value, zero(k, value)))
    return [counted(pick(k.neg(k.mul(weight, x!)))), counted(pick(weight))]
  },
  adjoint: (k, [g, ofWeight], [x, target, w], _, { ignore }) => {
    const { here, counted } = targetOf(k, target!, ignore)
    const atTarget = (value: Value) => k.select(here, value, zero(k, value))
    const dx = atTarget(k.neg(k.mul(counted(g!), w ?? one(k, x!))))
    return w === undefined ? [dx] : [dx, undefined, atTarget(k.sub(counted(ofWeight!), k.mul(counted(g!), x!)))]
  },
})

const unknownTargets = kernelPrimitive<RowAttrs & { readonly classes: number; readonly ignore: number }>({
  name: 'unknownTargets',
  axes: ({ axes }) => axes,
  levels: ['row'],
  differentiable: false,
  code: (k, [t], { classes, ignore }) => {
    const known = k.and(k.ge(t!, zero(k, t!)), k.lt(t!, k.like(t!, classes)))
    return [k.reduce('sum', k.cast(k.not(k.or(known, k.eq(t!, k.like(t!, ignore)))), 'int32'))]
  },
})

function checkTargets(op: string, x: Tensor, target: Tensor, ignore: number): void {
  const classes = x.shape.at(-1)!
  if (!sameShape(target.shape, x.shape.slice(0, -1))) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: 'class indices must have the shape of the scores without the last axis, which is that of the classes',
      shapes: [x.shape, target.shape],
      hint: 'Classes come last here (not second, as in PyTorch): permute the scores, or squeeze the targets.',
    })
  }
  if (!canRead(target) || target.size === 0) return
  if (bind1(unknownTargets, [target.detach()], { axes: target.shape.map((_, a) => a), classes, ignore }).item() === 0) return
  const wrong = target
    .detach()
    .dataSync()
    .find((t) => Number(t) !== ignore && !(Number(t) >= 0 && Number(t) < classes))
  throw new CotangentError('index-out-of-range', {
    op,
    message: `target ${wrong} is not one of ${classes} classes`,
    shapes: [x.shape, target.shape],
    hint: `Targets go from 0 to ${classes - 1}; ${ignore} is ignored.`,
  })
}

function checkScores(op: string, x: Tensor, weight: Tensor | null | undefined): void {
  if (x.rank === 0 || x.shape.at(-1) === 0)
    throw new CotangentError('shape-mismatch', {
      op,
      message: 'needs scores [..., classes]',
      shapes: [x.shape],
      hint: 'The last axis holds a score for each class.',
    })
  if (weight && !sameShape(weight.shape, x.shape.slice(-1))) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: 'needs one weight a class',
      shapes: [x.shape, weight.shape],
      hint: 'The weights have shape [classes].',
    })
  }
}

function fromIndices(op: string, primitive: typeof nllPrimitive, x: Tensor, target: Tensor, options: CrossEntropyOptions): Tensor {
  const { weight, ignoreIndex = -100, labelSmoothing = 0 } = options
  checkTargets(op, x, target, ignoreIndex)
  const attrs = { axes: [x.rank - 1], ignore: ignoreIndex, smoothing: labelSmoothing, weighted: weight != null }
  const inputs = [x, target.detach().cast('int32').unsqueeze(-1), ...(weight ? [weight] : [])]
  const [losses, weights] = bind(primitive, inputs, attrs) as [Tensor, Tensor]
  return reduceLoss(op, losses, options.reduction, weights)
}

/** Cross-entropy with probabilities as targets, which may require gradients themselves. */
function fromProbabilities(x: Tensor, target: Tensor, { weight, labelSmoothing = 0, reduction }: CrossEntropyOptions): Tensor {
  const smooth = labelSmoothing === 0 ? target : target.mul(1 - labelSmoothing).add(labelSmoothing / x.shape.at(-1)!)
  const shares = weight ? smooth.mul(weight) : smooth
  return reduceLoss('crossEntropy', logSoftmax(x).mul(shares).sum(-1).neg(), reduction)
}

const classes = (shape: Shape, values: readonly number[]) => sampleTensor(shape, { dtype: 'int32', values })

export const crossEntropy: RowLoss<CrossEntropyOptions> = defineFunction({
  name: 'crossEntropy',
  precision: 'float32',
  doc: 'log(sum of e^x) - x[target] over logits [..., classes], for class indices [...] or probabilities [..., classes].',
  call: ((x: Tensor, target: Tensor, options: CrossEntropyOptions = {}) => {
    const { labelSmoothing = 0, weight } = options
    checkReduction('crossEntropy', options.reduction)
    checkScores('crossEntropy', x, weight)
    if (!(labelSmoothing >= 0 && labelSmoothing <= 1))
      throw new CotangentError('invalid-argument', {
        op: 'crossEntropy',
        message: `labelSmoothing is ${labelSmoothing}`,
        hint: 'It is a share, from 0 to 1.',
      })
    if (!isFloat(target.dtype)) {
      if (dtypeInfo[target.dtype].kind === 'int') return fromIndices('crossEntropy', crossEntropyPrimitive, x, target, options)
      throw new CotangentError('dtype-mismatch', {
        op: 'crossEntropy',
        message: 'targets are class indices (integers) or probabilities (floats)',
        dtypes: [x.dtype, target.dtype],
        hint: "Use target.cast('int32').",
      })
    }
    if (!sameShape(x.shape, target.shape)) {
      throw new CotangentError('shape-mismatch', {
        op: 'crossEntropy',
        message: 'probabilities must have the shape of the logits',
        shapes: [x.shape, target.shape],
        hint: "For class indices use an integer dtype: target.cast('int32').",
      })
    }
    return fromProbabilities(x, target, options)
  }) as RowLoss<CrossEntropyOptions>,
  samples: () => [
    { args: [sampleTensor([4, 3]), classes([4], [2, 0, 1, 1])] },
    {
      args: [
        sampleTensor([4, 3]),
        classes([4], [2, -100, 1, 1]),
        { labelSmoothing: 0.1, weight: sampleTensor([3], { low: 0.5, high: 2, constant: true }) },
      ],
    },
    { args: [sampleTensor([2, 3, 5]), classes([2, 3], [0, 1, 2, 3, 4, 0]), { reduction: 'none' }] },
    { args: [sampleTensor([3]), classes([], [1]), { reduction: 'sum' }] },
    { args: [sampleTensor([2, 3]), sampleTensor([2, 3], { low: 0, high: 1 }), { labelSmoothing: 0.2 }] },
    { args: [sampleTensor([0, 3]), classes([0], []), { reduction: 'sum' }] },
  ],
})

export const nllLoss: RowLoss<NllOptions> = defineFunction({
  name: 'nllLoss',
  precision: 'float32',
  doc: '-x[target] over log-probabilities [..., classes], for class indices [...].',
  call: ((x: Tensor, target: Tensor, options: NllOptions = {}) => {
    checkReduction('nllLoss', options.reduction)
    checkScores('nllLoss', x, options.weight)
    if (dtypeInfo[target.dtype].kind !== 'int') {
      throw new CotangentError('dtype-mismatch', {
        op: 'nllLoss',
        message: 'targets are class indices',
        dtypes: [x.dtype, target.dtype],
        hint: "Use target.cast('int32').",
      })
    }
    return fromIndices('nllLoss', nllPrimitive, x, target, options)
  }) as RowLoss<NllOptions>,
  samples: () => [
    { args: [sampleTensor([4, 3]), classes([4], [2, 0, 1, 1])] },
    {
      args: [
        sampleTensor([4, 3]),
        classes([4], [2, 0, -100, 1]),
        { weight: sampleTensor([3], { low: 0.5, high: 2, constant: true }), reduction: 'sum' },
      ],
    },
    { args: [sampleTensor([2, 2, 3]), classes([2, 2], [0, 1, 2, 0]), { reduction: 'none' }] },
  ],
})

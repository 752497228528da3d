import { isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { sameShape } from '../layout.ts'
import { tensor, where } from '../op/index.ts'
import { withModes } from '../tensor/modes.ts'
import { keep } from '../tensor/scope.ts'
import { Tensor } from '../tensor/tensor.ts'
import { formOf } from './batch.ts'
import { isOfWrongKind } from './call-forward.ts'

/**
 * A loss of the outputs of a model and its targets: any loss of the library, or a function of yours. With weights it is called with
 * `{ reduction: 'none' }` and gives a loss for each example.
 */
export type LossFunction<O = Tensor, T = Tensor> = {
  method(outputs: O, targets: T, options?: { readonly reduction?: 'none' }): Tensor
}['method']

/** A loss as a layer, such as `nn.CrossEntropyLoss`: gives one number. */
export interface LossModule<O = Tensor, T = Tensor> {
  forward(outputs: O, targets: T): Tensor
}

/** One loss, or one for each output of a model that has several, by its name. */
export type Loss<O = Tensor, T = Tensor> = LossFunction<O, T> | LossModule<O, T> | { readonly [output: string]: LossFunction | LossModule }

/** How much each class counts: a number for each, in order or by its index. Others count 1; targets below 0, which losses ignore, nothing. */
export type ClassWeights = readonly number[] | Readonly<Record<number, number>>

/** The sum of all losses, each times its weight, and each by the name of its output where there are several. */
interface LossTerms {
  readonly total: Tensor
  readonly parts: Readonly<Record<string, Tensor>>
}

export type LossOf = (outputs: unknown, targets: unknown, weights: Tensor | undefined) => LossTerms

type AnyLoss = LossFunction<unknown, unknown> | LossModule<unknown, unknown>

const isLoss = (x: unknown): x is AnyLoss =>
  typeof x === 'function' || (typeof x === 'object' && x !== null && typeof (x as LossModule).forward === 'function')

/** @throws {CotangentError} `invalid-argument` for what is no loss, and weights of outputs that have none. */
export function lossTerms(loss: Loss<never, never>, lossWeights: Readonly<Record<string, number>> = {}): LossOf {
  if (isLoss(loss)) return (outputs, targets, weights) => ({ total: oneLoss(loss, outputs, targets, weights), parts: {} })
  if (typeof loss === 'string')
    throw refused(`the loss is the text '${String(loss)}'`, 'Pass the function: import { crossEntropy }. Names are for models of keras.')
  const terms = Object.entries(loss)
  const wrong = terms.find(([, term]) => !isLoss(term))
  if (terms.length === 0 || wrong)
    throw refused(
      `the loss of ${wrong?.[0] ?? 'the model'} is no function`,
      'Use crossEntropy, mseLoss or a function (outputs, targets) => loss.',
    )
  for (const name of Object.keys(lossWeights)) {
    if (!terms.some(([term]) => term === name))
      throw refused(`lossWeights has ${name}, which has no loss`, `There are ${terms.map(([term]) => term).join(', ')}.`)
  }
  return (outputs, targets, weights) => {
    const parts = Object.fromEntries(
      terms.map(([name, term]) => [
        name,
        oneLoss(term as AnyLoss, entry('outputs', outputs, name), entry('targets', targets, name), weights),
      ]),
    )
    const total = Object.entries(parts)
      .map(([name, part]) => (name in lossWeights ? part.mul(lossWeights[name]!) : part))
      .reduce((a, b) => a.add(b))
    return { total, parts }
  }
}

/** The output of that name. */
export function entry(what: string, tree: unknown, name: string): unknown {
  if (typeof tree === 'object' && tree !== null && !(tree instanceof Tensor) && name in tree) return (tree as Record<string, unknown>)[name]
  const has =
    typeof tree === 'object' && tree !== null && !(tree instanceof Tensor) ? `have ${Object.keys(tree).join(', ')}` : 'are a single tensor'
  throw refused(`there are no ${what} called ${name}`, `The ${what} ${has}: losses and metrics go by the same names.`)
}

function oneLoss(loss: AnyLoss, outputs: unknown, targets: unknown, weights: Tensor | undefined): Tensor {
  if (!weights) {
    const value = checked(call(loss, outputs, targets))
    return value.rank === 0 ? value : value.mean()
  }
  const losses = checked(call(loss, outputs, targets, { reduction: 'none' }))
  if (losses.rank === 0) {
    throw refused(
      'there are weights, but the loss gives one number for all examples',
      typeof loss === 'function'
        ? "With { reduction: 'none' }, its third argument, it must give one for each."
        : "Make it with { reduction: 'none' }.",
    )
  }
  return weightedMean(losses, weights)
}

function call(loss: AnyLoss, outputs: unknown, targets: unknown, options?: { readonly reduction: 'none' }): unknown {
  try {
    if (typeof loss !== 'function') return loss.forward(outputs, targets)
    return options ? loss(outputs, targets, options) : loss(outputs, targets)
  } catch (cause) {
    // A loss of your own may take other things than tensors; one that fails at it was probably meant for tensors.
    if (!isOfWrongKind(cause) || (outputs instanceof Tensor && targets instanceof Tensor)) throw cause
    const form = (what: string, x: unknown) => (x === undefined ? `there are no ${what}` : `${what} are ${formOf(x)}`)
    throw new CotangentError('invalid-argument', {
      op: 'fit',
      message: `the loss fails where ${form('outputs', outputs)} and ${form('targets', targets)}: ${cause.message.replace(/\.$/, '')}`,
      hint: 'Where there are several outputs, give each a loss by its name: { loss: { kind: crossEntropy, size: mseLoss } }. Batches are [inputs, targets].',
      cause,
    })
  }
}

/** Sum of loss times weight over the sum of weights; 0 where all weights are. */
function weightedMean(losses: Tensor, weights: Tensor): Tensor {
  const { rank } = weights
  if (rank > losses.rank || !sameShape(losses.shape.slice(0, rank), weights.shape)) {
    throw new CotangentError('shape-mismatch', {
      op: 'fit',
      message: 'the weights do not go with the losses',
      shapes: [weights.shape, losses.shape],
      hint: 'Give one for each example.',
    })
  }
  const rows = losses.rank > rank ? losses.reshape([...weights.shape, -1]).mean(-1) : losses
  const factors = weights.cast(rows.dtype)
  const sum = factors.sum()
  const total = where(factors.eq(0), 0, rows.mul(factors)).sum()
  return total.div(where(sum.eq(0), 1, sum))
}

function checked(value: unknown): Tensor {
  if (value instanceof Tensor) return value
  throw refused(
    `the loss is ${value === null ? 'null' : typeof value}, not a tensor`,
    'Return a tensor of one number, or one for each example.',
  )
}

/** The weights of examples by their classes: targets are class indices, or a share of each class on the last axis. */
export function classWeigher(weights: ClassWeights): (targets: unknown) => Tensor {
  const count = Array.isArray(weights) ? weights.length : 1 + Math.max(...Object.keys(weights).map(Number))
  const table = Array.from({ length: count }, (_, i) => (weights as Readonly<Record<number, number>>)[i] ?? 1)
  if (count === 0 || table.some((weight) => !(weight >= 0)))
    throw refused('classWeights must be numbers of at least 0', 'Give one for each class.')
  const values = withModes({ tracer: null }, () => keep(tensor(table) as Tensor))
  return (targets) => {
    if (!(targets instanceof Tensor))
      throw refused('classWeights need targets that are one tensor', 'With several targets, pass weights in the batches.')
    if (isFloat(targets.dtype) && targets.rank > 1 && targets.shape.at(-1) === count) return targets.mul(values).sum(-1)
    const indices = targets.cast('int32')
    const known = values.indexSelect(0, indices.clamp({ min: 0, max: count - 1 }).reshape([-1])).reshape(indices.shape)
    // Negative ones are for losses to leave out, as with `ignoreIndex`.
    return where(indices.lt(0), 0, where(indices.ge(count), 1, known))
  }
}

const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'fit', message, hint })

import { CotangentError } from '../../errors.ts'
import { sameShape, type Shape } from '../../layout.ts'
import { ones, where } from '../../op/index.ts'
import { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'

/**
 * How much each element of `shape` counts, as float64.
 *
 * @param broken Where there is nothing to count right, such as a score that is NaN, or a target that is no class: NaN there, so
 *   that it shows in the result, unless the element is masked.
 */
export function sampleWeights(op: string, shape: Shape, { weights, mask }: MetricUpdateOptions = {}, broken?: Tensor): Tensor {
  let given = weights ? spread(op, 'weights', weights, shape).cast('float64') : ones(shape, { dtype: 'float64' })
  if (broken) given = where(broken, Number.NaN, given)
  return mask ? where(spread(op, 'mask', mask.cast('bool'), shape), given, 0) : given
}

function spread(op: string, what: string, x: Tensor, shape: Shape): Tensor {
  if (x.rank > shape.length || x.shape.some((n, axis) => n !== shape[axis])) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: `the ${what} do not go with the targets`,
      shapes: [x.shape, shape],
      hint: "Give them the targets' shape, or that of its first axes.",
    })
  }
  return x.reshape([...x.shape, ...shape.slice(x.rank).map(() => 1)]).expand(shape)
}

/** `weights * x`, but 0 where the weight is 0, whatever `x` is. */
export function weighted(weights: Tensor, x: Tensor): Tensor {
  return where(weights.eq(0), 0, weights.mul(x.cast('float64')))
}

/** Refuses what is no tensor, such as plain arrays, or targets that are not there. */
export function checkTensors(op: string, predictions: unknown, targets: unknown): void {
  for (const [what, x] of Object.entries({ predictions, targets })) {
    if (x instanceof Tensor) continue
    throw new CotangentError('invalid-argument', {
      op,
      message: `the ${what} are ${Array.isArray(x) ? 'an array' : x === null || x === undefined ? 'missing' : typeof x}, not a tensor`,
      hint: Array.isArray(x) ? 'Make one of them: tensor(values).' : 'Metrics take update(predictions, targets).',
    })
  }
}

/** @param hint What to do where they differ. */
export function checkSameShape(
  op: string,
  predictions: Tensor,
  targets: Tensor,
  hint = 'There must be one prediction for each target: reshape one of them.',
): void {
  checkTensors(op, predictions, targets)
  if (sameShape(predictions.shape, targets.shape)) return
  throw new CotangentError('shape-mismatch', {
    op,
    message: 'predictions and targets differ in shape',
    shapes: [predictions.shape, targets.shape],
    hint,
  })
}

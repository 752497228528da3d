import { promote } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { stack } from '../op/join.ts'
import { norm } from '../op/reduce.ts'
import { noGrad } from '../tensor/modes.ts'
import { keep } from '../tensor/scope.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { listParams, type ParamSource } from './params.ts'

/** Which norm of the gradients is limited, and what happens if it is not finite. */
export interface ClipNormOptions {
  /** The order of the norm; Infinity for the largest magnitude. Default 2. */
  readonly normType?: number
  /** Refuse a norm that is NaN or infinite. That reads it, so it waits for the engine. Default false. */
  readonly errorIfNonFinite?: boolean
}

/**
 * Scales all gradients so that their common norm (as if they were one vector) is at most `maxNorm`. The gradients are replaced,
 * so other tensors that share their memory stay as they are.
 *
 * @returns The norm before, a 0-d tensor; nothing is read, so it costs no waiting.
 * @throws {CotangentError} `non-finite` with `errorIfNonFinite`.
 */
export function clipGradNorm(params: ParamSource | Tensor, maxNorm: number, options: ClipNormOptions = {}): Tensor {
  const { normType = 2, errorIfNonFinite = false } = options
  if (!(maxNorm >= 0))
    throw new CotangentError('invalid-argument', {
      op: 'clipGradNorm',
      message: `the largest norm is ${maxNorm}`,
      hint: 'Use a number of at least 0.',
    })
  if (!(normType > 0))
    throw new CotangentError('invalid-argument', {
      op: 'clipGradNorm',
      message: `there is no norm of order ${normType}`,
      hint: 'Use 1, 2, Infinity or another positive number.',
    })
  const given = withGradients('clipGradNorm', params)
  return noGrad(() => {
    const norms = given.flatMap(({ grad }) => (grad && grad.size > 0 ? [norm(grad, { p: normType })] : []))
    if (norms.length === 0) return given[0]!.param.newFull([], 0)
    const dtype = norms.map((n) => n.dtype).reduce(promote)
    const total = norms.length === 1 ? norms[0]! : norm(stack(norms.map((n) => n.cast(dtype))), { p: normType })
    if (errorIfNonFinite && !Number.isFinite(total.item())) {
      throw new CotangentError('non-finite', {
        op: 'clipGradNorm',
        message: `the norm of the gradients is ${total.item()}`,
        hint: 'detectAnomaly() finds the op that made the first one.',
      })
    }
    const scale = total.add(1e-6).reciprocal().mul(maxNorm).clamp({ max: 1 })
    for (const { param, grad } of given) if (grad) replaceGradient(param, grad.mul(scale.cast(grad.dtype)))
    return total
  })
}

/** Limits each element of each gradient to [-clipValue, clipValue]. */
export function clipGradValue(params: ParamSource | Tensor, clipValue: number): void {
  if (!(clipValue >= 0))
    throw new CotangentError('invalid-argument', {
      op: 'clipGradValue',
      message: `the largest magnitude is ${clipValue}`,
      hint: 'Use a number of at least 0.',
    })
  noGrad(() => {
    for (const { param, grad } of withGradients('clipGradValue', params)) {
      if (grad) replaceGradient(param, grad.clamp({ min: -clipValue, max: clipValue }))
    }
  })
}

const withGradients = (op: string, params: ParamSource | Tensor) =>
  listParams(op, params).params.map((param) => ({ param, grad: param.unseenGrad }))

/** @param grad New: nobody else has it. */
export function replaceGradient(param: Tensor, grad: Tensor): void {
  if (grad.isTracer) param.grad = grad
  else param.leaveGrad(keep(grad), { owned: true })
}

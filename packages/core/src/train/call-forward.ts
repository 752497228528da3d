import { CotangentError } from '../errors.ts'
import type { Module } from '../nn/module.ts'
import { formOf } from './batch.ts'

/** Whether something failed because what it was given is of another kind: as JavaScript says it, or an op of what it cannot take. */
export const isOfWrongKind = (error: unknown): error is Error =>
  error instanceof TypeError || (error instanceof CotangentError && error.cause instanceof TypeError)

/**
 * `forward(inputs)`, or `forward(...inputs)` where inputs are an array.
 *
 * @throws {CotangentError} `invalid-argument` where the model fails because it takes other inputs, or more of them.
 */
export function callForward(model: Module, inputs: unknown): unknown {
  const { forward } = model as unknown as { forward(...inputs: readonly unknown[]): unknown }
  const given: readonly unknown[] = Array.isArray(inputs) ? inputs : [inputs]
  try {
    return forward.apply(model, given as unknown[])
  } catch (cause) {
    if (!isOfWrongKind(cause)) throw cause
    const few = forward.length > given.length
    const form = formOf(inputs)
    // What a model makes of a tensor is its own affair.
    if (!few && form === 'a tensor') throw cause
    throw new CotangentError('invalid-argument', {
      op: model.constructor.name,
      message: few
        ? `forward takes ${forward.length} inputs and was given ${given.length}: ${cause.message.replace(/\.$/, '')}`
        : `forward fails on inputs that are ${form}: ${cause.message.replace(/\.$/, '')}`,
      hint: 'Batches are [inputs, targets], or objects whose first entry is the inputs (see { batch }); an array of inputs becomes the arguments of forward.',
      cause,
    })
  }
}

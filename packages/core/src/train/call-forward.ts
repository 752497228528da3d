import { CotangentError } from '../errors.ts'
import type { Module } from '../nn/module.ts'
import { formOf } from './batch.ts'

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
    if (!(cause instanceof TypeError)) throw cause
    const few = forward.length > given.length
    const form = formOf(inputs)
    // What a model makes of a tensor is its own affair.
    if (!few && form === 'a tensor') throw cause
    throw new CotangentError('invalid-argument', {
      op: model.constructor.name,
      message: few
        ? `forward takes ${forward.length} inputs and was given ${given.length}: ${cause.message}`
        : `forward fails on inputs that are ${form}: ${cause.message}`,
      hint: 'Batches are [inputs, targets], or objects whose first entry is the inputs (see { batch }); an array of inputs becomes the arguments of forward.',
      cause,
    })
  }
}

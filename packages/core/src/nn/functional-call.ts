import { CotangentError } from '../errors.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'

/**
 * What a module's `forward` gives with other tensors in place of its parameters and buffers: by the names that `namedParameters`
 * and `namedBuffers` give them; those not named stay. The module is as before afterwards. With it a model is a function of its
 * parameters, as `grad`, `vmap` and `jvp` want it; torch.func's `functional_call`.
 *
 * @throws `invalid-argument` for a name that the module does not have, `shape-mismatch` for a tensor of another shape.
 */
export function functionalCall<R>(
  module: Module & { forward(...inputs: never[]): R },
  state: Readonly<Record<string, Tensor>>,
  ...inputs: readonly unknown[]
): R {
  const slots = Array.from(module.slots()).filter(({ value }) => !(value instanceof Module))
  // What is shared is replaced everywhere.
  const replaced = new Map<unknown, Tensor>()
  for (const [name, tensor] of Object.entries(state)) {
    const slot = slots.find((each) => each.name === name)
    if (!slot) {
      throw new CotangentError('invalid-argument', {
        op: 'functionalCall',
        message: `the module has no parameter or buffer '${name}'`,
        hint: 'Names are those of namedParameters() and namedBuffers().',
      })
    }
    const { shape } = slot.value as Tensor
    if (shape.join() !== tensor.shape.join()) {
      throw new CotangentError('shape-mismatch', {
        op: 'functionalCall',
        message: `'${name}' has another shape in the module`,
        shapes: [tensor.shape, shape],
        hint: 'Inside vmap() a tensor has the shape of one example: check inAxes.',
      })
    }
    replaced.set(slot.value, tensor)
  }
  const changed = slots.filter(({ value }) => replaced.has(value))
  for (const { value, set } of changed) set(replaced.get(value))
  try {
    return module.forward(...(inputs as never[])) as R
  } finally {
    for (const { value, set } of changed) set(value)
  }
}

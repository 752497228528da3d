import type { Shape } from '../layout.ts'
import { keep } from '../tensor/scope.ts'
import { Tensor } from '../tensor/tensor.ts'

/**
 * A tensor that a module learns: a leaf that requires gradients, found by `parameters()` wherever it is a field. Shares the
 * memory of the tensor that it is made of.
 */
export class Parameter<out S extends Shape = Shape> extends Tensor<S> {
  constructor(value: Tensor<S>, options: { readonly requiresGrad?: boolean } = {}) {
    super(value.spec, value.memory, value.offset)
    if (!this.isTracer) keep(this as unknown as Tensor)
    this.setRequiresGrad(options.requiresGrad ?? true)
  }
}

/**
 * A tensor that belongs to a module's state but is not learnt, like a running mean. Change it in place with `assign`, or set
 * the field to a new `Buffer`.
 */
export class Buffer<out S extends Shape = Shape> extends Tensor<S> {
  /** Whether `stateDict` holds it. */
  readonly persistent: boolean

  constructor(value: Tensor<S>, options: { readonly persistent?: boolean } = {}) {
    super(value.spec, value.memory, value.offset)
    if (!this.isTracer) keep(this as unknown as Tensor)
    this.persistent = options.persistent ?? true
  }
}

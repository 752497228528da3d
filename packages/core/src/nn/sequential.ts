import type { Shape } from '../layout.ts'
import type { Apply, Chain, Checked, CheckedChain, InputOf, Result } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module, type TensorModule } from './module.ts'

/** A step of a chain: a module or a function from tensor to tensor, like `relu`. */
export type Layer = TensorModule | { method(input: Tensor): Tensor }['method']

/**
 * Layers one after the other. The compiler checks that each takes the shape that the one before it gives.
 *
 *     const mlp = new nn.Sequential(new nn.Linear(784, 256), relu, new nn.Linear(256, 10))
 *     mlp.forward(images) // Tensor<[32, 784]> -> Tensor<[32, 10]>
 *
 * Parameters are named by position, as in PyTorch: `0.weight`.
 */
export class Sequential<const L extends readonly Layer[] = readonly Layer[]> extends Module {
  declare readonly $out: Chain<L, InputOf<this>>
  readonly layers: readonly Layer[]

  constructor(...layers: CheckedChain<L>) {
    super()
    this.layers = layers as readonly unknown[] as readonly Layer[]
  }

  forward<M extends Module, S extends Shape>(this: M, input: Checked<Apply<M, S>, Tensor<S>>): Tensor<Result<Apply<M, S>>>
  forward(input: Tensor): Tensor {
    return this.layers.reduce((value, layer) => (layer instanceof Module ? layer.forward(value) : layer(value)), input)
  }

  protected override get unnamedFields(): readonly string[] {
    return ['layers']
  }

  protected override parts(): [name: string, text: string][] {
    return this.layers.map((layer, i) => [String(i), layer instanceof Module ? layer.toString() : layer.name || 'function'])
  }
}

/** `new Sequential(...layers)`. */
export function sequential<const L extends readonly Layer[]>(...layers: CheckedChain<L>): Sequential<L> {
  return new Sequential<L>(...layers)
}

import type { DType } from '../dtype.ts'
import type { Shape } from '../layout.ts'
import { linear } from '../op/index.ts'
import type { Checked, InputOf, LinearOut, Result } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { drawBounded } from './draw.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

/** Whether a linear layer has a bias, and the dtype of its parameters. */
export interface LinearOptions {
  /** Whether a bias is added (default). */
  readonly bias?: boolean
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

/**
 * y = x @ weight + bias over the last axis.
 *
 * `weight` is `[in, out]`, the transpose of PyTorch's; it and the `bias` `[out]` start evenly distributed within
 * 1 / sqrt(in), as PyTorch's do.
 */
export class Linear<const In extends number = number, const Out extends number = number> extends Module {
  declare readonly $out: LinearOut<InputOf<this>, In, Out>
  readonly inFeatures: In
  readonly outFeatures: Out
  weight: Parameter<[In, Out]>
  bias: Parameter<[Out]> | null

  constructor(inFeatures: In, outFeatures: Out, { bias = true, dtype = 'float32' }: LinearOptions = {}) {
    super()
    this.inFeatures = inFeatures
    this.outFeatures = outFeatures
    const bound = 1 / Math.sqrt(inFeatures)
    this.weight = drawBounded([inFeatures, outFeatures], bound, dtype)
    this.bias = bias ? drawBounded([outFeatures], bound, dtype) : null
  }

  /** `[..., in]` to `[..., out]`. */
  forward<S extends Shape>(x: Checked<LinearOut<S, In, Out>, Tensor<S>>): Tensor<Result<LinearOut<S, In, Out>>>
  forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias)
  }

  override describe(): string {
    return `${this.inFeatures}, ${this.outFeatures}${this.bias ? '' : ', bias: false'}`
  }

  override macs([x]: readonly Shape[], output: Shape): number {
    return output.reduce((a, b) => a * b, 1) * x!.at(-1)!
  }
}

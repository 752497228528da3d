import type { DType } from '../dtype.ts'
import type { Shape } from '../layout.ts'
import {
  celu,
  elu,
  gelu,
  hardShrink,
  hardSigmoid,
  hardSwish,
  hardTanh,
  leakyRelu,
  logSigmoid,
  logSoftmax,
  mish,
  neg,
  prelu,
  relu,
  relu6,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  softShrink,
  softsign,
  tanh,
  tanhShrink,
  threshold,
} from '../op/index.ts'
import type { InputOf } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { describeOptions } from './describe.ts'
import { filledWith } from './draw.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

/** A layer that applies a function to each element, or along an axis: the shape stays. */
export interface Activation extends Module {
  readonly $out: InputOf<this>
  forward<S extends Shape>(x: Tensor<S>): Tensor<S>
}

interface ActivationClass<Rest extends readonly unknown[]> {
  new (...options: Rest): Activation
}

type ActivationOp<Rest extends readonly unknown[]> = <S extends Shape>(x: Tensor<S>, ...options: Rest) => Tensor<S>

/** The layer of an activation op: its constructor takes the op's options. */
/* @__NO_SIDE_EFFECTS__ */
const activation = <Rest extends readonly unknown[]>(f: ActivationOp<Rest>): ActivationClass<Rest> =>
  class extends Module {
    declare readonly $out: InputOf<this>
    readonly #options: Rest

    constructor(...options: Rest) {
      super()
      this.#options = options
    }

    forward<S extends Shape>(x: Tensor<S>): Tensor<S> {
      return f(x, ...this.#options)
    }

    override describe(): string {
      return this.#options.map((o) => (typeof o === 'object' ? describeOptions(o as object) : String(o))).join(', ')
    }
  }

/** max(x, 0). */
export class ReLU extends activation(relu) {}
/** x clamped to [0, 6]. */
export class ReLU6 extends activation(relu6) {}
/** x where positive, else negativeSlope * x. */
export class LeakyReLU extends activation(leakyRelu) {}
/** x where positive, else alpha * (e^x - 1). */
export class ELU extends activation(elu) {}
/** x where positive, else alpha * (e^(x / alpha) - 1). */
export class CELU extends activation(celu) {}
/** elu scaled so that layers keep mean 0 and variance 1; see `AlphaDropout`. */
export class SELU extends activation(selu) {}
/** x times the normal distribution function of x, exact or (`approximate: 'tanh'`) as in GPT-2. */
export class GELU extends activation(gelu) {}
/** x * sigmoid(x). */
export class SiLU extends activation(silu) {}
/** x * tanh(softplus(x)). */
export class Mish extends activation(mish) {}
/** log(1 + e^(beta x)) / beta. */
export class Softplus extends activation(softplus) {}
/** x / (1 + |x|). */
export class Softsign extends activation(softsign) {}
/** 1 / (1 + e^-x). */
export class Sigmoid extends activation(sigmoid) {}
/** log(sigmoid(x)). */
export class LogSigmoid extends activation(logSigmoid) {}
/** (e^x - e^-x) / (e^x + e^-x). */
export class Tanh extends activation(tanh) {}
/** x - tanh(x). */
export class TanhShrink extends activation(tanhShrink) {}
/** x / 6 + 1/2 clamped to [0, 1]. */
export class HardSigmoid extends activation(hardSigmoid) {}
/** x * hardSigmoid(x). */
export class HardSwish extends activation(hardSwish) {}
/** x clamped to [min, max], by default [-1, 1]. */
export class HardTanh extends activation(hardTanh) {}
/** x where |x| > lambda, else 0. */
export class HardShrink extends activation(hardShrink) {}
/** x moved towards 0 by lambda. */
export class SoftShrink extends activation(softShrink) {}
/** x where it exceeds the threshold, else the value. */
export class Threshold extends activation(threshold) {}
/** e^x over its sum along an axis, by default the last. */
export class Softmax extends activation(softmax) {}
/** softmax(-x) along an axis, by default the last. */
export class Softmin extends activation(<S extends Shape>(x: Tensor<S>, axis?: number): Tensor<S> => softmax(neg(x), axis)) {}
/** log of softmax along an axis, by default the last. */
export class LogSoftmax extends activation(logSoftmax) {}

/** x where positive, else a learnt weight * x: one weight for all, or one a channel (the last axis). He et al., arXiv:1502.01852. */
export class PReLU extends Module {
  declare readonly $out: InputOf<this>
  weight: Parameter

  constructor({
    channels = 1,
    init = 0.25,
    dtype = 'float32',
  }: { readonly channels?: number; readonly init?: number; readonly dtype?: DType } = {}) {
    super()
    this.weight = filledWith([channels], init, dtype)
  }

  forward<S extends Shape>(x: Tensor<S>): Tensor<S> {
    return prelu(x, this.weight)
  }

  override describe(): string {
    return `channels: ${this.weight.size}`
  }
}

/** The first half of the last axis times the sigmoid of the second. Dauphin et al., arXiv:1612.08083. */
export class GLU extends Module {
  readonly axis: number

  constructor(axis = -1) {
    super()
    this.axis = axis
  }

  forward(x: Tensor): Tensor {
    const [value, gate] = x.chunk(2, this.axis) as [Tensor, Tensor]
    return value.mul(gate.sigmoid())
  }
}

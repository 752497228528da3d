import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { dropout, ones, uniform, where } from '../op/index.ts'
import type { InputOf } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'

abstract class Dropping extends Module {
  declare readonly $out: InputOf<this>
  /** The probability of each drop. */
  readonly p: number

  constructor(p = 0.5) {
    super()
    if (!(p >= 0 && p <= 1))
      throw new CotangentError('invalid-argument', {
        op: this.constructor.name,
        message: `p is ${p}`,
        hint: 'It is a probability, from 0 to 1.',
      })
    this.p = p
  }

  /** The input as it is in eval mode and where p is 0. */
  forward<S extends Shape>(x: Tensor<S>): Tensor<S> {
    return this.training && this.p > 0 ? this.drop(x) : x
  }

  /** What training does to the input; evaluation leaves it as it is. */
  protected abstract drop<S extends Shape>(x: Tensor<S>): Tensor<S>

  override describe(): string {
    return String(this.p)
  }
}

/** While training, zeroes elements with probability p and scales the rest by 1 / (1 - p). Srivastava et al. (2014). */
export class Dropout extends Dropping {
  protected drop<S extends Shape>(x: Tensor<S>): Tensor<S> {
    return dropout(x, this.p)
  }
}

/** While training, zeroes whole channels (of the last axis) of each sample with probability p, and scales the rest. Tompson et al., arXiv:1411.4280. */
export class ChannelDropout extends Dropping {
  protected drop<S extends Shape>(x: Tensor<S>): Tensor<S> {
    const channels = x.shape.map((n, axis) => (axis === 0 || axis === x.rank - 1 ? n : 1))
    return (x as unknown as Tensor).mul(dropout(ones(channels, { dtype: x.dtype }) as Tensor, this.p)) as unknown as Tensor<S>
  }
}

/** `ChannelDropout` of `[batch, length, channels]`. */
export class Dropout1d extends ChannelDropout {}
/** `ChannelDropout` of `[batch, height, width, channels]`. */
export class Dropout2d extends ChannelDropout {}
/** `ChannelDropout` of `[batch, depth, height, width, channels]`. */
export class Dropout3d extends ChannelDropout {}

/** What selu tends to for large negative arguments. */
const saturation = -1.7580993408473766

/** Dropout that keeps mean and variance behind `selu`: dropped elements take its negative saturation. Klambauer et al., arXiv:1706.02515. */
export class AlphaDropout extends Dropping {
  protected drop<S extends Shape>(x: Tensor<S>): Tensor<S> {
    const kept = 1 - this.p
    if (kept === 0) return (x as unknown as Tensor).mul(0) as unknown as Tensor<S>
    const scale = 1 / Math.sqrt(kept * (1 + this.p * saturation ** 2))
    const mixed: Tensor = where(uniform(x.shape as Shape).ge(this.p), x as unknown as Tensor, saturation)
    return mixed.mul(scale).add(-scale * saturation * this.p) as unknown as Tensor<S>
  }
}

import type { Shape } from '../layout.ts'
import {
  adaptiveAvgPool1d,
  adaptiveAvgPool2d,
  adaptiveAvgPool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  type AvgPoolOptions,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  type PoolOptions,
} from '../op/index.ts'
import type { PerAxis } from '../op/window.ts'
import type { Checked, InputOf, PoolOut, Result } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { describeOptions } from './describe.ts'
import { Module } from './module.ts'

type Rank = 1 | 2 | 3

/** What all pooling layers share: `Rank` spatial axes, channels last. */
abstract class Pool<R extends Rank> extends Module {
  declare readonly $out: PoolOut<InputOf<this>, R>
  readonly #pool: (x: Tensor) => Tensor
  readonly #described: string

  constructor(pool: (x: Tensor) => Tensor, described: string) {
    super()
    this.#pool = pool
    this.#described = described
  }

  /** `[batch, ...spatial, channels]`, to fewer spatial positions. */
  forward<S extends Shape>(x: Checked<PoolOut<S, R>, Tensor<S>>): Tensor<Result<PoolOut<S, R>>>
  forward(x: unknown): unknown {
    return this.#pool(x as Tensor)
  }

  override describe(): string {
    return this.#described
  }
}

const showSize = (size: PerAxis): string => (typeof size === 'number' ? String(size) : `[${size.join(', ')}]`)

type PoolOp<O> = (x: Tensor, kernelSize: PerAxis, options?: O) => Tensor
type AdaptiveOp = (x: Tensor, outputSize: PerAxis) => Tensor

interface PoolClass<R extends Rank, O> {
  new (kernelSize: PerAxis, options?: O): Pool<R>
}

interface AdaptivePoolClass<R extends Rank> {
  new (outputSize: PerAxis): Pool<R>
}

/* @__NO_SIDE_EFFECTS__ */
const pooling = <R extends Rank, O extends object>(_rank: R, op: PoolOp<O>): PoolClass<R, O> =>
  class extends Pool<R> {
    constructor(kernelSize: PerAxis, options?: O) {
      super((x) => op(x, kernelSize, options), [showSize(kernelSize), describeOptions(options)].filter(Boolean).join(', '))
    }
  }

/* @__NO_SIDE_EFFECTS__ */
const adaptive = <R extends Rank>(_rank: R, op: AdaptiveOp): AdaptivePoolClass<R> =>
  class extends Pool<R> {
    constructor(outputSize: PerAxis) {
      super((x) => op(x, outputSize), showSize(outputSize))
    }
  }

/** Largest element of each window of `[batch, length, channels]`; the stride is the kernel size unless told otherwise. */
export class MaxPool1d extends pooling<1, PoolOptions>(1, maxPool1d) {}
/** Largest element of each window of `[batch, height, width, channels]`; the stride is the kernel size unless told otherwise. */
export class MaxPool2d extends pooling<2, PoolOptions>(2, maxPool2d) {}
/** Largest element of each window of `[batch, depth, height, width, channels]`; the stride is the kernel size unless told otherwise. */
export class MaxPool3d extends pooling<3, PoolOptions>(3, maxPool3d) {}

/** Mean of each window of `[batch, length, channels]`; the stride is the kernel size unless told otherwise. */
export class AvgPool1d extends pooling<1, AvgPoolOptions>(1, avgPool1d) {}
/** Mean of each window of `[batch, height, width, channels]`; the stride is the kernel size unless told otherwise. */
export class AvgPool2d extends pooling<2, AvgPoolOptions>(2, avgPool2d) {}
/** Mean of each window of `[batch, depth, height, width, channels]`; the stride is the kernel size unless told otherwise. */
export class AvgPool3d extends pooling<3, AvgPoolOptions>(3, avgPool3d) {}

/** Means over `outputSize` even windows of `[batch, length, channels]`. */
export class AdaptiveAvgPool1d extends adaptive(1, adaptiveAvgPool1d) {}
/** Means over `outputSize` even windows an axis of `[batch, height, width, channels]`. */
export class AdaptiveAvgPool2d extends adaptive(2, adaptiveAvgPool2d) {}
/** Means over `outputSize` even windows an axis of `[batch, depth, height, width, channels]`. */
export class AdaptiveAvgPool3d extends adaptive(3, adaptiveAvgPool3d) {}

/** Largest elements of `outputSize` even windows of `[batch, length, channels]`. */
export class AdaptiveMaxPool1d extends adaptive(1, adaptiveMaxPool1d) {}
/** Largest elements of `outputSize` even windows an axis of `[batch, height, width, channels]`. */
export class AdaptiveMaxPool2d extends adaptive(2, adaptiveMaxPool2d) {}
/** Largest elements of `outputSize` even windows an axis of `[batch, depth, height, width, channels]`. */
export class AdaptiveMaxPool3d extends adaptive(3, adaptiveMaxPool3d) {}

/** The shape of a mean over all axes but the first and the last. */
type GlobalOut<S extends Shape> = S extends readonly [infer N extends number, ...Shape, infer C extends number] ? [N, C] : [number, number]

/** Mean over all spatial axes: `[batch, ...spatial, channels]` to `[batch, channels]`. Lin et al., arXiv:1312.4400. */
export class GlobalAvgPool extends Module {
  declare readonly $out: GlobalOut<InputOf<this>>

  forward<S extends Shape>(x: Tensor<S>): Tensor<GlobalOut<S>>
  forward(x: Tensor): Tensor {
    return x.reshape([x.shape[0]!, -1, x.shape.at(-1)!]).mean(1)
  }
}

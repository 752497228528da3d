import type { DType } from '../dtype.ts'
import type { Shape } from '../layout.ts'
import { batchNormWith, full, zeros } from '../op/index.ts'
import type { InputOf } from '../shape-types.ts'
import { noGrad } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { filledWith } from './draw.ts'
import { Module } from './module.ts'
import { Buffer, type Parameter } from './parameter.ts'

/** The learnt parts of a normalisation layer that keeps running statistics, and how fast those follow. */
export interface RunningNormOptions {
  /** Added to the variance, against division by 0. Default 1e-5. */
  readonly eps?: number
  /** The share of each batch in the running statistics, default 0.1; null averages all batches evenly. */
  readonly momentum?: number | null
  /** Whether there are a learnt factor and summand for each channel; default for `BatchNorm`. */
  readonly affine?: boolean
  /** Whether to collect running statistics for use in eval mode (default for `BatchNorm`); without, those of the input are used there too. */
  readonly trackRunningStats?: boolean
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

/**
 * A norm of channels, the last axis, that may keep running statistics. The count of batches that PyTorch keeps as
 * `num_batches_tracked` exists only with `momentum: null`, which needs it.
 */
export abstract class RunningNorm extends Module {
  declare readonly $out: InputOf<this>
  readonly channels: number
  readonly eps: number
  readonly momentum: number | null
  weight: Parameter | null
  bias: Parameter | null
  runningMean: Buffer | null
  runningVar: Buffer | null
  batches: Buffer | null
  /** What the class has when nothing is said, so that `describe` tells the rest. */
  readonly #usual: { readonly affine: boolean; readonly trackRunningStats: boolean }

  constructor(channels: number, options: RunningNormOptions, usual: { readonly affine: boolean; readonly trackRunningStats: boolean }) {
    super()
    const { eps = 1e-5, momentum = 0.1, affine, trackRunningStats, dtype = 'float32' } = { ...usual, ...options }
    this.channels = channels
    this.eps = eps
    this.momentum = momentum
    this.weight = affine ? filledWith([channels], 1, dtype) : null
    this.bias = affine ? filledWith([channels], 0, dtype) : null
    this.runningMean = trackRunningStats ? new Buffer<Shape>(zeros([channels], { dtype }) as Tensor) : null
    this.runningVar = trackRunningStats ? new Buffer<Shape>(full([channels], 1, { dtype }) as Tensor) : null
    this.batches = trackRunningStats && momentum === null ? new Buffer<Shape>(full([], 0, { dtype }) as Tensor) : null
    this.#usual = usual
  }

  /** By the running statistics, in eval mode where there are some; else by the input's own. */
  forward<S extends Shape>(x: Tensor<S>): Tensor<S> {
    const { runningMean, runningVar } = this
    return !this.training && runningMean && runningVar ? batchNormWith(x, runningMean, runningVar, this) : this.byOwn(x)
  }

  /** Normalises by the statistics of `x` itself, and tracks them while training. */
  protected abstract byOwn<S extends Shape>(x: Tensor<S>): Tensor<S>

  protected track(mean: Tensor, variance: Tensor): void {
    const { runningMean, runningVar, batches, momentum } = this
    if (!runningMean || !runningVar) return
    noGrad(() => {
      if (batches) batches.assign(batches.add(1))
      const share: Tensor | number = momentum ?? batches!.reciprocal()
      runningMean.assign((runningMean as Tensor).lerp(mean, share))
      runningVar.assign((runningVar as Tensor).lerp(variance, share))
    })
  }

  override describe(): string {
    const parts = [String(this.channels)]
    if (this.eps !== 1e-5) parts.push(`eps: ${this.eps}`)
    if (this.momentum !== 0.1) parts.push(`momentum: ${this.momentum}`)
    const { affine, trackRunningStats } = this.#usual
    if ((this.weight !== null) !== affine) parts.push(`affine: ${!affine}`)
    if ((this.runningMean !== null) !== trackRunningStats) parts.push(`trackRunningStats: ${!trackRunningStats}`)
    return parts.join(', ')
  }
}

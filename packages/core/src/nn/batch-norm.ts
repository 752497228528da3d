import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { batchNorm, batchNormWith, full, zeros } from '../op/index.ts'
import type { InputOf } from '../shape-types.ts'
import { noGrad } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { filledWith } from './draw.ts'
import { Module } from './module.ts'
import { Buffer, type Parameter } from './parameter.ts'

export interface BatchNormOptions {
  /** Added to the variance, against division by 0. Default 1e-5. */
  readonly eps?: number
  /** The share of each batch in the running statistics, default 0.1; null averages all batches evenly. */
  readonly momentum?: number | null
  /** Whether there are a learnt factor and summand for each channel (default). */
  readonly affine?: boolean
  /** Whether to collect running statistics for use in eval mode (default); without, the batch's own are used there too. */
  readonly trackRunningStats?: boolean
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

/**
 * Brings each channel, the last axis, to mean 0 and variance 1 over all other axes, then scales and shifts it. Training takes
 * the statistics of the batch, and eval mode those collected while training. Ioffe and Szegedy, arXiv:1502.03167.
 *
 * It serves any number of spatial axes: `BatchNorm1d`, `2d` and `3d` are the same class. The count of batches that PyTorch keeps
 * as `num_batches_tracked` exists only with `momentum: null`, which needs it.
 */
export class BatchNorm extends Module {
  declare readonly $out: InputOf<this>
  readonly channels: number
  readonly eps: number
  readonly momentum: number | null
  weight: Parameter | null
  bias: Parameter | null
  runningMean: Buffer | null
  runningVar: Buffer | null
  batches: Buffer | null

  constructor(channels: number, options: BatchNormOptions = {}) {
    super()
    const { eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true, dtype = 'float32' } = options
    this.channels = channels
    this.eps = eps
    this.momentum = momentum
    this.weight = affine ? filledWith([channels], 1, dtype) : null
    this.bias = affine ? filledWith([channels], 0, dtype) : null
    this.runningMean = trackRunningStats ? new Buffer<Shape>(zeros([channels], { dtype }) as Tensor) : null
    this.runningVar = trackRunningStats ? new Buffer<Shape>(full([channels], 1, { dtype }) as Tensor) : null
    this.batches = trackRunningStats && momentum === null ? new Buffer<Shape>(full([], 0, { dtype }) as Tensor) : null
  }

  forward<S extends Shape>(x: Tensor<S>): Tensor<S> {
    const { weight, bias, eps, runningMean, runningVar } = this
    if (!this.training && runningMean && runningVar) return batchNormWith(x, runningMean, runningVar, { weight, bias, eps })
    const count = x.shape.slice(0, -1).reduce((a, b) => a * b, 1)
    if (this.training && count <= 1) {
      throw new CotangentError('invalid-argument', {
        op: 'BatchNorm',
        message: 'one value a channel has no variance to train with',
        shapes: [x.shape],
        hint: 'Use a larger batch, or eval().',
      })
    }
    const [y, mean, variance] = batchNorm(x, { weight, bias, eps })
    if (this.training) noGrad(() => this.#track(mean, variance.mul(count / (count - 1))))
    return y
  }

  #track(mean: Tensor, variance: Tensor): void {
    const { runningMean, runningVar, batches, momentum } = this
    if (!runningMean || !runningVar) return
    if (batches) batches.assign(batches.add(1))
    const share: Tensor | number = momentum ?? batches!.reciprocal()
    runningMean.assign((runningMean as Tensor).lerp(mean, share))
    runningVar.assign((runningVar as Tensor).lerp(variance, share))
  }

  override describe(): string {
    const parts = [String(this.channels)]
    if (this.eps !== 1e-5) parts.push(`eps: ${this.eps}`)
    if (this.momentum !== 0.1) parts.push(`momentum: ${this.momentum}`)
    if (!this.weight) parts.push('affine: false')
    if (!this.runningMean) parts.push('trackRunningStats: false')
    return parts.join(', ')
  }
}

/** `BatchNorm` of `[batch, channels]` or `[batch, length, channels]`. */
export class BatchNorm1d extends BatchNorm {}
/** `BatchNorm` of `[batch, height, width, channels]`. */
export class BatchNorm2d extends BatchNorm {}
/** `BatchNorm` of `[batch, depth, height, width, channels]`. */
export class BatchNorm3d extends BatchNorm {}

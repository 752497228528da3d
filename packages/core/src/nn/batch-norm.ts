import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { batchNorm } from '../op/index.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { RunningNorm, type RunningNormOptions } from './running-norm.ts'

/**
 * Brings each channel, the last axis, to mean 0 and variance 1 over all other axes, then scales and shifts it. Training takes
 * the statistics of the batch, and eval mode those collected while training. Ioffe and Szegedy, arXiv:1502.03167.
 *
 * It serves any number of spatial axes: `BatchNorm1d`, `2d` and `3d` are the same class.
 */
export class BatchNorm extends RunningNorm {
  constructor(channels: number, options: RunningNormOptions = {}) {
    super(channels, options, { affine: true, trackRunningStats: true })
  }

  protected byOwn<S extends Shape>(x: Tensor<S>): Tensor<S> {
    const count = x.shape.slice(0, -1).reduce((a, b) => a * b, 1)
    if (this.training && count <= 1) {
      throw new CotangentError('invalid-argument', {
        op: 'BatchNorm',
        message: 'one value a channel has no variance to train with',
        shapes: [x.shape],
        hint: 'Use a larger batch, or eval().',
      })
    }
    const [y, mean, variance] = batchNorm(x, this)
    if (this.training) this.track(mean, variance.mul(count / (count - 1)))
    return y
  }
}

/** `BatchNorm` of `[batch, channels]` or `[batch, length, channels]`. */
export class BatchNorm1d extends BatchNorm {}
/** `BatchNorm` of `[batch, height, width, channels]`. */
export class BatchNorm2d extends BatchNorm {}
/** `BatchNorm` of `[batch, depth, height, width, channels]`. */
export class BatchNorm3d extends BatchNorm {}

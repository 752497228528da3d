import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { instanceNorm, varianceMean } from '../op/index.ts'
import { noGrad } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { RunningNorm, type RunningNormOptions } from './running-norm.ts'

/**
 * Brings each channel (the last axis) of each sample to mean 0 and variance 1. Ulyanov et al., arXiv:1607.08022. As in PyTorch, it
 * learns nothing unless `affine` is true. With `trackRunningStats`, training averages the statistics of all samples, and eval mode
 * takes those.
 *
 * It serves any number of spatial axes: `InstanceNorm1d`, `2d` and `3d` are the same class.
 */
export class InstanceNorm extends RunningNorm {
  constructor(channels: number, options: RunningNormOptions = {}) {
    super(channels, options, { affine: false, trackRunningStats: false })
  }

  protected byOwn<S extends Shape>(x: Tensor<S>): Tensor<S> {
    if (this.training && this.runningMean) noGrad(() => this.#trackSamples(x as unknown as Tensor))
    return instanceNorm(x, this)
  }

  #trackSamples(x: Tensor): void {
    const spatial = x.shape.slice(1, -1).map((_, i) => i + 1)
    if (spatial.reduce((count, axis) => count * x.shape[axis]!, 1) <= 1) {
      throw new CotangentError('invalid-argument', {
        op: 'InstanceNorm',
        message: 'one value a channel and sample has no variance to track',
        shapes: [x.shape],
        hint: 'Use larger inputs, or eval().',
      })
    }
    const [variance, mean] = varianceMean(x, spatial)
    this.track(mean.mean(0), variance.mean(0))
  }
}

/** `InstanceNorm` of `[batch, length, channels]`. */
export class InstanceNorm1d extends InstanceNorm {}
/** `InstanceNorm` of `[batch, height, width, channels]`. */
export class InstanceNorm2d extends InstanceNorm {}
/** `InstanceNorm` of `[batch, depth, height, width, channels]`. */
export class InstanceNorm3d extends InstanceNorm {}

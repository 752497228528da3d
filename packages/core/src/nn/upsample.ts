import { CotangentError } from '../errors.ts'
import { interpolate, type InterpolateOptions } from '../op/index.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { describeOptions } from './describe.ts'
import { Module } from './module.ts'

/** Resizes the spatial axes of `[batch, ...spatial, channels]` to a size or by a factor; see `interpolate`. */
export class Upsample extends Module {
  readonly options: InterpolateOptions

  constructor(options: InterpolateOptions) {
    super()
    this.options = options
  }

  forward(x: Tensor): Tensor {
    return interpolate(x, this.options)
  }

  override describe(): string {
    return describeOptions(this.options)
  }
}

/** A layer that moves factors of the image's sizes between space and channels. */
abstract class Rearranged extends Module {
  readonly factor: number

  constructor(factor: number) {
    super()
    this.factor = factor
  }

  override describe(): string {
    return String(this.factor)
  }
}

/** Channels into space: `[batch, h, w, c * factor²]` to `[batch, h * factor, w * factor, c]`. Shi et al., arXiv:1609.05158. */
export class PixelShuffle extends Rearranged {
  forward(x: Tensor): Tensor {
    const r = this.factor
    const [n, h, w, c] = imageShape('PixelShuffle', x)
    if (c % (r * r) !== 0)
      throw new CotangentError('shape-mismatch', {
        op: 'PixelShuffle',
        message: `${c} channels are not a multiple of ${r}²`,
        shapes: [x.shape],
        hint: 'The channels before are r² times those after.',
      })
    const split: Tensor = x.reshape([n, h, w, c / (r * r), r, r])
    return split.permute([0, 1, 4, 2, 5, 3]).reshape([n, h * r, w * r, c / (r * r)])
  }
}

/** Space into channels: `[batch, h * factor, w * factor, c]` to `[batch, h, w, c * factor²]`; undoes `PixelShuffle`. */
export class PixelUnshuffle extends Rearranged {
  forward(x: Tensor): Tensor {
    const r = this.factor
    const [n, h, w, c] = imageShape('PixelUnshuffle', x)
    if (h % r !== 0 || w % r !== 0)
      throw new CotangentError('shape-mismatch', {
        op: 'PixelUnshuffle',
        message: `${h} x ${w} is not a multiple of ${r}`,
        shapes: [x.shape],
        hint: 'Pad or crop the image first.',
      })
    const split: Tensor = x.reshape([n, h / r, r, w / r, r, c])
    return split.permute([0, 1, 3, 5, 2, 4]).reshape([n, h / r, w / r, c * r * r])
  }
}

function imageShape(layer: string, x: Tensor): [number, number, number, number] {
  if (x.rank !== 4)
    throw new CotangentError('shape-mismatch', {
      op: layer,
      message: 'expected [batch, height, width, channels]',
      shapes: [x.shape],
      hint: 'Add a batch axis with unsqueeze(0).',
    })
  return x.shape as unknown as [number, number, number, number]
}

import { CotangentError } from '../errors.ts'
import { conv2d } from '../op/conv.ts'
import { tensor } from '../op/creation.ts'
import { pad } from '../op/pad.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { onFloats } from './images.ts'

/** The same weights [height, width] over each channel. */
export function filtered(x: Tensor, weights: readonly (readonly number[])[], padding: number): Tensor {
  const channels = x.shape.at(-1)!
  const kernel = tensor(weights as number[][], { dtype: x.dtype })
    .unsqueeze(-1)
    .unsqueeze(-1)
    .expand([weights.length, weights[0]!.length, 1, channels])
  return conv2d(x, kernel, { groups: channels, padding }) as Tensor
}

/**
 * Images under a Gaussian filter, mirrored at the edges.
 *
 * @param size Pixels of the filter, odd.
 * @param sigma Its standard deviation in pixels. Default 0.15 size + 0.35, as in torchvision.
 */
export function gaussianBlur(images: Tensor, size: number, sigma: number = 0.15 * size + 0.35): Tensor {
  if (!Number.isInteger(size) || size < 1 || size % 2 === 0 || !(sigma > 0))
    throw new CotangentError('invalid-argument', {
      op: 'gaussianBlur',
      message: `size ${size}, sigma ${sigma}`,
      hint: 'The size is odd, and sigma is positive.',
    })
  const half = (size - 1) / 2
  const bell = Array.from({ length: size }, (_, i) => Math.exp(-0.5 * ((i - half) / sigma) ** 2))
  const sum = bell.reduce((a, b) => a + b)
  const weights = bell.map((b) => b / sum)
  return onFloats('gaussianBlur', images, (x) => {
    const padded =
      half > 0
        ? pad(
            x,
            [
              [0, 0],
              [half, half],
              [half, half],
              [0, 0],
            ],
            { mode: 'reflect' },
          )
        : x
    return filtered(
      filtered(
        padded,
        weights.map((b) => [b]),
        0,
      ),
      [weights],
      0,
    )
  })
}

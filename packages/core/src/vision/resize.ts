import { CotangentError } from '../errors.ts'
import { interpolate, interpolatePart, type Region } from '../op/interpolate.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { onBatch } from './images.ts'

/** How pixels between pixels are found. Where an image shrinks they are averaged, by default. */
export interface ResizeOptions {
  /** Default `linear`; `cubic` overshoots at edges, also beyond the range of floats. */
  readonly mode?: 'nearest' | 'linear' | 'cubic'
  /** Whether pixels are averaged where the image shrinks. Default true. */
  readonly antialias?: boolean
}

/** Height and width of a size that may be one number: that of the shorter side, the other one keeping the proportions. */
export function sizeFor(
  op: string,
  [height, width]: readonly [number, number],
  size: number | readonly [number, number],
): [number, number] {
  const [h, w] =
    typeof size !== 'number'
      ? size
      : height < width
        ? [size, Math.max(1, Math.trunc((size * width) / height))]
        : [Math.max(1, Math.trunc((size * height) / width)), size]
  if (![h, w].every((n) => Number.isInteger(n) && n > 0))
    throw new CotangentError('invalid-argument', {
      op,
      message: `${JSON.stringify(size)} is not a size`,
      hint: 'Give [height, width] in pixels, or the length of the shorter side.',
    })
  return [h, w]
}

/**
 * Images of another size.
 *
 * @param size `[height, width]`, or the length of the shorter side.
 */
export const resize = (
  images: Tensor,
  size: number | readonly [number, number],
  { mode = 'linear', antialias = true }: ResizeOptions = {},
) =>
  onBatch('resize', images, (x) => {
    const [h, w] = sizeFor('resize', [x.shape[1]!, x.shape[2]!], size)
    if (x.shape[1] === h && x.shape[2] === w) return x
    if (x.shape[0] === 0) return x.newFull([0, h, w, x.shape[3]!], 0)
    return interpolate(x, { size: [h, w], mode, ...(mode !== 'nearest' && { antialias }) })
  })

/** A part of each image of a batch at another size. */
export const resizePart = (
  batch: Tensor,
  part: Region,
  size: readonly [number, number],
  { mode = 'linear', antialias = true }: ResizeOptions,
): Tensor => interpolatePart(batch, part, { size, mode, ...(mode !== 'nearest' && { antialias }) })

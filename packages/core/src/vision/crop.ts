import { CotangentError } from '../errors.ts'
import type { Region } from '../op/interpolate.ts'
import { concat } from '../op/join.ts'
import { pad } from '../op/pad.ts'
import { randint } from '../op/random.ts'
import { arange } from '../op/range.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { onBatch } from './images.ts'
import { resize, type ResizeOptions, resizePart, sizeFor } from './resize.ts'
import { drawn, generatorOf, type Transform } from './transform.ts'

/** The same part of each image. */
export const crop = (images: Tensor, { top, left, height, width }: Region): Tensor =>
  onBatch('crop', images, (x) => {
    const [h, w] = [x.shape[1]!, x.shape[2]!]
    if (top < 0 || left < 0 || height < 1 || width < 1 || top + height > h || left + width > w)
      throw new CotangentError('invalid-argument', {
        op: 'crop',
        message: `${height} x ${width} pixels from (${top}, ${left}) are not all inside of ${h} x ${w}`,
        shapes: [images.shape],
        hint: 'Pad the images first, or cut less.',
      })
    return x.narrow(1, top, height).narrow(2, left, width)
  })

/** The middle of each image: `[height, width]`, or a square. */
export const centerCrop = (images: Tensor, size: number | readonly [number, number]): Tensor => {
  const [height, width] = typeof size === 'number' ? [size, size] : size
  const [h, w] = [images.shape.at(-3) ?? 0, images.shape.at(-2) ?? 0]
  // Halves go to the even side, as in torchvision.
  const half = (rest: number) => Math.floor(rest / 2) + (rest % 2 === 1 && Math.floor(rest / 2) % 2 === 1 ? 1 : 0)
  return crop(images, { top: half(h - height), left: half(w - width), height, width })
}

/** What images are padded with before they are cut. */
export interface RandomCropOptions {
  /** Pixels added on each side before. Default 0. */
  readonly padding?: number
  /** What they are. Default `constant`: black. */
  readonly paddingMode?: 'constant' | 'reflect' | 'replicate'
}

/** Cuts `[height, width]` or a square out of each image, at a random place of its own. */
export const randomCrop =
  (size: number | readonly [number, number], { padding = 0, paddingMode = 'constant' }: RandomCropOptions = {}): Transform =>
  (images, source) =>
    onBatch('randomCrop', images, (batch) => {
      const x =
        padding > 0
          ? pad(
              batch,
              [
                [0, 0],
                [padding, padding],
                [padding, padding],
                [0, 0],
              ],
              { mode: paddingMode },
            )
          : batch
      const [height, width] = typeof size === 'number' ? [size, size] : size
      const [n, h, w] = x.shape as [number, number, number]
      if (height > h || width > w)
        throw new CotangentError('shape-mismatch', {
          op: 'randomCrop',
          message: `${height} x ${width} pixels do not fit into images of ${h} x ${w}`,
          shapes: [images.shape],
          hint: 'Use padding, or resize first.',
        })
      const generator = generatorOf(source)
      const rows = randint(0, h - height + 1, [n, 1], { generator }).add(arange(height)) as Tensor
      const columns = randint(0, w - width + 1, [n, 1], { generator }).add(arange(width)) as Tensor
      return x.takeAlongAxis(rows.reshape([n, height, 1, 1]), 1).takeAlongAxis(columns.reshape([n, 1, width, 1]), 2)
    })

/** The ranges from which size and form of the part that is cut out are drawn. */
export interface RandomResizedCropOptions extends ResizeOptions {
  /** Smallest and largest part of the image's area. Default [0.08, 1]. */
  readonly scale?: readonly [number, number]
  /** Smallest and largest width over height. Default [3/4, 4/3]. */
  readonly ratio?: readonly [number, number]
}

/** Tries for a part of the wanted area and proportions before the middle is taken. */
const TRIES = 10

/** A random part of each image, of random area and proportions, at the given size (Szegedy et al. 2014, https://arxiv.org/abs/1409.4842). */
export const randomResizedCrop =
  (
    size: number | readonly [number, number],
    { scale = [0.08, 1], ratio = [3 / 4, 4 / 3], ...options }: RandomResizedCropOptions = {},
  ): Transform =>
  (images, source) => {
    const target = typeof size === 'number' ? ([size, size] as const) : size
    sizeFor('randomResizedCrop', [1, 1], target)
    for (const [name, [least, most]] of Object.entries({ scale, ratio }))
      if (!((name === 'scale' ? least >= 0 : least > 0) && least <= most && most > 0 && most < Infinity))
        throw new CotangentError('invalid-argument', {
          op: 'randomResizedCrop',
          message: `${name} is [${least}, ${most}]`,
          hint: 'It is a range of numbers above 0, the smaller one first.',
        })
    return onBatch('randomResizedCrop', images, (x) => {
      const [n, h, w] = x.shape as [number, number, number]
      const draw = (range: readonly [number, number]) => drawn(n * TRIES, range, source).dataSync() as Float32Array
      const areas = draw(scale)
      const proportions = draw([Math.log(ratio[0]), Math.log(ratio[1])])
      const [down, right] = [draw([0, 1]), draw([0, 1])]
      const parts = Array.from({ length: n }, (_, i) => {
        for (let t = i * TRIES; t < (i + 1) * TRIES; t++) {
          const [area, aspect] = [areas[t]! * h * w, Math.exp(proportions[t]!)]
          const [height, width] = [Math.round(Math.sqrt(area / aspect)), Math.round(Math.sqrt(area * aspect))]
          if (height < 1 || width < 1 || height > h || width > w) continue
          const [top, left] = [Math.floor(down[t]! * (h - height + 1)), Math.floor(right[t]! * (w - width + 1))]
          return { top, left, height, width }
        }
        return middle([h, w], ratio)
      })
      const pieces = parts.map((part, i) => resizePart(x.narrow(0, i, 1), part, target, options))
      return pieces.length === 0 ? resize(x, target, options) : concat(pieces, 0)
    })
  }

/** The largest part in the middle whose proportions are in range. */
function middle([h, w]: readonly [number, number], [low, high]: readonly [number, number]): Region {
  const height = w / h > high ? h : Math.min(h, Math.round(w / low))
  const width = w / h < low ? w : Math.min(w, Math.round(h * high))
  return { top: Math.floor((h - height) / 2), left: Math.floor((w - width) / 2), height, width }
}

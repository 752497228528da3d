import { CotangentError } from '../errors.ts'
import { concat } from '../op/join.ts'
import { where } from '../op/where.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { filtered } from './blur.ts'
import { checkColour, onBatch, onFloats, onPlanes, type PerImage, perImage, whiteOf } from './images.ts'
import { blend, colorChanges, luma } from './planes.ts'

// Factors are 1 for no change, 0 for none of the quality, 2 for twice as much. uint8 images are computed in float32 and rounded.

const inRange = (x: Tensor, white: number): Tensor => x.clamp({ min: 0, max: white })

/** Grey images, of one channel or of three equal ones. */
export const grayscale = (images: Tensor, { channels = 1 }: { readonly channels?: 1 | 3 } = {}): Tensor => {
  checkColour('grayscale', images)
  return onPlanes('grayscale', images, (x) => {
    const grey = luma(x)
    return channels === 1 ? grey : grey.expand(grey.shape.with(1, 3))
  })
}

/** The images times `factor`, one number or one an image: `[batch, height, width, channels]`. */
export const adjustBrightness = (images: Tensor, factor: PerImage): Tensor =>
  onFloats('adjustBrightness', images, (x, white) => blend(x, 0, factor, white))

/** The images moved away from the mean of their grey values, by `factor`: `[batch, height, width, channels]`. */
export const adjustContrast = (images: Tensor, factor: PerImage): Tensor => {
  checkColour('adjustContrast', images)
  return onPlanes('adjustContrast', images, (x, white) => colorChanges.contrast(x, factor, white))
}

/** The images moved away from their grey ones, by `factor`: `[batch, height, width, channels]`. */
export const adjustSaturation = (images: Tensor, factor: PerImage): Tensor => {
  checkColour('adjustSaturation', images)
  return onPlanes('adjustSaturation', images, (x, white) => colorChanges.saturation(x, factor, white))
}

/** Mean of the 3 x 3 pixels around each, the middle counting five times; edges stay. */
function smoothed(x: Tensor): Tensor {
  const [h, w] = [x.shape[1]!, x.shape[2]!]
  const [side, middle] = [1 / 13, 5 / 13]
  const inner = filtered(
    x,
    [
      [side, side, side],
      [side, middle, side],
      [side, side, side],
    ],
    0,
  )
  const rows = concat([x.narrow(1, 1, h - 2).narrow(2, 0, 1), inner, x.narrow(1, 1, h - 2).narrow(2, w - 1, 1)], 2)
  return concat([x.narrow(1, 0, 1), rows, x.narrow(1, h - 1, 1)], 1)
}

/** The images moved away from smoothed ones, by `factor`: `[batch, height, width, channels]`. */
export const adjustSharpness = (images: Tensor, factor: PerImage): Tensor =>
  onFloats('adjustSharpness', images, (x, white) => (x.shape[1]! < 3 || x.shape[2]! < 3 ? x : blend(x, smoothed(x), factor, white)))

/** gain x^gamma on a scale from 0 to 1. */
export const adjustGamma = (images: Tensor, gamma: PerImage, gain = 1): Tensor =>
  onFloats('adjustGamma', images, (x, white) => inRange(x.div(white).pow(perImage(gamma)).mul(gain), 1).mul(white))

/**
 * Turns all colours by a part of the circle, from -0.5 to 0.5.
 *
 * The way to hue, saturation and value and back: Smith 1978, "Color gamut transform pairs".
 */
export const adjustHue = (images: Tensor, turn: PerImage): Tensor => {
  checkColour('adjustHue', images)
  if (typeof turn === 'number' && !(Math.abs(turn) <= 0.5))
    throw new CotangentError('invalid-argument', {
      op: 'adjustHue',
      message: `${turn} is not a part of the circle`,
      hint: 'Give a number from -0.5 to 0.5.',
    })
  return onPlanes('adjustHue', images, (x) => colorChanges.hue(x, turn))
}

/** Black for white. */
export const invert = (images: Tensor): Tensor => onBatch('invert', images, (x) => x.neg().add(whiteOf(x)).cast(x.dtype))

/** Only the first `bits` of each value's eight are kept. */
export const posterize = (images: Tensor, bits: number): Tensor => {
  if (!Number.isInteger(bits) || bits < 0 || bits > 8)
    throw new CotangentError('invalid-argument', { op: 'posterize', message: `${bits} bits`, hint: 'Give a whole number from 0 to 8.' })
  return onFloats('posterize', images, (x, white) => {
    if (white === 255)
      return x
        .div(2 ** (8 - bits))
        .floor()
        .mul(2 ** (8 - bits))
    const levels = 2 ** bits
    return x
      .mul(levels)
      .floor()
      .clamp({ min: 0, max: levels - 1 })
      .div(levels)
  })
}

/** What is as bright as `threshold` or brighter, on the images' scale, is inverted. */
export const solarize = (images: Tensor, threshold: PerImage): Tensor =>
  onFloats('solarize', images, (x, white) => where(x.ge(perImage(threshold)), x.neg().add(white), x))

/** Each channel of each image from black to white. */
export const autocontrast = (images: Tensor): Tensor =>
  onFloats('autocontrast', images, (x, white) => {
    const [low, high] = [x.min([1, 2], { keepDims: true }), x.max([1, 2], { keepDims: true })]
    const flat = high.eq(low)
    const span = where(flat, high.onesLike(), high.sub(low))
    return where(flat, x, inRange(x.sub(low).mul(white).div(span), white))
  })

/** Each channel of each image with as many pixels of each brightness as may be: 256 levels. */
export const equalize = (images: Tensor): Tensor =>
  onFloats('equalize', images, (x, white) => {
    const [n, h, w, c] = x.shape as [number, number, number, number]
    if (x.size === 0) return x
    const levels = x
      .mul(255 / white)
      .clamp({ min: 0, max: 255 })
      .cast('int32')
      .permute([0, 3, 1, 2])
      .reshape([n * c, h * w])
    const counts = levels.newFull([n * c, 256], 0).scatter(1, levels, levels.onesLike(), { mode: 'add' })
    const last = counts.takeAlongAxis(levels.max(1, { keepDims: true }), 1)
    const step = last
      .neg()
      .add(h * w)
      .floorDivide(255)
    const divisor = where(step.eq(0), step.onesLike(), step)
    // The level of a pixel is the number of darker ones, in steps.
    const darker = counts.cumSum(1).sub(counts)
    const table = darker.add(divisor.floorDivide(2)).floorDivide(divisor).clamp({ min: 0, max: 255 })
    const equal = where(step.eq(0), levels, table.takeAlongAxis(levels, 1))
    return equal
      .reshape([n, c, h, w])
      .permute([0, 2, 3, 1])
      .cast(x.dtype)
      .mul(white / 255)
  })

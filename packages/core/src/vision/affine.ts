import { CotangentError } from '../errors.ts'
import { full } from '../op/creation.ts'
import { affineGrid, gridSample } from '../op/grid-sample.ts'
import { stack } from '../op/join.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { onFloats, type PerImage } from './images.ts'
import { drawn, rangeOf, type Transform } from './transform.ts'

/** How pixels between pixels are found, and what comes from outside of the image. */
export interface WarpOptions {
  /** Default `nearest`, as in torchvision. */
  readonly mode?: 'nearest' | 'linear' | 'cubic'
  /** Value of what comes from outside of the image, on its scale. Default 0. */
  readonly fill?: number
}

/** How images are turned, moved, scaled and sheared: all alike, or each by its own numbers. */
export interface AffineOptions extends WarpOptions {
  /** Clockwise. */
  readonly degrees?: PerImage
  /** To the right and down, in pixels. */
  readonly translate?: readonly [x: PerImage, y: PerImage]
  readonly scale?: PerImage
  /** Parallel to the x and the y axis, in degrees. */
  readonly shear?: readonly [x: PerImage, y: PerImage]
}

const radians = (degrees: Tensor): Tensor => degrees.mul(Math.PI / 180)

/** Images that were sheared, scaled, turned about their centres and moved. Differentiable by the images and all parameters. */
export function affine(images: Tensor, options: AffineOptions): Tensor {
  const { degrees = 0, translate = [0, 0], scale = 1, shear = [0, 0], mode = 'nearest', fill = 0 } = options
  return onFloats('affine', images, (x) => {
    const [n, h, w] = x.shape as [number, number, number]
    const each = (value: PerImage): Tensor => {
      if (typeof value === 'number') return full([n], value, { dtype: x.dtype })
      if (value.rank === 1 && value.shape[0] === n) return value.cast(x.dtype) as Tensor
      throw new CotangentError('shape-mismatch', {
        op: 'affine',
        message: `expected one number for each of ${n} images`,
        shapes: [value.shape],
        hint: 'Give a number, or a tensor [batch].',
      })
    }
    const [angle, shearX, shearY] = [degrees, shear[0], shear[1]].map((value) => radians(each(value))) as [Tensor, Tensor, Tensor]
    const [size, moveX, moveY] = [each(scale), each(translate[0]), each(translate[1])]
    // Turn, shear along y, shear along x.
    const turned = angle.sub(shearY)
    const [cos, sin] = [turned.cos().div(shearY.cos()), turned.sin().div(shearY.cos())]
    const tilt = shearX.tan()
    const [a, b, c, d] = [cos, cos.mul(tilt).add(angle.sin()).neg(), sin, angle.cos().sub(sin.mul(tilt))]
    // Its inverse leads from places in the result to places in the image; its determinant is that of the scale.
    const inverse = [d, b.neg(), c.neg(), a].map((entry) => entry.div(size)) as [Tensor, Tensor, Tensor, Tensor]
    return warp(x, inverse, [moveX, moveY], { mode, fill }, [h, w])
  })
}

/** Samples at `inverse` times the distance from the centre less `move`; both in pixels, of images [h, w] that lie about the same centre. */
function warp(
  x: Tensor,
  [a, b, c, d]: readonly [Tensor, Tensor, Tensor, Tensor],
  [moveX, moveY]: readonly [Tensor, Tensor],
  { mode = 'nearest', fill = 0 }: WarpOptions,
  [h, w]: readonly [number, number],
): Tensor {
  const [height, width] = [x.shape[1]!, x.shape[2]!]
  const offsetX = a
    .mul(moveX)
    .add(b.mul(moveY))
    .mul(-2 / width)
  const offsetY = c
    .mul(moveX)
    .add(d.mul(moveY))
    .mul(-2 / height)
  const rows = [
    [a.mul(w / width), b.mul(h / width), offsetX],
    [c.mul(w / height), d.mul(h / height), offsetY],
  ].map((row) => stack(row, -1))
  const grid = affineGrid(stack(rows, 1), [h, w])
  return fill === 0 ? gridSample(x, grid, { mode }) : gridSample(x.sub(fill), grid, { mode }).add(fill)
}

/** How pixels of a turned image are found, and whether the result grows to hold all of it. */
export interface RotateOptions extends WarpOptions {
  /** Whether the result is just large enough for all of the turned image. Needs one angle for all. */
  readonly expand?: boolean
}

/** Images turned about their centres, counter-clockwise. */
export function rotate(images: Tensor, degrees: PerImage, { expand = false, mode = 'nearest', fill = 0 }: RotateOptions = {}): Tensor {
  if (!expand) return affine(images, { degrees: typeof degrees === 'number' ? -degrees : degrees.neg(), mode, fill })
  if (typeof degrees !== 'number')
    throw new CotangentError('invalid-argument', {
      op: 'rotate',
      message: 'expand needs one angle for all images, as their size follows from it',
      hint: 'Give a number, or leave expand out.',
    })
  return onFloats('rotate', images, (x) => {
    const [n, h, w] = x.shape as [number, number, number]
    const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)]
    // What rounding adds to a right angle does not count.
    const holding = (extent: number) => Math.max(1, Math.ceil(extent - 1e-6))
    const size = [holding(h * Math.abs(cos) + w * Math.abs(sin)), holding(w * Math.abs(cos) + h * Math.abs(sin))] as const
    const each = (value: number) => full([n], value, { dtype: x.dtype }) as Tensor
    return warp(x, [each(cos), each(-sin), each(sin), each(cos)], [each(0), each(0)], { mode, fill }, size)
  })
}

/** Turns each image by an angle of its own, up to `degrees` either way or from a range. */
export const randomRotation =
  (degrees: number | readonly [number, number], options: WarpOptions = {}): Transform =>
  (images, source) =>
    rotate(images, drawn(batchOf(images), rangeOf(degrees), source), options)

/** The ranges from which turns, moves, scales and shears of each image are drawn. */
export interface RandomAffineOptions extends WarpOptions {
  readonly degrees?: number | readonly [number, number]
  /** Largest parts of width and height to move by. */
  readonly translate?: readonly [x: number, y: number]
  readonly scale?: readonly [number, number]
  /** In degrees, parallel to the x axis; a pair of ranges for both. */
  readonly shear?: number | readonly [x: readonly [number, number], y: readonly [number, number]]
}

/** `affine` with parameters drawn for each image. */
export const randomAffine =
  ({ degrees = 0, translate = [0, 0], scale = [1, 1], shear = 0, ...options }: RandomAffineOptions): Transform =>
  (images, source) => {
    const n = batchOf(images)
    const [width, height] = [images.shape.at(-2) ?? 0, images.shape.at(-3) ?? 0]
    const [shearX, shearY] = typeof shear === 'number' ? [rangeOf(shear), [0, 0] as const] : shear
    return affine(images, {
      ...options,
      degrees: drawn(n, rangeOf(degrees), source),
      translate: [drawn(n, rangeOf(translate[0] * width), source).round(), drawn(n, rangeOf(translate[1] * height), source).round()],
      scale: drawn(n, scale, source),
      shear: [drawn(n, shearX, source), drawn(n, shearY, source)],
    })
  }

const batchOf = (images: Tensor): number => (images.rank === 4 ? images.shape[0]! : 1)

import { CotangentError, Tensor } from 'cotangent'
import { stringTensor } from './event-tensor.ts'
import { type Deflate, encodePng, type Pixels } from './png.ts'
import { ImagePluginData } from './schema.ts'
import { plugin, type Summary } from './summary.ts'
import { invalid } from './values.ts'

/** A PNG, JPEG, GIF or WebP file and its size in pixels. */
export interface EncodedImage {
  readonly data: Uint8Array
  readonly width: number
  readonly height: number
}

/** Axes of a tensor of pixels; a leading N, for several images, and C, for grey ones, may be missing. */
export type ImageLayout = 'CHW' | 'HWC'

/**
 * Images to write: a tensor `[H, W]`, `[C, H, W]` or `[N, C, H, W]` (or `[H, W, C]`, `[N, H, W, C]`), with 1 channel (grey), 2 (grey, alpha), 3
 * (RGB) or 4 (RGB, alpha). uint8 is taken as it is, bool is black and white, and floats are in [0, 1]: what is outside is cut off, NaN is black.
 */
export type ImageInput = Tensor | EncodedImage | readonly EncodedImage[]

export function imageSummary(input: ImageInput, layout: ImageLayout, deflate: Deflate | undefined): Summary {
  const images = input instanceof Tensor ? pixelsOf(input, layout).map((pixels) => encodeTensorImage(pixels, deflate)) : [input].flat()
  const [first] = images
  if (!first) throw invalid('image', 'there is no image', 'Give one or more.')
  if (images.some(({ width, height }) => width !== first.width || height !== first.height)) {
    throw invalid('image', 'the images differ in size', 'Write them under tags of their own.')
  }
  // One image goes into the field that every reader of event files knows, several into a tensor, which has a slider.
  if (images.length === 1) {
    const { width, height, data, channels = 3 } = first as EncodedImage & { channels?: number }
    return {
      image: { width, height, colorspace: channels, encoded: data },
      metadata: plugin('images', 'blobSequence', ImagePluginData.encode({})),
    }
  }
  const tensor = stringTensor([String(first.width), String(first.height), ...images.map(({ data }) => data)])
  return { tensor, metadata: plugin('images', 'blobSequence', ImagePluginData.encode({})) }
}

/** The sprite of the embedding projector: a square of images, rows first. `width` and `height` are one image's. */
export function encodeSprite(images: Tensor, count: number, deflate: Deflate): EncodedImage {
  const all = images.rank === 4 ? pixelsOf(images, 'CHW') : []
  if (all.length !== count || count === 0) {
    throw new CotangentError('shape-mismatch', {
      op: 'embedding',
      message: `there are ${count} points, whose images have shape [${count}, C, H, W]`,
      shapes: [images.shape],
      hint: 'Give an image a point.',
    })
  }
  const { width, height, channels } = all[0]!
  const side = Math.ceil(Math.sqrt(count))
  const data = new Uint8Array(side * height * side * width * channels)
  const row = width * channels
  all.forEach((image, i) => {
    const [top, left] = [Math.floor(i / side) * height, (i % side) * row]
    for (let y = 0; y < height; y++) data.set(image.data.subarray(y * row, (y + 1) * row), (top + y) * side * row + left)
  })
  return { width, height, data: encodePng({ width: side * width, height: side * height, channels, data }, deflate) }
}

function encodeTensorImage(pixels: Pixels, deflate: Deflate | undefined): EncodedImage & { channels: number } {
  const { width, height, channels } = pixels
  return { width, height, channels, data: encodePng(pixels, deflate) }
}

function pixelsOf(tensor: Tensor, layout: ImageLayout): Pixels[] {
  const { shape, dtype } = tensor
  const grey = shape.length === 2
  const batched = shape.length === 4
  const sizes = batched ? shape.slice(1) : grey ? (layout === 'CHW' ? [1, ...shape] : [...shape, 1]) : [...shape]
  const [channels, height, width] = layout === 'CHW' ? sizes : [sizes[2], sizes[0], sizes[1]]
  if (sizes.length !== 3 || !isChannels(channels) || !height || !width) {
    const other = layout === 'CHW' ? 'HWC' : 'CHW'
    throw new CotangentError('shape-mismatch', {
      op: 'image',
      message: `this is no image of layout ${layout}`,
      shapes: [shape],
      hint: isChannels(sizes[layout === 'CHW' ? 2 : 0])
        ? `Pass { layout: '${other}' }.`
        : 'An image has 1 to 4 channels and at least one pixel.',
    })
  }
  const toByte = byteOf(dtype)
  const values = tensor.dataSync() as ArrayLike<number>
  const area = height * width
  return Array.from({ length: batched ? shape[0]! : 1 }, (_, n) => {
    const data = new Uint8Array(area * channels)
    const start = n * data.length
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < channels; c++)
        data[i * channels + c] = toByte(values[start + (layout === 'CHW' ? c * area + i : i * channels + c)]!)
    }
    return { width, height, channels, data }
  })
}

function byteOf(dtype: Tensor['dtype']): (value: number) => number {
  if (dtype === 'uint8') return (value) => value
  if (dtype === 'bool') return (value) => value * 255
  if (dtype.includes('float')) return (value) => Math.round(Math.min(Math.max(value, 0), 1) * 255) || 0
  throw new CotangentError('dtype-mismatch', {
    op: 'image',
    message: 'pixels are uint8, bool or floats in [0, 1]',
    dtypes: [dtype],
    hint: "Convert them with .cast('uint8') or divide by their maximum.",
  })
}

const isChannels = (size: number | undefined): size is 1 | 2 | 3 | 4 => size !== undefined && size >= 1 && size <= 4

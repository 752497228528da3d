import { CotangentError, tensor, type Tensor } from 'cotangent'
import { badElement } from '../file-source.ts'

/** 1 grey, 3 RGB, 4 RGB and alpha. */
export type Channels = 1 | 3 | 4

/** What a picture becomes: uint8 `[H, W, C]`. */
export interface DecodeOptions<C extends Channels = Channels> {
  /** Default 3. Grey is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), as in PIL and TensorFlow; alpha of pictures without is 255. */
  readonly channels?: C
  /** Turns pictures as their camera's note (EXIF) says. Default false, as in PyTorch and TensorFlow. */
  readonly orient?: boolean
  /**
   * In Node, JPEG files by libjpeg-turbo's fast transform, TensorFlow's default: in a third of the time, a level or two beside the
   * exact values. Needs `npm install @julusian/jpeg-turbo`. Default false. Without effect with `orient`, and in browsers.
   */
  readonly fast?: boolean
  /** The largest picture that is decoded, in pixels. Default 2^28. */
  readonly maxPixels?: number
}

/** The kind of file that a picture becomes, and its quality. */
export interface EncodeOptions {
  /** Default png. */
  readonly format?: 'png' | 'jpeg' | 'webp'
  /** Of jpeg and webp, 1 to 100; default 90. */
  readonly quality?: number
}

interface Rgba {
  readonly width: number
  readonly height: number
  /** Rows of pixels of 4 bytes; of 3 or 4 where `stride` says so. */
  readonly data: Uint8Array | Uint8ClampedArray
  readonly stride: 3 | 4
}

/** Pixels of the host's decoder as a uint8 tensor `[H, W, C]`. */
export function toTensor({ width, height, data, stride }: Rgba, channels: Channels): Tensor {
  const shape = [height, width, channels] as const
  if (stride === channels) return tensor(new Uint8Array(data.buffer, data.byteOffset, data.length), { dtype: 'uint8', shape })
  const pixels = new Uint8Array(height * width * channels)
  for (let from = 0, to = 0; from < data.length; from += stride, to += channels) {
    const [r, g, b] = [data[from]!, data[from + 1]!, data[from + 2]!]
    if (channels === 1) {
      // In 16-bit fixed point, rounded: PIL's very numbers.
      pixels[to] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16
      continue
    }
    pixels[to] = r
    pixels[to + 1] = g
    pixels[to + 2] = b
    if (channels === 4) pixels[to + 3] = stride === 4 ? data[from + 3]! : 255
  }
  return tensor(pixels, { dtype: 'uint8', shape })
}

/** A uint8 tensor `[H, W]` or `[H, W, C]` as bytes. */
export function fromTensor(image: Tensor): { width: number; height: number; channels: Channels; data: Uint8Array } {
  const [height, width, channels = 1] = image.shape
  if (image.dtype !== 'uint8') {
    throw new CotangentError('dtype-mismatch', {
      op: 'encodeImage',
      message: 'pixels are uint8',
      dtypes: [image.dtype],
      hint: "Floats in [0, 1]: image.mul(255).round().cast('uint8').",
    })
  }
  if ((image.rank !== 2 && image.rank !== 3) || !height || !width || (channels !== 1 && channels !== 3 && channels !== 4)) {
    throw new CotangentError('shape-mismatch', {
      op: 'encodeImage',
      message: 'an image has shape [H, W] or [H, W, C] with 1, 3 or 4 channels',
      shapes: [image.shape],
      hint: 'Channels come last: permute(1, 2, 0).',
    })
  }
  return { width, height, channels, data: image.dataSync() as Uint8Array }
}

export function checkChannels(channels: number): asserts channels is Channels {
  if (channels === 1 || channels === 3 || channels === 4) return
  throw new CotangentError('invalid-argument', { op: 'decodeImage', message: `channels is ${channels}`, hint: 'It is 1, 3 or 4.' })
}

/** A picture that cannot be decoded is a `bad-record`: the others of its folder may be good. */
export const badImage = (file: string, cause: unknown): Error => badElement('decodeImage', { source: file }, cause)

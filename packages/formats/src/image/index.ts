// `@cotangent/formats/image` in a browser, by the browser's own decoders.
import { CotangentError, type Tensor } from 'cotangent'
import { type BytesLike, bytesFrom, readAll } from 'cotangent/data'
import { badImage, checkChannels, type DecodeOptions, type EncodeOptions, fromTensor, toTensor } from './pixels.ts'

export type { BytesLike, ByteSource } from 'cotangent/data'
export type { Channels, DecodeOptions, EncodeOptions } from './pixels.ts'

/**
 * A picture (PNG, JPEG, WebP, GIF and what else the host reads) as a uint8 tensor `[H, W, C]`.
 *
 * @throws CotangentError `bad-record` where it cannot be decoded, `io-failure` where the file cannot be read.
 */
export async function decodeImage(
  source: BytesLike,
  { channels = 3, orient = false, maxPixels = 2 ** 28 }: DecodeOptions = {},
): Promise<Tensor> {
  checkChannels(channels)
  const bytes = bytesFrom(source)
  const blob = source instanceof Blob ? source : new Blob([(await readAll(bytes)) as Uint8Array<ArrayBuffer>])
  let bitmap: ImageBitmap
  try {
    bitmap = await createImageBitmap(blob, {
      imageOrientation: orient ? 'from-image' : ('none' as ImageOrientation),
      premultiplyAlpha: 'none',
      colorSpaceConversion: 'none',
    })
  } catch (cause) {
    throw badImage(bytes.name, cause)
  }
  const { width, height } = bitmap
  try {
    if (width * height > maxPixels) throw badImage(bytes.name, `it has ${width * height} pixels, more than the ${maxPixels} of maxPixels`)
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!
    context.drawImage(bitmap, 0, 0)
    return toTensor({ width, height, data: context.getImageData(0, 0, width, height).data, stride: 4 }, channels)
  } finally {
    bitmap.close()
  }
}

/** A uint8 tensor `[H, W]` or `[H, W, C]` as a picture file. */
export async function encodeImage(image: Tensor, { format = 'png', quality = 90 }: EncodeOptions = {}): Promise<Uint8Array> {
  const { width, height, channels, data } = fromTensor(image)
  const rgba = new Uint8ClampedArray(width * height * 4)
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = data[i * channels + (channels === 1 ? 0 : c)]!
    rgba[4 * i + 3] = channels === 4 ? data[4 * i + 3]! : 255
  }
  const canvas = new OffscreenCanvas(width, height)
  canvas.getContext('2d')!.putImageData(new ImageData(rgba, width, height), 0, 0)
  const blob = await canvas.convertToBlob({ type: `image/${format}`, quality: quality / 100 })
  if (blob.type !== `image/${format}`) {
    throw new CotangentError('unsupported', { op: 'encodeImage', message: `this browser cannot write ${format}`, hint: 'All write png.' })
  }
  return new Uint8Array(await blob.arrayBuffer())
}

import { readFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import { CotangentError, type Tensor } from 'cotangent'
import { bytesFrom, readAll } from 'cotangent/data'
import { type PathOrBytes, sourceOf } from '../path-bytes.node.ts'
import { jpegSize } from './jpeg-size.ts'
import { badImage, type Channels, checkChannels, type DecodeOptions, type EncodeOptions, fromTensor, toTensor } from './pixels.ts'

/**
 * A picture (PNG, JPEG, WebP, GIF, AVIF, TIFF, SVG) as a uint8 tensor `[H, W, C]`, by sharp (`npm install sharp`).
 *
 * @throws CotangentError `bad-record` where it cannot be decoded, `io-failure` where the file cannot be read, `unsupported` without sharp.
 */
export async function decodeImage(
  source: PathOrBytes,
  { channels = 3, orient = false, fast = false, maxPixels = 2 ** 28 }: DecodeOptions = {},
): Promise<Tensor> {
  checkChannels(channels)
  const bytes = bytesFrom(sourceOf(source))
  const file = (fast ? readAtOnce(source) : undefined) ?? (await readAll(bytes))
  const size = fast && !orient ? jpegSize(file) : undefined
  const quick = size && size.width * size.height <= maxPixels ? decodeFast(await loadTurbo(), file, size, channels) : undefined
  if (quick) return quick
  const sharp = await loadSharp()
  try {
    let image = sharp(file, { failOn: 'error', limitInputPixels: maxPixels })
    if (orient) image = image.autoOrient()
    image = image.toColourspace('srgb')
    const { data, info } = await (channels === 4 ? image.ensureAlpha() : image.removeAlpha())
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    return toTensor({ width: info.width, height: info.height, data, stride: info.channels as 3 | 4 }, channels)
  } catch (cause) {
    throw badImage(bytes.name, cause)
  }
}

/**
 * A file read by a worker, which may wait for the disk as it does for the decoder: going through the thread pool takes ten times as much
 * time of the processor. Undefined in the main thread, and for what cannot be read so: `readAll` reads it, or says what is wrong.
 */
function readAtOnce(source: PathOrBytes): Uint8Array | undefined {
  if (isMainThread || !(typeof source === 'string' || source instanceof URL)) return undefined
  try {
    return readFileSync(source)
  } catch {
    return undefined
  }
}

type Size = NonNullable<ReturnType<typeof jpegSize>>

/** Pixels on their way from the decoder into a tensor, the same memory for all pictures: garbage of their size would be dear. */
let pixels = Buffer.alloc(0)

/** Undefined for what it cannot decode: sharp reads more kinds, or says what is wrong. */
function decodeFast(turbo: Turbo, file: Uint8Array, size: Size, channels: Channels): Tensor | undefined {
  try {
    const alpha = channels === 4
    const stride = alpha ? 4 : 3
    const bytes = size.width * size.height * stride
    if (pixels.length < bytes) pixels = Buffer.allocUnsafeSlow(bytes)
    const { width, height } = turbo.decompressSync(Buffer.from(file.buffer, file.byteOffset, file.length), pixels, {
      format: alpha ? turbo.FORMAT_RGBA : turbo.FORMAT_RGB,
    })
    return toTensor({ width, height, data: pixels.subarray(0, bytes), stride }, channels)
  } catch {
    return undefined
  }
}

/** A uint8 tensor `[H, W]` or `[H, W, C]` as a picture file, by sharp. */
export async function encodeImage(image: Tensor, { format = 'png', quality = 90 }: EncodeOptions = {}): Promise<Uint8Array> {
  const { width, height, channels, data } = fromTensor(image)
  const picture = (await loadSharp())(data, { raw: { width, height, channels } })
  const encoded = format === 'png' ? picture.png() : format === 'jpeg' ? picture.jpeg({ quality }) : picture.webp({ quality })
  return new Uint8Array(await encoded.toBuffer())
}

type Turbo = typeof import('@julusian/jpeg-turbo')

let turbo: Turbo | undefined

async function loadTurbo(): Promise<Turbo> {
  // Asking the host again for each picture takes a good part of the time to decode one.
  if (turbo) return turbo
  try {
    const module: Turbo & { default?: Turbo } = await import('@julusian/jpeg-turbo')
    return (turbo = module.default ?? module)
  } catch (cause) {
    throw new CotangentError('unsupported', {
      message: 'JPEG is decoded fast by the package @julusian/jpeg-turbo, which cannot be loaded',
      hint: 'npm install @julusian/jpeg-turbo (version 2 for Node 20), or leave `fast` out.',
      cause,
    })
  }
}

async function loadSharp(): Promise<typeof import('sharp').default> {
  try {
    return (await import('sharp')).default
  } catch (cause) {
    throw new CotangentError('unsupported', {
      message: 'pictures are read and written by the package sharp, which cannot be loaded',
      hint: 'npm install sharp',
      cause,
    })
  }
}

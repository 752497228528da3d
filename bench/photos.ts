import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const photoCount = 256
/** JPEG pictures of 500 x 375 pixels, as photographs of ImageNet are; `makePhotos` puts them there. */
export const photoFolder = join(tmpdir(), 'cotangent-bench-photos-1')

/** Noise of several scales, as photographs have it, in some 40 KiB a file; the same files everywhere. */
export async function makePhotos(): Promise<void> {
  if (existsSync(photoFolder)) return
  const { default: sharp } = await import('sharp')
  const unfinished = `${photoFolder}-${process.pid}`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished)
  const [width, height] = [500, 375]
  let state = 1
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24
  for (let i = 0; i < photoCount; i++) {
    const sum = new Float32Array(width * height * 3)
    let strength = 0.7
    for (const columns of [3, 8, 24, 80, 240]) {
      const rows = Math.ceil(columns * 0.75)
      const noise = Buffer.from(Uint8Array.from({ length: columns * rows * 3 }, random))
      const raw = { width: columns, height: rows, channels: 3 } as const
      const scale = await sharp(noise, { raw }).resize(width, height, { fit: 'fill', kernel: 'cubic' }).raw().toBuffer()
      for (let j = 0; j < sum.length; j++) sum[j]! += (scale[j]! - 127.5) * strength
      strength *= 0.55
    }
    const pixels = Buffer.from(Uint8ClampedArray.from(sum, (value) => 127.5 + value))
    const picture = sharp(pixels, { raw: { width, height, channels: 3 } }).jpeg({ quality: 90 })
    await picture.toFile(join(unfinished, `${String(i).padStart(4, '0')}.jpg`))
  }
  await rename(unfinished, photoFolder)
}

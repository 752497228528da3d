import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadMnist } from '../packages/core/src/data/sets/mnist.node.ts'
import { digitFromPixels, readDigit } from './digit-image.ts'

type Draw = (ink: number) => [r: number, g: number, b: number, a: number]
const styles: Record<string, Draw> = {
  'white on black': (ink) => [ink, ink, ink, 255],
  'black on white': (ink) => [255 - ink, 255 - ink, 255 - ink, 255],
  'pencil on grey paper': (ink) => [190 - ink / 4, 190 - ink / 4, 180 - ink / 4, 255],
  'blue on transparent': (ink) => [0, 0, 200, ink],
}

/** A digit enlarged, in a wider picture with a margin on every side. */
function enlarge(digit: Uint8Array, scale: number, margin: number, draw: Draw) {
  const width = 28 * scale + 3 * margin
  const height = 28 * scale + 2 * margin
  const rgba = new Uint8Array(4 * width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [u, v] = [Math.floor((x - margin) / scale), Math.floor((y - margin) / scale)]
      const ink = u >= 0 && u < 28 && v >= 0 && v < 28 ? digit[v * 28 + u]! : 0
      rgba.set(draw(ink), 4 * (y * width + x))
    }
  }
  return { rgba, width, height }
}

/** Cosine of the angle between two pictures: 1 where they are the same up to brightness. */
function similarity(a: Uint8Array, b: Uint8Array): number {
  const dot = (p: Uint8Array, q: Uint8Array): number => p.reduce((sum, value, i) => sum + value * q[i]!, 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

let digits: Uint8Array[]
let directory: string
beforeAll(async () => {
  const { test } = await loadMnist()
  digits = Array.from({ length: 100 }, (_, i) => test.images.subarray(i * 784, (i + 1) * 784))
  directory = await mkdtemp(join(tmpdir(), 'digit-'))
})
afterAll(() => rm(directory, { recursive: true }))

describe.each(Object.entries(styles))('%s', (_, draw) => {
  it('is recognisable at every size', () => {
    for (const scale of [1, 2, 5, 11]) {
      const similarities = digits.slice(0, 20).map((digit) => {
        const { rgba, width, height } = enlarge(digit, scale, 7 * scale, draw)
        return similarity(digitFromPixels(rgba, width, height), digit)
      })
      expect(similarities.reduce((a, b) => a + b) / similarities.length).toBeGreaterThan(0.9)
    }
  })

  it('is read from a file', async () => {
    const { rgba, width, height } = enlarge(digits[0]!, 3, 20, draw)
    const png = new PNG({ width, height })
    png.data.set(rgba)
    const path = join(directory, 'digit.png')
    await writeFile(path, PNG.sync.write(png))
    expect(await readDigit(path)).toEqual(digitFromPixels(rgba, width, height))
  })
})

it('leaves a picture of MNIST as it is', () => {
  for (const digit of digits) {
    const { rgba } = enlarge(digit, 1, 0, styles['white on black']!)
    const read = digitFromPixels(rgba, 28, 28)
    expect(Math.max(...digit.map((value, i) => Math.abs(value - read[i]!)))).toBeLessThanOrEqual(1)
  }
})

it('gives an empty picture for one without ink, and takes single pixels and lines', () => {
  expect(digitFromPixels(new Uint8Array(4 * 50 * 40).fill(255), 50, 40)).toEqual(new Uint8Array(784))
  const line = enlarge(
    Uint8Array.from({ length: 784 }, (_, i) => (i % 28 === 3 ? 255 : 0)),
    2,
    10,
    styles['black on white']!,
  )
  const drawn = digitFromPixels(line.rgba, line.width, line.height)
  expect(drawn.reduce((sum, value) => sum + Number(value > 128), 0)).toBe(20)
})

it.each([
  ['text', new TextEncoder().encode('this is no picture at all')],
  ['nothing', new Uint8Array(0)],
])('refuses a file of %s', async (_, bytes) => {
  const path = join(directory, 'broken.png')
  await writeFile(path, bytes)
  await expect(readDigit(path)).rejects.toMatchObject({ code: 'invalid-argument', message: expect.stringContaining('broken.png as a PNG') })
  await expect(readDigit(join(directory, 'absent.png'))).rejects.toMatchObject({ code: 'invalid-argument' })
})

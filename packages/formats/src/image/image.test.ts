import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CotangentError, tensor } from 'cotangent'
import { Dataset } from 'cotangent/data'
import { afterAll, describe, expect, test } from 'vitest'
import { encodePng } from '../tensorboard/png.ts'
import { decodeImage, encodeImage, ImageFolder } from './index.node.ts'
import { jpegSize } from './jpeg-size.ts'

const folder = mkdtempSync(join(tmpdir(), 'cotangent-image-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

// sharp is an optional peer; .ci/run installs it apart and names the folder.
const installed = process.env.COTANGENT_PEERS !== undefined
if (!installed) console.warn('tests of pictures are skipped: COTANGENT_PEERS names no folder with sharp')

const rgb = Uint8Array.from({ length: 2 * 3 * 3 }, (_, i) => (i * 53) % 256)
const image = () => tensor(rgb, { dtype: 'uint8', shape: [2, 3, 3] })
const png = encodePng({ width: 3, height: 2, channels: 3, data: rgb })

test.skipIf(installed)('without sharp, the error says what to install', async () => {
  await expect(decodeImage(png)).rejects.toMatchObject({ code: 'unsupported', hint: 'npm install sharp' })
})

describe.skipIf(!installed)('pictures', () => {
  test('decoded to [H, W, C]', async () => {
    const decoded = await decodeImage(png)
    expect([decoded.dtype, decoded.shape]).toEqual(['uint8', [2, 3, 3]])
    expect([...decoded.dataSync()]).toEqual([...rgb])
    const alpha = await decodeImage(png, { channels: 4 })
    expect([...alpha.dataSync()].filter((_, i) => i % 4 === 3)).toEqual(new Array(6).fill(255))
    const grey = await decodeImage(png, { channels: 1 })
    expect([...grey.dataSync()]).toEqual(
      Array.from({ length: 6 }, (_, i) => Math.round(0.299 * rgb[3 * i]! + 0.587 * rgb[3 * i + 1]! + 0.114 * rgb[3 * i + 2]!)),
    )
  })

  test.each([1, 2, 3, 4] as const)('our own PNG files of %i channels', async (channels) => {
    const data = Uint8Array.from({ length: 5 * 4 * channels }, (_, i) => (i * 91) % 256)
    const decoded = await decodeImage(encodePng({ width: 5, height: 4, channels, data }), {
      channels: channels === 1 ? 1 : channels === 3 ? 3 : 4,
    })
    const expected =
      channels === 2 ? Array.from({ length: 20 }, (_, i) => [data[2 * i]!, data[2 * i]!, data[2 * i]!, data[2 * i + 1]!]).flat() : [...data]
    expect([...decoded.dataSync()]).toEqual(expected)
  })

  test('encoded', async () => {
    for (const format of ['png', 'jpeg', 'webp'] as const) {
      const back = await decodeImage(await encodeImage(image(), { format, quality: 100 }))
      expect(back.shape).toEqual([2, 3, 3])
    }
    const grey = tensor(rgb.subarray(0, 6), { dtype: 'uint8', shape: [2, 3] })
    expect([...(await decodeImage(await encodeImage(grey), { channels: 1 })).dataSync()]).toEqual([...rgb.subarray(0, 6)])
    await expect(encodeImage(tensor([0.5]))).rejects.toMatchObject({ code: 'dtype-mismatch' })
    await expect(encodeImage(image().reshape([18]))).rejects.toMatchObject({ code: 'shape-mismatch' })
  })

  test('JPEG, fast', async () => {
    const data = Uint8Array.from({ length: 40 * 60 * 3 }, (_, i) => 128 + 60 * Math.sin(i / 200) + 40 * Math.cos((i % 180) / 20))
    const file = await encodeImage(tensor(data, { dtype: 'uint8', shape: [40, 60, 3] }), { format: 'jpeg' })
    expect(jpegSize(file)).toEqual({ width: 60, height: 40 })
    for (const channels of [1, 3, 4] as const) {
      const [exact, fast] = [await decodeImage(file, { channels }), await decodeImage(file, { channels, fast: true })]
      expect(fast.shape).toEqual([40, 60, channels])
      const differences = exact.cast('int32').sub(fast.cast('int32')).abs()
      expect(differences.max().item()).toBeLessThan(8)
      expect(differences.cast('float32').mean().item()).toBeLessThan(2)
    }
    await expect(decodeImage(file, { fast: true, maxPixels: 100 })).rejects.toMatchObject({ code: 'bad-record' })
    await expect(decodeImage(file.subarray(0, 200), { fast: true })).rejects.toMatchObject({ code: 'bad-record' })
    expect([...(await decodeImage(png, { fast: true })).dataSync()]).toEqual([...rgb])
    for (let end = 0; end < 40; end++) expect(jpegSize(file.subarray(0, end))).toBeUndefined()
  })

  test('damaged ones, large ones, absent ones', async () => {
    const path = join(folder, 'cut.png')
    const large = encodePng({ width: 200, height: 200, channels: 3, data: new Uint8Array(120_000) })
    writeFileSync(path, large.subarray(0, large.length / 2))
    await expect(decodeImage(path)).rejects.toMatchObject({ code: 'bad-record', message: expect.stringContaining(path) })
    await expect(decodeImage(new TextEncoder().encode('hello'))).rejects.toMatchObject({ code: 'bad-record' })
    await expect(decodeImage(large, { maxPixels: 100 })).rejects.toMatchObject({ code: 'bad-record' })
    await expect(decodeImage(join(folder, 'absent.png'))).rejects.toMatchObject({ code: 'io-failure' })
  })

  test('folders of classes', async () => {
    const root = join(folder, 'train')
    for (const [name, count] of [
      ['dog', 2],
      ['cat', 3],
    ] as const) {
      mkdirSync(join(root, name, 'more'), { recursive: true })
      for (let i = 0; i < count; i++) writeFileSync(join(root, name, i === 0 ? 'more' : '', `${i}.PNG`), png)
      writeFileSync(join(root, name, 'notes.txt'), 'no picture')
    }
    const images = await ImageFolder.open(root)
    expect(images.classes).toEqual(['cat', 'dog'])
    expect(images.files.map(({ label }) => label)).toEqual([0, 0, 0, 1, 1])
    const seen = []
    for await (const { image, label } of Dataset.fromIndexed(images).shuffle({ seed: 1 }).batch(2)) seen.push([image.shape, label])
    expect(seen.map(([shape]) => shape)).toEqual([
      [2, 2, 3, 3],
      [2, 2, 3, 3],
      [1, 2, 3, 3],
    ])
    expect((await ImageFolder.open(root, { classes: ['dog', 'cat'] })).files[0]).toMatchObject({
      label: 0,
      path: expect.stringContaining('dog'),
    })
    await expect(ImageFolder.open(join(root, 'dog', 'more'))).rejects.toThrow('has no folders')
    await expect(ImageFolder.open(root, { extensions: ['.bmp'] })).rejects.toThrow('class cat has no pictures')
    await expect(ImageFolder.open(join(folder, 'absent'))).rejects.toBeInstanceOf(CotangentError)
  })
})

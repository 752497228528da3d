import { mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises'
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

test('what is damaged is named, with what to do', async () => {
  const path = join(folder, 'damaged')
  const dataset = make(new FileStore(path))
  await elementsOf(dataset)
  const [name] = (await readdir(path)).filter((file) => file.startsWith('elements'))
  const file = join(path, name!)
  const bytes = await readFile(file)
  bytes[bytes.length - 3]! ^= 0xff
  await writeFile(file, bytes)
  await expect(elementsOf(dataset)).rejects.toMatchObject({
    code: 'corrupt-file',
    message: expect.stringMatching(/^cache: element 4 of .*damaged.* is not what was stored\. Delete what is stored/),
  })
  await writeFile(join(path, 'index'), 'no index')
  await expect(elementsOf(dataset)).rejects.toThrow(/FileStore: .*index is not what was written.*Delete .*damaged/)
})

test('elements that somebody removed are made again', async () => {
  const path = join(folder, 'removed')
  const dataset = make(new FileStore(path))
  const expected = await elementsOf(dataset)
  const [name] = (await readdir(path)).filter((file) => file.startsWith('elements'))
  await rm(join(path, name!))
  expect(await elementsOf(dataset)).toEqual(expected)
})

test('a folder keeps no elements that nobody can read any more', async () => {
  const path = join(folder, 'versions')
  await elementsOf(make(new FileStore(path, { version: 1 })))
  const [old, young] = [join(path, 'elements-old.tmp'), join(path, 'elements-young.tmp')]
  await writeFile(old, 'left by a program that was killed')
  await writeFile(young, 'somebody is writing')
  const twoDaysAgo = new Date(Date.now() - 48 * 3600 * 1000)
  await utimes(old, twoDaysAgo, twoDaysAgo)
  await elementsOf(make(new FileStore(path, { version: 2 })))
  const left = await readdir(path)
  expect(left).toHaveLength(3)
  expect(left).toContain('elements-young.tmp')
})

test('a snapshot is read in a new order each pass, and goes on in the middle of one', async () => {
  const path = join(folder, 'snapshot')
  const snapshot = () =>
    Dataset.from(() => Array.from({ length: 20 }, (_, i) => i).values()).snapshot(new FileStore(path), { shuffle: true, seed: 1 })
  const dataset = snapshot()
  const sorted = Array.from({ length: 20 }, (_, i) => i)
  expect(await elementsOf(dataset)).toEqual(sorted)
  const [second, third] = [(await elementsOf(dataset)) as number[], (await elementsOf(dataset)) as number[]]
  expect(second).not.toEqual(sorted)
  expect(third).not.toEqual(second)
  expect(second.toSorted((a, b) => a - b)).toEqual(sorted)
  await expectResumes(snapshot, { every: 3 })

  const left = snapshot()
  for await (const _ of left) break
  await rm(path, { recursive: true })
  const resumed = snapshot()
  resumed.loadStateDict(left.stateDict())
  await expect(elementsOf(resumed)).rejects.toThrow(/no longer stored.*Begin the epoch anew/)
})

test('a snapshot that is being made goes on in its order, though it was finished meanwhile', async () => {
  const path = join(folder, 'meanwhile')
  const snapshot = () => Dataset.range(10).snapshot(new FileStore(path), { shuffle: true, seed: 1 })
  const left = snapshot()
  for await (const value of left) if (value === 3) break
  await elementsOf(snapshot())
  const resumed = snapshot()
  resumed.loadStateDict(left.stateDict())
  expect(await elementsOf(resumed)).toEqual([4, 5, 6, 7, 8, 9])
})

import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { encodeRecord } from '../tfrecord/framing.ts'
import { EventFileReader, EventFileWriter, findRuns, readEvents, type TensorBoardEvent } from './index.node.ts'

const folder = mkdtempSync(join(tmpdir(), 'cotangent-events-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let runs = 0
const newRun = () => join(folder, `run ${runs++}`)

async function all(events: AsyncIterable<TensorBoardEvent>): Promise<TensorBoardEvent[]> {
  const list = []
  for await (const event of events) list.push(event)
  return list
}

test('scalars come back', async () => {
  const writer = new EventFileWriter(newRun())
  writer.scalar('loss', 0.5, 0, { description: 'the **loss**', wallTime: 12.25 })
  writer.scalar('loss', Number.NaN, 1)
  writer.scalar('größe/é', -1e300, 2 ** 40)
  await writer.close()
  const events = await all(readEvents(writer.path))
  expect(events).toMatchObject([
    { kind: 'fileVersion', version: 'brain.Event:2', writer: 'cotangent', step: 0 },
    { kind: 'scalar', tag: 'loss', value: 0.5, step: 0, wallTime: 12.25, description: 'the **loss**' },
    { kind: 'scalar', tag: 'loss', value: Number.NaN, step: 1, description: 'the **loss**' },
    { kind: 'scalar', tag: 'größe/é', value: -Infinity, step: 2 ** 40, description: '' },
  ])
  expect(Math.abs(events[0]!.wallTime - Date.now() / 1000)).toBeLessThan(60)
  expect(await findRuns(folder)).toContainEqual({ name: 'run 0', files: [writer.path] })
})

test('a file is followed as it grows, in whole records', async () => {
  const writer = new EventFileWriter(newRun(), { maxQueue: 3 })
  const reader = new EventFileReader(writer.path)
  expect(await all(reader.read())).toMatchObject([{ kind: 'fileVersion' }])
  writer.scalar('a', 1, 0)
  writer.scalar('a', 2, 1)
  expect(await all(reader.read())).toEqual([])
  writer.scalar('a', 3, 2)
  expect(await all(reader.read())).toMatchObject([{ value: 1 }, { value: 2 }, { value: 3 }])
  await writer.close()
  const record = encodeRecord(readFileSync(writer.path).subarray(12, 20))
  appendFileSync(writer.path, record.subarray(0, 9))
  expect(await all(reader.read())).toEqual([])
  truncateSync(writer.path, reader.offset)
  const again = new EventFileReader(writer.path, { offset: reader.offset })
  expect(await all(again.read())).toEqual([])
})

test('a bad checksum names the file and the byte, and is tried again', async () => {
  const writer = new EventFileWriter(newRun())
  for (let i = 0; i < 5; i++) writer.scalar('a', i, i)
  await writer.close()
  const good = readFileSync(writer.path)
  const bad = Uint8Array.from(good)
  const at = good.length - 10
  bad[at]! ^= 1
  writeFileSync(writer.path, bad)
  const reader = new EventFileReader(writer.path)
  const seen: TensorBoardEvent[] = []
  const read = async () => {
    for await (const event of reader.read()) seen.push(event)
  }
  const error: unknown = await read().catch((e: unknown) => e)
  expect(error).toMatchObject({ code: 'corrupt-file', message: expect.stringContaining(`${writer.path}, byte ${reader.offset}: `) })
  expect(seen).toHaveLength(5)
  writeFileSync(writer.path, good)
  await read()
  expect(seen).toHaveLength(6)

  writeFileSync(writer.path, bad)
  const skipping = new EventFileReader(writer.path, { skipCorrupt: true })
  expect(await all(skipping.read())).toHaveLength(5)
  expect(skipping.skipped).toBe(1)
})

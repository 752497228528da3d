import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zeros } from 'cotangent'
import type { SummaryWriter } from 'cotangent/train'
import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from 'vitest'
import { bundle } from '../../../core/test/bundle.ts'
import { all } from '../../test/all.ts'
import { encodeRecord } from '../tfrecord/framing.ts'
import { EventDecoder } from './event-decoder.ts'
import { floatTensor } from './event-tensor.ts'
import { decodeEvents, EventFileReader, EventFileWriter, EventWriter, findRuns, readEvents, type TensorBoardEvent } from './index.node.ts'
import { EventProto } from './schema.ts'
import { histogramSummary } from './summary.ts'

const folder = mkdtempSync(join(tmpdir(), 'cotangent-events-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let runs = 0
const newRun = () => join(folder, `run ${runs++}`)

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

describe('however the process ends', () => {
  let program: string
  beforeAll(async () => {
    program = join(folder, 'writes-events.mjs')
    writeFileSync(program, (await bundle(new URL('../../test/fixtures/writes-events.ts', import.meta.url))).code)
  })
  const run = (how: string, count: number, shell = '"$@"') => {
    const at = newRun()
    const { stdout } = spawnSync('bash', ['-c', shell, 'bash', process.execPath, program, at, how, String(count)], { encoding: 'utf8' })
    return { stdout, path: join(at, readdirSync(at)[0]!) }
  }

  test.each([
    ['exit', 25, 25],
    ['throw', 25, 25],
    // What waited in the queue is lost, and nothing else.
    ['kill', 25, 20],
  ])('%s', async (how, count, kept) => {
    const events = await all(readEvents(run(how, count).path))
    expect(events.slice(1).map(({ step }) => step)).toEqual(Array.from({ length: kept }, (_, i) => i))
  })

  test.runIf(process.platform === 'linux')('a file that may not grow: whole records, and an error that says so', async () => {
    const { stdout, path } = run('exit', 2000, 'ulimit -f 8; "$@"')
    expect(stdout).toMatch(/^io-failure: .*EFBIG/)
    const reader = new EventFileReader(path)
    const events = await all(reader.read())
    expect(events.length).toBeGreaterThan(20)
    expect(reader.offset).toBe(statSync(path).size)
  })
})

test('when a sink fails, events are kept for the next time', async () => {
  const pieces: Uint8Array[] = []
  let full = false
  const writer = new EventWriter(
    {
      append(bytes) {
        if (full) throw new Error('full')
        pieces.push(bytes)
      },
      flush: async () => {},
      close: async () => {},
    },
    { maxQueue: 1 },
  )
  full = true
  expect(() => writer.scalar('a', 1, 0)).toThrow('full')
  expect(() => writer.scalar('a', 2, 1)).toThrow('full')
  full = false
  writer.scalar('a', 3, 2)
  await writer.close()
  const events = await all(decodeEvents(Buffer.concat(pieces)))
  expect(events.slice(1).map(({ step }) => step)).toEqual([0, 1, 2])
  expect(() => writer.scalar('a', 4, 3)).toThrow('closed')
})

test('bad input is named', () => {
  const writer = new EventFileWriter(newRun())
  const bad: [() => void, string][] = [
    [() => writer.scalar('', 1, 0), 'the tag is empty'],
    [() => writer.scalar('a', 1, 0.5), 'step 0.5 of a'],
    [() => writer.histogram('a', [1], 0, { bins: 0 }), 'bins is 0'],
    [() => writer.histogram('a', [1], 0, { bins: [2, 1] }), 'do not grow'],
    [() => writer.image('a', zeros([5, 4, 5]), 0), '1 to 4 channels'],
    [() => writer.image('a', zeros([5, 4, 3]), 0), "{ layout: 'HWC' }"],
    [() => writer.image('a', zeros([3, 4, 4], { dtype: 'int32' }), 0), 'pixels are uint8, bool or floats'],
    [() => writer.audio('a', zeros([2, 2, 2]), 0, { sampleRate: 8000 }), '[channels, frames]'],
    [() => writer.audio('a', [0], 0, { sampleRate: 0 }), 'sampleRate is 0'],
    [() => writer.text('a', [['b'], []], 0), 'differ in length'],
    [() => writer.prCurve('a', [1], [0.5, 0.5], 0), '1 labels, 2 predictions'],
    [() => writer.prCurve('a', [1], [Number.NaN], 0), 'prediction 0 is NaN'],
    [() => writer.hparams({ layers: [1] as never }), 'layers is a object'],
    [() => writer.embedding('a', zeros([3]), 0), '[points, dimensions]'],
    [() => writer.embedding('a', zeros([3, 2]), 0, { labels: ['b'] }), 'there are 3 points, but 1 labels'],
    [() => writer.graph((() => 0) as never), 'no program yet'],
    [() => new EventFileWriter(newRun(), { maxQueue: 0 }), 'maxQueue is 0'],
  ]
  for (const [call, message] of bad) expect(call).toThrow(message)
  expect(() => new EventFileWriter('/dev/null/run')).toThrow(expect.objectContaining({ code: 'io-failure' }))
})

test('it is a SummaryWriter', () => {
  expectTypeOf<EventFileWriter>().toExtend<SummaryWriter>()
})

test('damage gives events or an error of ours', () => {
  const event = EventProto.encode({
    wallTime: 1,
    step: 2,
    summary: {
      value: [
        { tag: 'a', tensor: floatTensor(new Float32Array(6), [2, 3]), metadata: { pluginData: { pluginName: 'histograms' } } },
        { tag: 'b', ...histogramSummary([1, 2], 'exponential') },
      ],
    },
  })
  let seed = 3
  const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n
  for (let round = 0; round < 3000; round++) {
    const bytes = Uint8Array.from(event)
    for (let i = 0; i <= random(5); i++) bytes[random(bytes.length)] = random(256)
    try {
      new EventDecoder().decode(bytes.subarray(0, random(3) ? bytes.length : random(bytes.length)))
    } catch (error) {
      expect(error).toMatchObject({ code: 'corrupt-file' })
    }
  }
  // One value stands for all of a shape: not for this many.
  const huge = EventProto.encode({ summary: { value: [{ tag: 'a', tensor: floatTensor(Float32Array.of(1), [2 ** 20, 2 ** 20]) }] } })
  expect(() => new EventDecoder().decode(huge)).toThrow('for which the file has no values')
})

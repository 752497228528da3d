import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { interopProgram } from '../../test/interop.ts'
import { BlockLog } from './block-log.node.ts'
import { summaryWriter, WandbTracker } from './index.node.ts'
import { WandbRecord } from './wandb-schema.ts'

const folder = mkdtempSync(join(tmpdir(), 'cotangent-wandb-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The records of a log that begins at byte `at` of the file. */
function recordsOf(file: Uint8Array, at: number): Buffer[] {
  const bytes = Buffer.from(file)
  const records: Buffer[] = []
  let parts: Buffer[] = []
  let begun = false
  while (at < bytes.length) {
    const room = 32768 - (at % 32768)
    if (room < 7) {
      expect(bytes.subarray(at, at + room).every((byte) => byte === 0)).toBe(true)
      at += room
      continue
    }
    const [sum, length, type] = [bytes.readUInt32LE(at), bytes.readUInt16LE(at + 4), bytes[at + 6]!]
    expect(length).toBeLessThanOrEqual(room - 7)
    const data = bytes.subarray(at + 7, at + 7 + length)
    expect(crc32(bytes.subarray(at + 6, at + 7 + length))).toBe(sum)
    // Full and first ones begin a record, others go on with it.
    expect(begun).toBe(type > 2)
    begun = type === 2 || type === 3
    parts.push(data)
    if (type === 1 || type === 4) {
      records.push(Buffer.concat(parts))
      parts = []
    }
    at += 7 + length
  }
  expect(parts).toEqual([])
  return records
}

const read = (tracker: WandbTracker) =>
  recordsOf(readFileSync(join(tracker.folder, `run-${tracker.id}.wandb`)), 7).map((record) => WandbRecord.decode(record))
const valuesOf = (items: readonly { nestedKey: string[]; valueJson: string | undefined }[]) =>
  Object.fromEntries(items.map(({ nestedKey, valueJson }) => [nestedKey.join(), valueJson]))
const rowsOf = (tracker: WandbTracker) => read(tracker).flatMap(({ history }) => (history ? [valuesOf(history.item)] : []))

test('records of any length, across blocks', () => {
  const lengths = fc.array(fc.oneof(fc.nat(100), fc.integer({ min: 32_700, max: 32_800 }), fc.nat(100_000)), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(lengths, (sizes) => {
      const records = sizes.map((size, i) => Buffer.alloc(size, i + 1))
      const log = new BlockLog(7)
      const file = Buffer.concat([Buffer.alloc(7), ...records.map((record) => log.encode(record))])
      expect(recordsOf(file, 7).map((record) => [record.length, record[0]])).toEqual(records.map((r) => [r.length, r[0]]))
    }),
    { numRuns: 50, examples: [[[32_745, 32_756, 1]], [[32_747, 0, 5]]] },
  )
})

test('a run, its rows and its end', async () => {
  const tracker = await WandbTracker.start(folder, {
    name: 'first',
    project: 'digits',
    params: { lr: 0.1, deep: true },
    tags: { team: 'a', best: '' },
  })
  expect(readFileSync(join(tracker.folder, `run-${tracker.id}.wandb`)).subarray(0, 7)).toEqual(Buffer.from(':W&B\xe1\xbe\0', 'latin1'))
  tracker.params({ text: 'x'.repeat(70_000), lr: 0.1 })
  expect(() => tracker.params({ lr: 0.2 })).toThrow('lr is 0.1 already, not 0.2')
  tracker.metrics({ loss: 1.5 }, 0)
  tracker.metrics({ 'val/accuracy': Number.NaN }, 0)
  tracker.metrics({ loss: -Infinity }, 10)
  tracker.metrics({ loss: 2 }, 3)
  tracker.tags({ team: 'b' })
  await tracker.artifact('notes/a.md', '# größe')
  await expect(tracker.artifact('../../run.json', '')).rejects.toThrow('outside of the run')
  await tracker.flush()
  tracker.metrics({ late: 1 }, 10)
  await tracker.finish('failed')
  await tracker.finish()
  expect(() => tracker.metrics({ a: 1 }, 20)).toThrow('is over')

  const records = read(tracker)
  expect(records.map(({ num }) => num)).toEqual(records.map((_, i) => i + 1))
  const runs = records.flatMap(({ run }) => (run ? [run] : []))
  expect(runs[0]).toMatchObject({ runId: tracker.id, project: 'digits', displayName: 'first', tags: ['team:a', 'best'] })
  expect(valuesOf(runs[0]!.config!.update)).toEqual({ lr: '0.1', deep: 'true' })
  expect(runs[1]!.tags).toEqual(['team:b', 'best'])
  expect(records.flatMap(({ config }) => (config ? [valuesOf(config.update).text?.length] : []))).toEqual([70_002])
  expect(rowsOf(tracker)).toMatchObject([
    { loss: '1.5', 'val/accuracy': 'NaN', _step: '0' },
    { loss: '2', _step: '10' },
    { late: '1', _step: '11' },
  ])
  expect(records.at(-1)!.exit).toMatchObject({ exitCode: 1 })
  expect(readFileSync(join(tracker.folder, 'files/notes/a.md'), 'utf8')).toBe('# größe')
  expect(readdirSync(folder)).toContain(tracker.folder.split('/').at(-1))
})

test('as the place of summaries, the scalars of a step are one row', async () => {
  const tracker = await WandbTracker.start(folder)
  const writer = summaryWriter(tracker)
  writer.scalar('loss', 2, 1)
  writer.scalar('accuracy', 0.5, 1)
  writer.scalar('loss', 1, 2)
  await writer.close()
  expect(rowsOf(tracker)).toMatchObject([
    { loss: '2', accuracy: '0.5' },
    { loss: '1', _step: '2' },
  ])
})

// The real `wandb sync`, with a server that takes what it sends: COTANGENT_WANDB names the program (0.31 was tried).
const wandb = interopProgram('COTANGENT_WANDB', 'Weights & Biases')

test.runIf(wandb)('wandb sync sends settings, rows and files', { timeout: 60_000 }, async () => {
  const sent = { config: '', history: [] as string[], files: new Map<string, string>() }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      let data: unknown
      if (request.url === '/graphql') {
        const { variables = {} } = JSON.parse(body) as { variables?: { config?: string; files?: string[] } }
        if (variables.config) sent.config = variables.config
        const { port } = server.address() as AddressInfo
        const files = (variables.files ?? []).map((name) => ({ name, uploadUrl: `http://127.0.0.1:${port}/upload/${name}` }))
        const project = { id: 'p', name: 'digits', entity: { id: 'e', name: 'me' } }
        data = {
          viewer: { id: 'u', username: 'me', entity: 'me', name: 'me', email: '', flags: '{}', teams: { edges: [] } },
          serverInfo: { cliVersionInfo: {}, latestLocalVersionInfo: null, features: [] },
          upsertBucket: { bucket: { id: 'b', name: 'x', displayName: 'x', sweepName: null, project, historyLineCount: 0 }, inserted: true },
          createRunFiles: { runID: 'b', uploadHeaders: [], files },
        }
      } else if (request.url!.endsWith('/file_stream')) {
        const { files } = JSON.parse(body) as { files?: Record<string, { content: string[] }> }
        sent.history.push(...(files?.['wandb-history.jsonl']?.content ?? []))
      } else if (request.url!.startsWith('/upload/')) {
        sent.files.set(request.url!.slice('/upload/'.length), body)
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ data }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const tracker = await WandbTracker.start(folder, { project: 'digits', entity: 'me', params: { lr: 0.1 } })
    for (let step = 0; step < 3; step++) tracker.metrics({ loss: step === 1 ? Number.NaN : step / 2 }, 10 * step)
    tracker.params({ text: 'x'.repeat(40_000) })
    await tracker.artifact('notes/a.md', '# größe')
    await tracker.finish()
    const { port } = server.address() as AddressInfo
    const env = { ...process.env, WANDB_BASE_URL: `http://127.0.0.1:${port}`, WANDB_API_KEY: 'a'.repeat(40) }
    await promisify(execFile)(wandb!, ['sync', tracker.folder], { env, cwd: folder })
    const config = JSON.parse(sent.config) as Record<string, { value: unknown }>
    expect([config.lr!.value, String(config.text!.value).length]).toEqual([0.1, 40_000])
    const rows = sent.history.map((row) => JSON.parse(row.replace('NaN', 'null')) as { _step: number; loss: number | null })
    expect(rows.map((row) => [row._step, row.loss])).toEqual([
      [0, 0],
      [10, null],
      [20, 1],
    ])
    expect(sent.files.get('notes/a.md')).toBe('# größe')
  } finally {
    server.close()
  }
})

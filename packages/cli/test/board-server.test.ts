import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { EventFileWriter } from '@cotangent/formats/tensorboard'
import { LocalTracker } from '@cotangent/formats/tracking'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HistogramSeries, LiveMessage, MediaList, NoteList, RunList, Table } from '../src/board/protocol.ts'
import { unpackCurves, unpackGroups } from '../src/board/scalar-frame.ts'
import { type Board, startBoard } from '../src/index.ts'
import { writeSampleRuns } from './sample-runs.ts'
import { writeShowcase } from './showcase.ts'

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

const root = realpathSync(mkdtempSync(join(tmpdir(), 'cotangent-board-')))
const runs = join(root, 'runs')
const page = join(root, 'page')
let board: Board

beforeAll(async () => {
  mkdirSync(join(page, 'assets'), { recursive: true })
  writeFileSync(join(page, 'index.html'), '<!doctype html><title>page</title>')
  writeFileSync(join(page, 'assets', 'page.js'), 'export {}')
  writeFileSync(join(root, 'secret.trace.json'), '{"secret":1}')
  await writeShowcase(runs)
  symlinkSync(join(root, 'secret.trace.json'), join(runs, 'link.trace.json'))
  symlinkSync(root, join(runs, 'up'))
  writeFileSync(join(runs, 'packed.trace.json.gz'), gzipSync('{"traceEvents":[]}'))
  board = await startBoard({ folder: runs, port: 0, page, interval: 50, allowHosts: ['board.example'] })
  await board.store.settled()
})
afterAll(async () => {
  await board?.close()
  rmSync(root, { recursive: true })
})

function ask(
  path: string,
  { url = board.url, method = 'GET', headers = {} }: { url?: string; method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { port } = new URL(url)
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, method, headers: { host: `localhost:${port}`, ...headers } }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts) }))
    })
      .on('error', reject)
      .end()
  })
}

async function json<T>(path: string, url = board.url): Promise<T> {
  const { status, body } = await ask(`/api/${path}`, { url })
  expect([status, status === 200 ? '' : body.toString()]).toEqual([200, ''])
  return JSON.parse(body.toString()) as T
}

const list = (url?: string): Promise<RunList> => json<RunList>('runs', url)
const tagId = ({ tags }: RunList, name: string): number => tags.find((tag) => tag.name === name)!.id

describe('what the board tells', () => {
  test('runs with their tags, hyperparameters and state', async () => {
    const { folder, runs: found, tags, traces } = await list()
    expect(folder).toBe(runs)
    expect(found.map(({ name }) => name)).toEqual(['adam-lr1e-3', 'adam-lr3e-4', 'sgd-lr1e-1'])
    expect(new Set(tags.map(({ kind }) => kind))).toEqual(new Set(['scalar', 'histogram', 'image', 'audio', 'text', 'curve', 'profile']))
    expect(found[0]).toMatchObject({ hparams: { optimizer: 'adam', width: 64 }, graph: true, status: 'success', problems: {} })
    expect(tags.find(({ name }) => name === 'train/loss')!.description).toBe('Cross entropy of a batch')
    expect(traces).toEqual(['adam-lr1e-3/traces/step.trace.json', 'packed.trace.json.gz'])
  })

  test('scalars of several runs, smoothed and cut to a window', async () => {
    const runList = await list()
    const tag = tagId(runList, 'train/loss')
    const plain = unpackCurves(new Uint8Array((await ask(`/api/scalars?tag=${tag}&runs=0-9`)).body).buffer)
    expect(plain.map(({ run, total }) => [run, total])).toEqual([
      [0, 60],
      [1, 60],
      [2, 60],
    ])
    expect(Array.from(plain[0]!.x.slice(0, 3))).toEqual([0, 50, 100])
    expect(plain[0]!.smoothed.length).toBe(0)
    const smoothed = unpackCurves(
      new Uint8Array((await ask(`/api/scalars?tag=${tag}&runs=1&weight=0.9&axis=relative&from=10&to=20`)).body).buffer,
    )
    expect(smoothed).toHaveLength(1)
    // Relative to the run's first event: step 50 is 8 seconds after step 0.
    expect([...smoothed[0]!.x].map((x) => Math.round(x))).toEqual([8, 16, 24])
    const groups = unpackGroups(new Uint8Array((await ask(`/api/groups?tag=${tag}&groups=0,2;1&band=deviation&weight=0.5`)).body).buffer)
    expect(groups.map(({ runs, total, x, count }) => [runs, total, x.length, count[0]])).toEqual([
      [2, 120, 60, 2],
      [1, 60, 60, 1],
    ])
    // The first point is as it is, whatever the smoothing.
    expect(groups[0]!.mean[0]).toBeCloseTo((plain[0]!.y[0]! + plain[2]!.y[0]!) / 2, 12)
    expect(groups[0]!.high[0]! - groups[0]!.mean[0]!).toBeCloseTo(Math.abs(plain[0]!.y[0]! - plain[2]!.y[0]!) / Math.SQRT2, 12)
    const csv = (await ask(`/api/csv?tag=${tag}&runs=2`)).body.toString().split('\n')
    expect(csv).toHaveLength(62)
    expect(csv[1]).toMatch(/^sgd-lr1e-1,0,[\d.]+,[\d.]+$/)
    const table = await json<Table>(`table?tags=${tag}`)
    const values = [...plain[0]!.y]
    expect(table.rows[0]!.metrics[tag]).toEqual({ last: values.at(-1), min: Math.min(...values), max: Math.max(...values), step: 2950 })
  })

  test('histograms, images, sounds, texts, curves, graphs, profiles and the machine', async () => {
    const runList = await list()
    const histograms = await json<HistogramSeries>(`histograms?run=0&tag=${tagId(runList, 'fc1/weight')}&buckets=32`)
    expect(histograms.steps).toHaveLength(30)
    expect(histograms.edges).toHaveLength(33)
    for (const row of histograms.counts) expect(row.reduce((a, b) => a + b)).toBeCloseTo(2000, 6)
    const images = await json<MediaList>(`media?kind=image&run=0&tag=${tagId(runList, 'samples/field')}`)
    expect(images.moments.map(({ step, frames }) => [step, frames])).toEqual([0, 500, 1000, 1500, 2000, 2500].map((step) => [step, 1]))
    const image = await ask(`/api/blob?kind=image&run=0&tag=${tagId(runList, 'samples/field')}&step=500&frame=0`)
    expect([image.status, image.headers['content-type'], image.body.subarray(1, 4).toString()]).toEqual([200, 'image/png', 'PNG'])
    const sound = await ask(`/api/blob?kind=audio&run=0&tag=${tagId(runList, 'samples/tone')}&step=0&frame=0`)
    expect(sound.headers['content-type']).toBe('audio/wav')
    const { moments } = await json<NoteList>(`texts?run=0&tag=${tagId(runList, 'notes/table')}`)
    expect(moments[0]!.text).toBe('| layer | shape |\n| --- | --- |\n| fc1 | [64, 2] |\n| fc2 | [1, 64] |')
    expect(await json(`curves?runs=0-2&tag=${tagId(runList, 'val/pr')}`)).toMatchObject({ runs: [{ run: 0 }, { run: 1 }, { run: 2 }] })
    const { graph } = await json<{ graph: { nodes: { op: string }[] } }>('graph?run=0')
    expect(graph.nodes.map(({ op }) => op)).toEqual(expect.arrayContaining(['matmul', 'relu']))
    const { slices } = await json<{ slices: { name: string; ms: number }[] }>(`slices?run=0&step=0&tag=${tagId(runList, 'step')}`)
    expect(slices.some(({ name }) => name === 'matmul')).toBe(true)
    const trace = await json<{ traceEvents: unknown[] }>('trace?path=adam-lr1e-3/traces/step.trace.json')
    expect(trace.traceEvents.length).toBeGreaterThan(10)
    const packed = await ask('/api/trace?path=packed.trace.json.gz')
    expect(JSON.parse(gunzipSync(packed.body).toString())).toEqual({ traceEvents: [] })
    expect(await json('system')).toMatchObject({ machine: { cores: expect.any(Number) as number } })
  })

  test('errors that say what was wrong', async () => {
    const scalar = tagId(await list(), 'train/loss')
    const cases: [path: string, status: number, words: RegExp][] = [
      ['nothing', 404, /no \/api\/nothing/],
      [`scalars?runs=0`, 400, /tag/],
      [`scalars?tag=${scalar}&runs=x`, 400, /0-9,12/],
      [`scalars?tag=${scalar}&runs=0&weight=1`, 400, /0\.9999/],
      [`groups?tag=${scalar}&groups=0;x`, 400, /0-9,12;10,11/],
      [`groups?tag=${scalar}&groups=0&band=all`, 400, /range, deviation, error, none/],
      [`scalars?tag=${scalar}&runs=0&axis=depth`, 400, /step, relative, wall/],
      ['scalars?tag=9999&runs=0', 404, /no scalar/],
      [`histograms?tag=${scalar}&run=0`, 404, /no histogram/],
      ['graph?run=77', 404, /no run/],
      ['graph?run=1', 404, /no graph/],
    ]
    for (const [path, status, words] of cases) {
      const answer = await ask(`/api/${path}`)
      expect([path, answer.status]).toEqual([path, status])
      expect(answer.body.toString()).toMatch(words)
    }
  })
})

describe('who may read the board', () => {
  test('paths that lead outside are refused, links too', async () => {
    for (const path of [
      '../secret.trace.json',
      'link.trace.json',
      'up/secret.trace.json',
      join(root, 'secret.trace.json'),
      '..\\secret.trace.json',
      'a\0b.trace.json',
      'adam-lr1e-3/../../secret.trace.json',
    ]) {
      const answer = await ask(`/api/trace?path=${encodeURIComponent(path)}`)
      expect([path, answer.status]).toEqual([path, 403])
      expect(answer.body.toString()).not.toContain('"secret":1')
    }
    for (const path of [
      '/../secret.trace.json',
      '/%2e%2e/secret.trace.json',
      '/..%2fsecret.trace.json',
      '/assets/..%2f..%2fsecret.trace.json',
      '/%00',
      '/%zz',
    ]) {
      const answer = await ask(path)
      expect([path, answer.status >= 400]).toEqual([path, true])
    }
    const event = board.store.byName('sgd-lr1e-1')!.name
    expect((await ask(`/api/trace?path=${event}`)).status).toBe(403)
    expect((await ask('/api/trace?path=missing.trace.json')).status).toBe(404)
  })

  test('a name that is not its own is refused: pages elsewhere cannot rebind theirs to it', async () => {
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.nip.io:80', '0x7f.1'])
      expect((await ask('/', { headers: { host } })).status).toBe(403)
    for (const host of ['localhost', '127.0.0.1:1', '[::1]:80', 'LOCALHOST', 'board.example'])
      expect((await ask('/', { headers: { host } })).status).toBe(200)
  })

  test('other sites and other methods are refused', async () => {
    expect((await ask('/api/runs', { headers: { origin: 'https://evil.example' } })).status).toBe(403)
    expect((await ask('/api/runs', { headers: { origin: 'null' } })).status).toBe(403)
    expect((await ask('/api/runs', { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' } })).status).toBe(403)
    expect((await ask('/', { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' } })).status).toBe(200)
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) expect((await ask('/api/runs', { method })).status).toBe(405)
  })

  test('every answer carries the policy, and none opens it to others', async () => {
    for (const path of ['/', '/assets/page.js', '/api/runs', '/api/nothing']) {
      const { headers } = await ask(path)
      expect(headers['content-security-policy']).toMatch(/default-src 'none'; script-src 'self'/)
      expect(headers['content-security-policy']).not.toContain('unsafe')
      expect(headers['x-content-type-options']).toBe('nosniff')
      expect(headers['cross-origin-resource-policy']).toBe('same-origin')
      expect(headers['access-control-allow-origin']).toBeUndefined()
    }
    const head = await ask('/', { method: 'HEAD' })
    expect([head.status, head.body.length]).toEqual([200, 0])
  })
})

describe('while runs go on', () => {
  /** Messages of the live stream, until `stop`. */
  async function listen(url: string) {
    const messages: LiveMessage[] = []
    const { port } = new URL(url)
    let text = ''
    const stop = await new Promise<() => void>((resolve) => {
      const sent = request({ host: '127.0.0.1', port, path: '/api/live', headers: { host: 'localhost' } }, (response) => {
        expect(response.headers['content-type']).toBe('text/event-stream')
        response.on('data', (part: Buffer) => {
          text += part.toString()
          const whole = text.split('\n\n')
          text = whole.pop()!
          for (const block of whole) if (block.startsWith('data: ')) messages.push(JSON.parse(block.slice(6)) as LiveMessage)
        })
        response.on('error', () => undefined)
        resolve(() => void sent.destroy())
      }).end()
    })
    return { messages, stop }
  }

  test('points appear as files grow, new runs and deleted ones too', async () => {
    const folder = join(root, 'live')
    mkdirSync(folder)
    const live = await startBoard({ folder, port: 0, page, interval: 30 })
    const { messages, stop } = await listen(live.url)
    try {
      expect((await list(live.url)).runs).toEqual([])
      const writer = new EventFileWriter(join(folder, 'a'), { maxQueue: 1 })
      writer.scalar('loss', 1, 0)
      const changed = (run: number) => messages.filter((m) => m.type === 'change' && m.runs.includes(run))
      await expect.poll(() => changed(0).length, { timeout: 5000 }).toBe(1)
      expect(messages.find((m) => m.type === 'change' && m.structure)).toBeDefined()
      const values = async (): Promise<number[]> => {
        const [curve] = unpackCurves(new Uint8Array((await ask('/api/scalars?tag=0&runs=0', { url: live.url })).body).buffer)
        return [...(curve?.y ?? [])]
      }
      await list(live.url)
      expect(await values()).toEqual([1])
      writer.scalar('loss', 0.5, 1)
      writer.scalar('loss', 0.25, 2)
      await expect.poll(values, { timeout: 5000 }).toEqual([1, 0.5, 0.25])
      // Half a record is waited for.
      const whole = readFileSync(writer.path)
      const other = join(folder, 'b', 'events.out.tfevents.1.x')
      mkdirSync(join(folder, 'b'))
      writeFileSync(other, whole.subarray(0, -5))
      await expect
        .poll(async () => (await list(live.url)).runs.map(({ name, points }) => [name, points]), { timeout: 5000 })
        .toEqual([
          ['a', 3],
          ['b', 2],
        ])
      appendFileSync(other, whole.subarray(-5))
      await expect.poll(async () => (await list(live.url)).runs[1]!.points, { timeout: 5000 }).toBe(3)
      // A file that became shorter is another run, and one that is gone is none.
      truncateSync(writer.path, 0)
      rmSync(join(folder, 'b'), { recursive: true })
      await expect
        .poll(async () => (await list(live.url)).runs.map(({ name, points }) => [name, points]), { timeout: 5000 })
        .toEqual([['a', 0]])
      await writer.close()
    } finally {
      stop()
      await live.close()
    }
  })

  test('runs of the local tracker are shown, live, with their settings', async () => {
    const folder = join(root, 'tracked')
    const tracker = await LocalTracker.start(folder, { params: { lr: 0.1, optimizer: 'adam' } })
    const watched = await startBoard({ folder, port: 0, page, interval: 30 })
    try {
      for (let step = 0; step < 3; step++) tracker.metrics({ loss: 1 / (step + 1), 'val/loss': step === 1 ? Number.NaN : 2 }, step)
      await tracker.flush()
      const runsNow = async () => (await list(watched.url)).runs.map(({ points, status, hparams }) => [points, status, hparams])
      const hparams = { lr: 0.1, optimizer: 'adam' }
      await expect.poll(runsNow, { timeout: 5000 }).toEqual([[6, 'running', hparams]])
      const run = watched.store.byName(tracker.id)!
      expect([...run.scalars.get('val/loss')!.values]).toEqual([2, Number.NaN, 2])
      // Half a line is waited for.
      const path = join(folder, tracker.id, 'metrics.jsonl')
      appendFileSync(path, '{"step":3,"time":1,')
      tracker.params({ seed: 5 })
      await tracker.finish('failed')
      await expect.poll(runsNow, { timeout: 5000 }).toEqual([[6, 'failure', { ...hparams, seed: 5 }]])
      appendFileSync(path, '"metrics":{"loss":0.25}}\n')
      await expect.poll(runsNow, { timeout: 5000 }).toEqual([[7, 'failure', { ...hparams, seed: 5 }]])
      appendFileSync(path, 'no JSON\n')
      await expect
        .poll(async () => Object.values((await list(watched.url)).runs[0]!.problems).join(), { timeout: 5000 })
        .toContain('metrics.jsonl')
    } finally {
      await watched.close()
    }
  })

  test('a damaged file is named, and the rest is shown', async () => {
    const folder = join(root, 'damaged')
    await writeSampleRuns(folder, { runs: 2, points: 20 })
    const name = readdirSync(join(folder, 'run-0'))[0]!
    const path = join(folder, 'run-0', name)
    const bytes = readFileSync(path)
    bytes[bytes.length - 8] = bytes.at(-8)! ^ 0xff
    writeFileSync(path, bytes)
    const again = await startBoard({ folder, port: 0, page, interval: 30 })
    try {
      await again.store.settled()
      const { runs: found } = await list(again.url)
      expect(found.map(({ points }) => points)).toEqual([19, 20])
      expect(Object.keys(found[0]!.problems)).toEqual([`run-0/${name}`])
      // The folder may go away, and come back.
      renameSync(folder, `${folder}-moved`)
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect((await list(again.url)).runs).toHaveLength(2)
      renameSync(`${folder}-moved`, folder)
    } finally {
      await again.close()
    }
  })
})

describe('starting', () => {
  test('says what is wrong', async () => {
    await expect(startBoard({ folder: join(root, 'missing'), port: 0, page })).rejects.toThrow(/missing.*cannot be read \(ENOENT\)/)
    const { port } = new URL(board.url)
    await expect(startBoard({ folder: runs, port: Number(port), page })).rejects.toThrow(/port \d+ is taken/)
  })
})

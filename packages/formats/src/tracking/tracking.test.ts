import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { interopProgram } from '../../test/interop.ts'
import { localMetrics, localRuns, LocalTracker, MlflowTracker, summaryWriter } from './index.node.ts'

const folder = mkdtempSync(join(tmpdir(), 'cotangent-tracking-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('runs in folders', () => {
  test('what was given comes back', async () => {
    const tracker = await LocalTracker.start(folder, { name: 'first', params: { lr: 0.1 }, tags: { team: 'a' } })
    tracker.params({ optimizer: 'adam', lr: 0.1 })
    tracker.metrics({ loss: 1.5, 'val/accuracy': 0.25 }, 0)
    tracker.metrics({ loss: Number.NaN, gradient: -Infinity }, 1)
    await tracker.artifact('notes/a.md', '# größe')
    await tracker.artifact('bytes', Uint8Array.of(0, 255))
    expect((await localRuns(folder))[0]).toMatchObject({ status: 'running', endTime: null })
    await tracker.finish()
    await tracker.finish()
    const [run] = await localRuns(folder)
    expect(run).toMatchObject({
      id: tracker.id,
      name: 'first',
      status: 'finished',
      params: { lr: 0.1, optimizer: 'adam' },
      tags: { team: 'a' },
    })
    expect(await localMetrics(folder, tracker.id)).toMatchObject([
      { step: 0, metrics: { loss: 1.5, 'val/accuracy': 0.25 } },
      { step: 1, metrics: { loss: Number.NaN, gradient: -Infinity } },
    ])
    expect(readFileSync(join(tracker.folder, 'artifacts/notes/a.md'), 'utf8')).toBe('# größe')
    expect(() => tracker.metrics({ a: 1 }, 2)).toThrow('is over')
  })

  test('params stay, and files stay inside', async () => {
    const tracker = await LocalTracker.start(folder, { params: { lr: 0.1 } })
    expect(() => tracker.params({ lr: 0.2 })).toThrow('lr is 0.1 already, not 0.2')
    for (const name of ['../run.json', '/etc/passwd/../../x/../../..', '..'])
      await expect(tracker.artifact(name, '')).rejects.toThrow('outside of the run')
    await tracker.finish('failed')
  })

  test('a killed run goes on', async () => {
    const tracker = await LocalTracker.start(folder, { name: 'killed' })
    tracker.metrics({ loss: 1 }, 0)
    appendFileSync(join(tracker.folder, 'metrics.jsonl'), '{"step":1,"ti')
    expect(await localMetrics(folder, tracker.id)).toHaveLength(1)
    const resumed = await LocalTracker.resume(folder, tracker.id)
    resumed.metrics({ loss: 0.5 }, 1)
    await resumed.finish()
    expect((await localMetrics(folder, tracker.id)).map(({ step }) => step)).toEqual([0, 1])
    await expect(LocalTracker.resume(folder, 'absent')).rejects.toMatchObject({ code: 'io-failure' })
  })

  test('as the place of summaries', async () => {
    const tracker = await LocalTracker.start(folder)
    const writer = summaryWriter(tracker)
    writer.hparams({ lr: 0.5 }, { loss: null, score: 3 })
    writer.scalar('loss', 2, 0)
    writer.histogram('weights', [1, 2, 3], 1)
    writer.text('note', 'hello', 4)
    await writer.close()
    const rows = await localMetrics(folder, tracker.id)
    expect(Object.assign({}, ...rows.map(({ metrics }) => metrics))).toEqual({
      score: 3,
      loss: 2,
      'weights/mean': 2,
      'weights/std': Math.sqrt(2 / 3),
      'weights/min': 1,
      'weights/max': 3,
    })
    expect(readFileSync(join(tracker.folder, 'artifacts/note/4.md'), 'utf8')).toBe('hello')
  })
})

describe("MLflow's protocol", () => {
  interface Seen {
    method: string
    url: string
    body: string
    login: string | undefined
  }
  const seen: Seen[] = []
  /** Answers before the usual ones; 0 drops the connection. */
  let troubles: (number | { status: number; body: unknown })[] = []
  let server: Server
  let uri: string
  const info = { run_id: 'r1', experiment_id: '7', artifact_uri: 'mlflow-artifacts:/7/r1/artifacts' }

  beforeAll(async () => {
    server = createServer((request, response) => {
      const pieces: Buffer[] = []
      request.on('data', (piece: Buffer) => pieces.push(piece))
      request.on('end', () => {
        const url = request.url!
        seen.push({ method: request.method!, url, body: Buffer.concat(pieces).toString(), login: request.headers.authorization })
        const trouble = troubles.shift()
        if (trouble === 0) {
          request.socket.destroy()
          return
        }
        const [status, body] =
          trouble !== undefined
            ? typeof trouble === 'number'
              ? [trouble, {}]
              : [trouble.status, trouble.body]
            : url.includes('get-by-name')
              ? [404, { error_code: 'RESOURCE_DOES_NOT_EXIST', message: 'no such experiment' }]
              : url.includes('experiments/create')
                ? [200, { experiment_id: '7' }]
                : url.includes('runs/create')
                  ? [200, { run: { info } }]
                  : url.includes('runs/update')
                    ? [200, { run_info: info }]
                    : [200, {}]
        response.writeHead(status, { 'Content-Type': 'application/json' })
        response.end(JSON.stringify(body))
      })
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  })
  afterAll(() => void server.close())
  const batches = () =>
    seen
      .filter(({ url }) => url.endsWith('log-batch'))
      .map(({ body }) => JSON.parse(body) as Record<'metrics' | 'params' | 'tags', { key: string; value: unknown; step: number }[]>)

  test('requests, in batches', async () => {
    seen.length = 0
    const tracker = await MlflowTracker.start({ uri, experiment: 'my experiment', name: 'n', params: { lr: 0.1 }, token: 't' })
    expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'GET /api/2.0/mlflow/experiments/get-by-name?experiment_name=my%20experiment',
      'POST /api/2.0/mlflow/experiments/create',
      'POST /api/2.0/mlflow/runs/create',
      'POST /api/2.0/mlflow/runs/log-batch',
    ])
    expect(seen.every(({ login }) => login === 'Bearer t')).toBe(true)
    for (let step = 0; step < 2500; step++) tracker.metrics({ 'loss:train': step }, step)
    tracker.metrics({ bad: Number.NaN }, 2500)
    await tracker.artifact('a b/c.txt', 'hello')
    await tracker.finish()
    const sent = batches().flatMap(({ metrics }) => metrics)
    expect(sent.slice(0, 2500).map(({ step }) => step)).toEqual(Array.from({ length: 2500 }, (_, i) => i))
    expect(sent[0]!.key).toBe('loss_train')
    expect(sent.at(-1)).toMatchObject({ key: 'bad', value: 'NaN' })
    expect(Math.max(...batches().map(({ metrics }) => metrics.length))).toBe(1000)
    expect(
      seen.some(({ method, url, body }) => method === 'PUT' && url.endsWith('/artifacts/7/r1/artifacts/a%20b/c.txt') && body === 'hello'),
    ).toBe(true)
    expect(JSON.parse(seen.at(-1)!.body)).toMatchObject({ run_id: 'r1', status: 'FINISHED' })
    expect(() => tracker.metrics({ a: 1 }, 0)).toThrow('is over')
  })

  test('a server in trouble is asked again, one that says no is not', async () => {
    const tracker = await MlflowTracker.start({ uri, retries: 2, sendSecs: 1000, username: 'u', password: 'p' })
    expect(seen.at(-1)!.login).toBe(`Basic ${btoa('u:p')}`)
    seen.length = 0
    troubles = [503, 0]
    tracker.metrics({ loss: 1 }, 0)
    await tracker.flush()
    expect(batches()).toHaveLength(3)

    troubles = [500, 500, 500]
    tracker.metrics({ loss: 2 }, 1)
    await expect(tracker.flush()).rejects.toMatchObject({ code: 'io-failure', message: expect.stringContaining('it answered 500') })
    await tracker.flush()
    expect(batches().at(-1)!.metrics).toMatchObject([{ value: 2, step: 1 }])

    troubles = [{ status: 400, body: { error_code: 'INVALID_PARAMETER_VALUE', message: 'lr was 0.1' } }]
    tracker.params({ lr: 0.2 })
    await expect(tracker.flush()).rejects.toThrow('lr was 0.1')
    await tracker.finish('failed')
  })

  test('no server', async () => {
    await expect(MlflowTracker.start({ uri: 'http://127.0.0.1:9', retries: 0 })).rejects.toMatchObject({ code: 'io-failure' })
  })
})

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}

// The program `mlflow` (pip install mlflow; .ci/run has what its server needs and no more).
const mlflow = interopProgram('COTANGENT_MLFLOW', 'MLflow')

describe.skipIf(!mlflow)('a real MLflow server', { timeout: 120_000 }, () => {
  let server: ChildProcess
  let uri: string
  const get = async (path: string) => (await fetch(`${uri}/api/2.0/mlflow/${path}`)).json()
  beforeAll(async () => {
    const root = join(folder, 'mlflow')
    const port = await freePort()
    uri = `http://127.0.0.1:${port}`
    const store = ['--backend-store-uri', `sqlite:///${root}.db`, '--artifacts-destination', root]
    server = spawn(mlflow!, ['server', '--port', String(port), '--workers', '1', ...store], {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    })
    let said = ''
    server.stderr!.on('data', (chunk) => (said += String(chunk)))
    const answers = () =>
      fetch(`${uri}/health`).then(
        ({ ok }) => ok,
        () => false,
      )
    for (let i = 0; i < 200 && server.exitCode === null; i++) {
      if (await answers()) return
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    throw new Error(`mlflow server did not start: ${said.slice(-2000)}`)
  }, 120_000)
  afterAll(() => void process.kill(-server.pid!))

  test('keeps what it is sent', async () => {
    const tracker = await MlflowTracker.start({
      uri,
      experiment: 'größe 1',
      name: 'a run',
      params: { lr: 0.1, optimizer: 'adam' },
      tags: { team: 'x' },
    })
    for (let step = 0; step < 1500; step++) tracker.metrics({ 'train/loss': 1 / (step + 1) }, step)
    tracker.metrics({ nan: Number.NaN, 'odd:name': 2 }, 3)
    await tracker.artifact('notes/größe.md', '# hello')
    await tracker.finish()
    const { run } = (await get(`runs/get?run_id=${tracker.id}`)) as {
      run: {
        info: { status: string; run_name: string }
        data: Record<'metrics' | 'params' | 'tags', { key: string; value: unknown; step: number }[]>
      }
    }
    expect(run.info).toMatchObject({ status: 'FINISHED', run_name: 'a run' })
    expect(run.data.params.map(({ key, value }) => [key, value]).sort()).toEqual([
      ['lr', '0.1'],
      ['optimizer', 'adam'],
    ])
    expect(run.data.tags).toContainEqual({ key: 'team', value: 'x' })
    expect(run.data.metrics.find(({ key }) => key === 'train/loss')).toMatchObject({ value: 1 / 1500, step: 1499 })
    expect(run.data.metrics.map(({ key }) => key).sort()).toEqual(['nan', 'odd_name', 'train/loss'])
    const { files } = (await get(`artifacts/list?run_id=${tracker.id}&path=notes`)) as { files: { path: string; file_size: number }[] }
    expect(files).toMatchObject([{ path: 'notes/größe.md' }])

    const resumed = await MlflowTracker.start({ uri, runId: tracker.id })
    resumed.params({ lr: 0.2 })
    await expect(resumed.flush()).rejects.toMatchObject({ code: 'io-failure' })
    await resumed.finish('killed')
    expect(((await get(`runs/get?run_id=${tracker.id}`)) as { run: { info: { status: string } } }).run.info.status).toBe('KILLED')
  })
})

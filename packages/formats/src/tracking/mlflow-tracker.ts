import { CotangentError } from 'cotangent'
import type { RunOptions, RunStatus, Tracker } from './tracker.ts'

/** The tracking server, and how to be let in. */
export interface MlflowOptions extends RunOptions {
  /** Of the server: `http://localhost:5000`. */
  readonly uri: string
  /** Name of the experiment, which is made if it is not there. Default `Default`. */
  readonly experiment?: string
  /** Goes on with this run. */
  readonly runId?: string
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string
  readonly username?: string
  readonly password?: string
  /** Seconds between sendings; default 1. */
  readonly sendSecs?: number
  /** How often a request that did not get through is sent again, with growing pauses; default 4. */
  readonly retries?: number
}

interface Metric {
  readonly key: string
  readonly value: number | string
  readonly timestamp: number
  readonly step: number
}

interface Entry {
  readonly key: string
  readonly value: string
}

/** What the server takes in one request. */
const most = { metrics: 1000, params: 100, tags: 100 } as const
const statuses = { finished: 'FINISHED', failed: 'FAILED', killed: 'KILLED' } as const satisfies Record<RunStatus, string>

/**
 * Sends a run to an MLflow server by its REST API (version 2.0 of the tracking API), in batches and in the background. A server that cannot be
 * reached does not stop a training: what was given is kept and sent later, and `flush` and `finish` throw if it still could not be.
 */
export class MlflowTracker implements Tracker {
  readonly id: string
  readonly experimentId: string
  readonly #server: Server
  readonly #artifactUri: string
  readonly #sendMs: number
  #metrics: Metric[] = []
  #params: Entry[] = []
  #tags: Entry[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #sending: Promise<void> = Promise.resolve()
  #refused: CotangentError | undefined
  #finished = false

  private constructor(server: Server, run: RunInfo, sendSecs: number) {
    this.#server = server
    this.id = run.run_id
    this.experimentId = run.experiment_id
    this.#artifactUri = run.artifact_uri
    this.#sendMs = sendSecs * 1000
  }

  /** Begins a run, or goes on with one. @throws CotangentError `io-failure` where the server cannot be reached or refuses. */
  static async start({
    uri,
    experiment = 'Default',
    runId,
    name,
    params,
    tags,
    sendSecs = 1,
    retries = 4,
    ...login
  }: MlflowOptions): Promise<MlflowTracker> {
    const server = new Server(uri, login, retries)
    const run = runId === undefined ? await createRun(server, experiment, name) : await resumeRun(server, runId)
    const tracker = new MlflowTracker(server, run, sendSecs)
    if (params) tracker.params(params)
    if (tags) tracker.tags(tags)
    await tracker.flush()
    return tracker
  }

  params(values: Readonly<Record<string, number | string | boolean>>): void {
    for (const [key, value] of Object.entries(values)) this.#params.push({ key: keyOf(key), value: String(value) })
    this.#later()
  }

  metrics(values: Readonly<Record<string, number>>, step: number): void {
    const timestamp = Date.now()
    // JSON has no NaN; protobuf's JSON, which the server reads, takes it as a string.
    for (const [key, value] of Object.entries(values)) {
      this.#metrics.push({ key: keyOf(key), value: Number.isFinite(value) ? value : String(value), timestamp, step })
    }
    this.#later()
  }

  tags(values: Readonly<Record<string, string>>): void {
    for (const [key, value] of Object.entries(values)) this.#tags.push({ key: keyOf(key), value })
    this.#later()
  }

  async artifact(name: string, content: Uint8Array | string): Promise<void> {
    const prefix = /^mlflow-artifacts:(\/\/[^/]*)?\/+/.exec(this.#artifactUri)
    if (!prefix) {
      throw new CotangentError('unsupported', {
        op: 'MlflowTracker',
        message: `this server keeps files at ${this.#artifactUri}, which it does not take itself`,
        hint: 'Start it with --serve-artifacts.',
      })
    }
    const path = `${this.#artifactUri.slice(prefix[0].length)}/${name}`.split('/').map(encodeURIComponent).join('/')
    const body = typeof content === 'string' ? new TextEncoder().encode(content) : content
    await this.#server.request('PUT', `/api/2.0/mlflow-artifacts/artifacts/${path}`, body)
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#send()
    const refused = this.#refused
    this.#refused = undefined
    if (refused) throw refused
  }

  async finish(status: RunStatus = 'finished'): Promise<void> {
    if (this.#finished) return
    // That it is over is told even if something of it could not be.
    const sent = await this.flush().then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    await this.#server.post('/api/2.0/mlflow/runs/update', { run_id: this.id, status: statuses[status], end_time: Date.now() })
    this.#finished = true
    if (sent) throw sent.error
  }

  #later(): void {
    if (this.#finished)
      throw new CotangentError('invalid-argument', {
        op: 'MlflowTracker',
        message: `the run ${this.id} is over`,
        hint: 'MlflowTracker.start({ runId }) goes on with it.',
      })
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      // What did not get through is still there: the next sending, or flush, tries again.
      this.#send().catch(() => {})
    }, this.#sendMs)
    if (typeof this.#timer === 'object') this.#timer.unref()
  }

  /** One sending at a time, so that metrics stay in order. */
  #send(): Promise<void> {
    this.#sending = this.#sending.catch(() => {}).then(() => this.#sendAll())
    return this.#sending
  }

  async #sendAll(): Promise<void> {
    while (this.#metrics.length + this.#params.length + this.#tags.length > 0) {
      const metrics = this.#metrics.slice(0, most.metrics)
      // The server takes a thousand of all together.
      const params = this.#params.slice(0, Math.min(most.params, most.metrics - metrics.length))
      const tags = this.#tags.slice(0, Math.min(most.tags, most.metrics - metrics.length - params.length))
      try {
        await this.#server.post('/api/2.0/mlflow/runs/log-batch', { run_id: this.id, metrics, params, tags })
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        // It would be refused again: it must not hold up what follows.
        this.#refused ??= error
      }
      this.#metrics = this.#metrics.slice(metrics.length)
      this.#params = this.#params.slice(params.length)
      this.#tags = this.#tags.slice(tags.length)
    }
  }
}

interface RunInfo {
  readonly run_id: string
  readonly experiment_id: string
  readonly artifact_uri: string
}

async function createRun(server: Server, experiment: string, name: string | undefined): Promise<RunInfo> {
  const experiment_id = await experimentNamed(server, experiment)
  const { run } = (await server.post('/api/2.0/mlflow/runs/create', {
    experiment_id,
    start_time: Date.now(),
    ...(name !== undefined && { run_name: name }),
  })) as { run: { info: RunInfo } }
  return run.info
}

async function experimentNamed(server: Server, name: string): Promise<string> {
  const find = async () => {
    const found = await server.request('GET', `/api/2.0/mlflow/experiments/get-by-name?experiment_name=${encodeURIComponent(name)}`)
    return (found as { experiment: { experiment_id: string } }).experiment.experiment_id
  }
  try {
    return await find()
  } catch (error) {
    if (!(error instanceof Refusal) || error.reason !== 'RESOURCE_DOES_NOT_EXIST') throw error
  }
  try {
    return ((await server.post('/api/2.0/mlflow/experiments/create', { name })) as { experiment_id: string }).experiment_id
  } catch (error) {
    // Another process was faster.
    if (error instanceof Refusal && error.reason === 'RESOURCE_ALREADY_EXISTS') return find()
    throw error
  }
}

async function resumeRun(server: Server, run_id: string): Promise<RunInfo> {
  const { run_info } = (await server.post('/api/2.0/mlflow/runs/update', { run_id, status: 'RUNNING' })) as { run_info: RunInfo }
  return run_info
}

/** Letters, digits and `_ - . /` and spaces, as the server wants names of metrics. */
const keyOf = (key: string): string => key.replaceAll(/[^\p{L}\p{N}_\-./ ]/gu, '_')

/** The server understood and said no: sending it again is no use. */
class Refusal extends CotangentError {
  readonly reason: string | undefined

  constructor(message: string, reason: string | undefined) {
    super('io-failure', { op: 'MlflowTracker', message, hint: "The answer is the server's." })
    this.reason = reason
  }
}

class Server {
  readonly #uri: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #retries: number

  constructor(uri: string, { token, username, password = '' }: Pick<MlflowOptions, 'token' | 'username' | 'password'>, retries: number) {
    this.#uri = uri.replace(/\/+$/, '')
    this.#retries = retries
    const login = token !== undefined ? `Bearer ${token}` : username !== undefined ? `Basic ${btoa(`${username}:${password}`)}` : undefined
    this.#headers = login === undefined ? {} : { Authorization: login }
  }

  post(path: string, body: unknown): Promise<unknown> {
    return this.request('POST', path, new TextEncoder().encode(JSON.stringify(body)), 'application/json')
  }

  async request(method: string, path: string, body?: Uint8Array, type = 'application/octet-stream'): Promise<unknown> {
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#attempt(method, path, body, type)
      if ('value' in answer) return answer.value
      if (attempt >= this.#retries) {
        throw new CotangentError('io-failure', {
          op: 'MlflowTracker',
          message: `${this.#uri} could not be reached: ${answer.problem}`,
          hint: 'What was given is kept; flush() tries again.',
          cause: answer.cause,
        })
      }
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** attempt))
    }
  }

  async #attempt(
    method: string,
    path: string,
    body: Uint8Array | undefined,
    type: string,
  ): Promise<{ value: unknown } | { problem: string; cause?: unknown }> {
    let response: Response
    let text: string
    try {
      const content = body && { body: body as Uint8Array<ArrayBuffer> }
      response = await fetch(this.#uri + path, {
        method,
        headers: { ...this.#headers, ...(body && { 'Content-Type': type }) },
        ...content,
        signal: AbortSignal.timeout(30_000),
      })
      text = await response.text()
    } catch (cause) {
      const reason = (cause as Error).cause instanceof Error ? ((cause as Error).cause as Error).message : (cause as Error).message
      return { problem: reason, cause }
    }
    if (response.status >= 500 || response.status === 429) return { problem: `it answered ${response.status}` }
    const value = parsed(text)
    if (response.ok) return { value }
    const { error_code, message } = (value ?? {}) as { error_code?: string; message?: string }
    throw new Refusal(`${method} ${path.split('?')[0]} was refused: ${message ?? `status ${response.status}`}`, error_code)
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CotangentError } from 'cotangent'
import { ioFailure, readWhole, writeWhole } from 'cotangent/node'
import { AppendFile } from '../append-file.node.ts'
import { writeArtifact } from './artifact.node.ts'
import type { RunOptions, RunStatus, Tracker } from './tracker.ts'

/** What is known of a run: its `run.json`. Times are milliseconds since 1970. */
export interface LocalRun {
  readonly id: string
  readonly name: string
  readonly status: RunStatus | 'running'
  readonly startTime: number
  readonly endTime: number | null
  readonly params: Readonly<Record<string, number | string | boolean>>
  readonly tags: Readonly<Record<string, string>>
}

/** Metrics of one step, and when they were logged, in milliseconds since 1970. */
export interface MetricRow {
  readonly step: number
  readonly time: number
  readonly metrics: Readonly<Record<string, number>>
}

/**
 * Keeps runs in folders: `FOLDER/ID/run.json` has settings and status, `metrics.jsonl` a line a call, `artifacts/` the files. Lines are
 * appended as they come, so that a process that is killed loses none.
 */
export class LocalTracker implements Tracker {
  readonly id: string
  readonly folder: string
  readonly #metrics: AppendFile
  #run: LocalRun
  /** Writes of run.json, one after the other. */
  #written: Promise<void> = Promise.resolve()
  #failure: unknown

  private constructor(folder: string, run: LocalRun, metrics: AppendFile) {
    this.folder = folder
    this.id = run.id
    this.#run = run
    this.#metrics = metrics
  }

  /** Begins a run. */
  static async start(folder: string, { name, params = {}, tags = {} }: RunOptions = {}): Promise<LocalTracker> {
    const startTime = Date.now()
    const id = `${new Date(startTime).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')}-${randomUUID().slice(0, 8)}`
    const run: LocalRun = { id, name: name ?? id, status: 'running', startTime, endTime: null, params, tags }
    const at = join(folder, id)
    const tracker = new LocalTracker(at, run, new AppendFile(join(at, 'metrics.jsonl')))
    tracker.#save()
    await tracker.flush()
    return tracker
  }

  /** Goes on with a run, for instance after a crash. A last line that was cut short is dropped. */
  static async resume(folder: string, id: string): Promise<LocalTracker> {
    const at = join(folder, id)
    const run = await readRun(at)
    const path = join(at, 'metrics.jsonl')
    const bytes = existsSync(path) ? readFileSync(path) : Buffer.alloc(0)
    const tracker = new LocalTracker(at, { ...run, status: 'running', endTime: null }, new AppendFile(path, bytes.lastIndexOf(10) + 1))
    tracker.#save()
    await tracker.flush()
    return tracker
  }

  params(values: Readonly<Record<string, number | string | boolean>>): void {
    for (const [name, value] of Object.entries(values)) {
      const before = this.#run.params[name]
      if (before === undefined || Object.is(before, value)) continue
      throw new CotangentError('invalid-argument', {
        op: 'Tracker.params',
        message: `${name} is ${before} already, not ${value}`,
        hint: 'What changes is a metric.',
      })
    }
    this.#change({ params: { ...this.#run.params, ...values } })
  }

  metrics(values: Readonly<Record<string, number>>, step: number): void {
    this.#checkOpen()
    const metrics = Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, Number.isFinite(value) ? value : String(value)]),
    )
    this.#metrics.append(new TextEncoder().encode(`${JSON.stringify({ step, time: Date.now(), metrics })}\n`))
  }

  tags(values: Readonly<Record<string, string>>): void {
    this.#change({ tags: { ...this.#run.tags, ...values } })
  }

  async artifact(name: string, content: Uint8Array | string): Promise<void> {
    this.#checkOpen()
    await writeArtifact(join(this.folder, 'artifacts'), name, content)
  }

  async flush(): Promise<void> {
    await this.#written
    if (this.#failure !== undefined) {
      const failure = this.#failure
      this.#failure = undefined
      throw failure
    }
    if (this.#run.endTime === null) await this.#metrics.flush()
  }

  async finish(status: RunStatus = 'finished'): Promise<void> {
    if (this.#run.endTime !== null) return
    await this.#metrics.flush()
    this.#change({ status, endTime: Date.now() })
    await this.#metrics.close()
    await this.flush()
  }

  #change(values: Partial<LocalRun>): void {
    this.#checkOpen()
    this.#run = { ...this.#run, ...values }
    this.#save()
  }

  #save(): void {
    const bytes = new TextEncoder().encode(`${JSON.stringify(this.#run, null, 2)}\n`)
    this.#written = this.#written
      .then(() => writeWhole(join(this.folder, 'run.json'), bytes))
      .catch((error: unknown) => void (this.#failure ??= error))
  }

  #checkOpen(): void {
    if (this.#run.endTime === null) return
    throw new CotangentError('invalid-argument', {
      op: 'Tracker',
      message: `the run ${this.id} is over`,
      hint: 'LocalTracker.resume goes on with it.',
    })
  }
}

/** The runs in a folder, oldest first. */
export async function localRuns(folder: string): Promise<LocalRun[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw ioFailure(folder, 'read', cause)
  })
  const runs = entries
    .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, 'run.json')))
    .map(({ name }) => readRun(join(folder, name)))
  return (await Promise.all(runs)).sort((a, b) => a.startTime - b.startTime)
}

/** The metrics of a run, in the order in which they were given. A last line that was cut short is left out. */
export async function localMetrics(folder: string, id: string): Promise<MetricRow[]> {
  const path = join(folder, id, 'metrics.jsonl')
  const text = new TextDecoder().decode(await readWhole(path))
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1)
    .map((line, i) => {
      const { step, time, metrics } = parse(line, `${path}:${i + 1}`) as MetricRow
      return { step, time, metrics: Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, Number(value)])) }
    })
}

async function readRun(folder: string): Promise<LocalRun> {
  const path = join(folder, 'run.json')
  return parse(new TextDecoder().decode(await readWhole(path)), path) as LocalRun
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new CotangentError('corrupt-file', {
      message: `${where}: ${(cause as Error).message}`,
      hint: 'The file was changed by another program.',
      cause,
    })
  }
}

import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { CotangentError } from 'cotangent'
import { AppendFile } from '../append-file.node.ts'
import type { FieldsOf } from '../protobuf/message.ts'
import { writeArtifact } from './artifact.node.ts'
import { BlockLog } from './block-log.node.ts'
import type { RunOptions, RunStatus, Tracker } from './tracker.ts'
import { WandbRecord } from './wandb-schema.ts'

/** The project of a wandb run, and whose it is. */
export interface WandbOptions extends RunOptions {
  readonly project?: string
  /** A user or team; by default that of whoever sends the run. */
  readonly entity?: string
}

const exitCodes: Readonly<Record<RunStatus, number>> = { finished: 0, failed: 1, killed: 255 }
const fileHead = Uint8Array.of(...Buffer.from(':W&B'), 0xe1, 0xbe, 0)

/**
 * Writes a run as Weights & Biases does offline: `FOLDER/offline-run-TIME-ID/run-ID.wandb`, which `wandb sync FOLDER/offline-run-TIME-ID` sends.
 * Rows of metrics have increasing steps there: what is given for a step whose row has been written is entered with the next one.
 */
export class WandbTracker implements Tracker {
  readonly id: string
  readonly folder: string
  readonly #file: AppendFile
  readonly #log = new BlockLog(fileHead.length)
  readonly #start = Date.now()
  readonly #run: { project?: string; entity?: string; displayName?: string }
  readonly #params = new Map<string, number | string | boolean>()
  #tags: Readonly<Record<string, string>>
  #records = 0
  /** Of the present step, which may get more. */
  #row: Map<string, number> | undefined
  #step = 0
  #over = false

  private constructor(folder: string, id: string, { name, project, entity, params = {}, tags = {} }: WandbOptions) {
    this.id = id
    this.folder = folder
    this.#run = {
      ...(project !== undefined && { project }),
      ...(entity !== undefined && { entity }),
      ...(name !== undefined && { displayName: name }),
    }
    this.#tags = tags
    for (const [key, value] of Object.entries(params)) this.#params.set(key, value)
    this.#file = new AppendFile(join(folder, `run-${id}.wandb`))
    this.#file.append(fileHead)
    this.#write({ header: { versionInfo: { producer: 'cotangent', minConsumer: '0.70.0' } } })
    this.#writeRun()
  }

  /** Begins a run. @throws CotangentError `io-failure` where the folder cannot be written. */
  static async start(folder: string, options: WandbOptions = {}): Promise<WandbTracker> {
    const id = [...randomBytes(8)].map((byte) => (byte % 36).toString(36)).join('')
    const time = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '_')
    const tracker = new WandbTracker(join(folder, `offline-run-${time}-${id}`), id, options)
    await tracker.flush()
    return tracker
  }

  params(values: Readonly<Record<string, number | string | boolean>>): void {
    this.#checkOpen()
    for (const [name, value] of Object.entries(values)) {
      const before = this.#params.get(name)
      if (before !== undefined && !Object.is(before, value)) {
        throw new CotangentError('invalid-argument', {
          op: 'Tracker.params',
          message: `${name} is ${before} already, not ${value}`,
          hint: 'What changes is a metric.',
        })
      }
      this.#params.set(name, value)
    }
    this.#write({ config: { update: itemsOf(Object.entries(values)) } })
  }

  metrics(values: Readonly<Record<string, number>>, step: number): void {
    this.#checkOpen()
    if (step > this.#step) {
      this.#writeRow()
      this.#step = step
    }
    this.#row ??= new Map()
    for (const [name, value] of Object.entries(values)) this.#row.set(name, value)
  }

  tags(values: Readonly<Record<string, string>>): void {
    this.#checkOpen()
    this.#tags = { ...this.#tags, ...values }
    this.#writeRun()
  }

  async artifact(name: string, content: Uint8Array | string): Promise<void> {
    this.#checkOpen()
    await writeArtifact(join(this.folder, 'files'), name, content)
    this.#write({ files: { files: [{ path: name }] } })
  }

  async flush(): Promise<void> {
    if (this.#over) return
    this.#writeRow()
    await this.#file.flush()
  }

  async finish(status: RunStatus = 'finished'): Promise<void> {
    if (this.#over) return
    this.#writeRow()
    this.#write({ exit: { exitCode: exitCodes[status], runtime: Math.round((Date.now() - this.#start) / 1000) } })
    await this.#file.flush()
    this.#over = true
    await this.#file.close()
  }

  #writeRun(): void {
    const [seconds, milliseconds] = [Math.floor(this.#start / 1000), this.#start % 1000]
    this.#write({
      run: {
        ...this.#run,
        runId: this.id,
        config: { update: itemsOf(this.#params) },
        tags: Object.entries(this.#tags).map(([name, value]) => (value === '' ? name : `${name}:${value}`)),
        host: hostname(),
        startTime: { seconds, nanos: milliseconds * 1e6 },
      },
    })
  }

  #writeRow(): void {
    if (!this.#row) return
    const now = Date.now()
    const item = itemsOf([...this.#row, ['_step', this.#step], ['_timestamp', now / 1000], ['_runtime', (now - this.#start) / 1000]])
    this.#write({ summary: { update: item } })
    this.#write({ history: { item, step: { num: this.#step } } })
    this.#row = undefined
    this.#step++
  }

  #write(record: FieldsOf<typeof WandbRecord>): void {
    this.#file.append(this.#log.encode(WandbRecord.encode({ num: ++this.#records, ...record })))
  }

  #checkOpen(): void {
    if (!this.#over) return
    throw new CotangentError('invalid-argument', { op: 'Tracker', message: `the run ${this.id} is over`, hint: 'Start another.' })
  }
}

/** Values as Python's JSON has them, which knows NaN and Infinity. A name is one step of a path: dots in it are no folders. */
function itemsOf(entries: Iterable<readonly [string, number | string | boolean]>) {
  return Array.from(entries, ([key, value]) => ({
    nestedKey: [key],
    valueJson: typeof value === 'number' ? String(value) : JSON.stringify(value),
  }))
}

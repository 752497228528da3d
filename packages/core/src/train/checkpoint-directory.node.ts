import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CotangentError } from '../errors.ts'
import { corruptFile, isSize, quoteName } from '../io/array-record.ts'
import { type CheckpointParts, checkpointPieces, decodeCheckpointHead, openCheckpoint } from '../io/checkpoint.ts'
import { nodeHash, nodeHashNow } from '../io/hash.node.ts'
import { headBytes } from '../io/safetensors.ts'
import { codeOf, ioFailure, readStart, readWhole, removeStaleTemporaries, writeWhole } from '../io/whole-file.node.ts'
import { notice } from '../notice.ts'
import { bestFirst, type CheckpointRetention, checkRetention, superfluous } from './checkpoint-retention.ts'
import type { CheckpointEntry, CheckpointSaveOptions, CheckpointStore, RestoredCheckpoint } from './checkpoint-store.ts'

/** `000012-step-3400-5f2a90c1.safetensors`: the first number counts the checkpoints of the directory, the last keeps processes apart. */
const filePattern = /^\d{6,15}-step-\d+-[0-9a-f]{8}\.safetensors$/
const extension = '.safetensors'

/** What a file says of itself. */
interface Info {
  readonly step: number
  readonly metrics: Readonly<Record<string, number>>
  /** The run of the process that saved it, and the runs that this one went on from. */
  readonly lineage: readonly string[]
}

type Entry = CheckpointEntry & Info

interface Damaged {
  readonly name: string
  readonly damage: CotangentError
}

/**
 * Checkpoints of a training in a directory, one file each (`saveCheckpoint` writes the same format).
 *
 *     const store = new CheckpointDirectory('runs/a', { monitor: 'valLoss', keepLast: 2 })
 *     const parts = { model, optimizer, scheduler, data: batches, random: defaultGenerator }
 *     const restored = await store.restore(parts)
 *     for (let step = restored?.step ?? 0; ; ) {
 *       ...
 *       await store.save(parts, { step, metrics: { valLoss } })
 *     }
 *
 * A file appears under its name when all of it is on the disk, and states a digest of itself; one that is damaged all the same is
 * passed over, with a notice. What a process deletes are checkpoints of its own and those that it went on from, never those of
 * another one that works in the same directory.
 */
export class CheckpointDirectory implements CheckpointStore {
  readonly path: string
  readonly #retention: CheckpointRetention
  /** Runs whose checkpoints are succeeded by ours. The first is our own. */
  #lineage: readonly string[] = [randomBytes(6).toString('hex')]
  /** What has been read of files; they never change. */
  readonly #known = new Map<string, Entry | Damaged>()
  /** Ends when all that was begun has ended. */
  #turn: Promise<unknown> = Promise.resolve()
  #cleaned = false
  #warned = false

  /** @throws {CotangentError} `invalid-argument` for options that make no sense. */
  constructor(path: string, retention: CheckpointRetention = {}) {
    checkRetention(retention)
    this.path = path
    this.#retention = retention
  }

  /**
   * @throws {CotangentError} `invalid-argument` for a state that cannot be saved; `io-failure` where the disk is full or the directory
   *   cannot be written, in which case the checkpoints before it are as they were.
   */
  save(parts: CheckpointParts, { step, metrics = {}, extra }: CheckpointSaveOptions): Promise<string> {
    if (!Number.isSafeInteger(step) || step < 0) {
      return Promise.reject(refused(`${step} is no number of steps`, 'Count the steps of the training from 0.'))
    }
    this.#checkMonitor(metrics)
    const info: Info = { step, metrics, lineage: this.#lineage }
    const pieces = checkpointPieces(parts, { extra, info }, nodeHash)
    // It may fail before its turn comes.
    pieces.catch(() => {})
    return this.#inTurn(async () => this.#write(await pieces, info))
  }

  /**
   * Loads the parts of a checkpoint.
   *
   * @param which The latest that was saved, the best by `monitor`, or one by the name that `save` returned.
   * @throws {CotangentError} `corrupt-file` where there are checkpoints, but none is whole: starting over is for you to decide;
   *   `invalid-argument` for parts that it lacks or that do not fit, and for a name that is not there.
   */
  restore<E = Record<string, unknown>>(
    parts: CheckpointParts,
    which: 'latest' | 'best' | (string & {}) = 'latest',
  ): Promise<RestoredCheckpoint<E> | null> {
    return this.#inTurn(() => this.#restore<E>(parts, which))
  }

  /** The checkpoints that look whole from outside, in the order that they were saved in. */
  list(): Promise<readonly CheckpointEntry[]> {
    return this.#inTurn(async () => (await this.#files()).filter(isEntry).map(({ name, step, metrics }) => ({ name, step, metrics })))
  }

  /** None would ever be kept as the best if the metric's name were misspelt. */
  #checkMonitor(metrics: Readonly<Record<string, number>>): void {
    const { monitor } = this.#retention
    const given = Object.keys(metrics)
    if (monitor === undefined || monitor in metrics || given.length === 0 || this.#warned) return
    this.#warned = true
    notice(`The best checkpoints in ${this.path} are to be known by ${monitor}, but this one has ${given.join(', ')}.`)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }

  async #write(pieces: readonly Uint8Array[], info: Info): Promise<string> {
    try {
      await mkdir(this.path, { recursive: true })
      if (!this.#cleaned) await removeStaleTemporaries(this.path)
      this.#cleaned = true
    } catch (cause) {
      throw ioFailure(this.path, 'written', cause)
    }
    const last = (await this.#names()).at(-1)
    const count = last === undefined ? 1 : numberOf(last) + 1
    const name = `${String(count).padStart(6, '0')}-step-${info.step}-${randomBytes(4).toString('hex')}`
    await writeWhole(this.#path(name), pieces)
    this.#known.set(name, { name, ...info })
    await this.#prune()
    return name
  }

  /** Only ever after a new one is safe. That something old cannot be removed is no reason for the training to end. */
  async #prune(): Promise<void> {
    try {
      const ours = (await this.#files()).filter(isEntry).filter(({ lineage }) => this.#lineage.includes(lineage[0]!))
      for (const { name } of superfluous(ours, this.#retention)) {
        await rm(this.#path(name), { force: true })
        this.#known.delete(name)
      }
    } catch (error) {
      notice(`Old checkpoints in ${this.path} cannot be removed: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  async #restore<E>(parts: CheckpointParts, which: string): Promise<RestoredCheckpoint<E> | null> {
    const files = await this.#files()
    const passed: Damaged[] = []
    for (const file of this.#candidates(files, which)) {
      const opened = 'damage' in file ? file : await this.#open(file.name)
      if (!opened) continue
      if ('damage' in opened) {
        this.#known.set(file.name, opened)
        passed.push(opened)
        continue
      }
      const { name, step, metrics, lineage } = file as Entry
      const extra = opened.load(parts) as E
      this.#lineage = [...new Set([this.#lineage[0]!, ...lineage])]
      for (const { damage, name: other } of passed)
        notice(`Checkpoint ${other} in ${this.path} is damaged: ${damage.message} Going on from ${name} (step ${step}).`)
      return { name, step, metrics, extra }
    }
    if (passed.length === 0) return null
    throw new CotangentError('corrupt-file', {
      op: 'CheckpointDirectory',
      message: `no checkpoint in ${this.path} that could be restored is whole:\n${passed.map((p) => `  ${p.name}: ${p.damage.message}`).join('\n')}\n`,
      hint: 'Put a copy of one there, or remove them to start over.',
      cause: passed[0]!.damage,
    })
  }

  /** What to restore from, the first choice first. */
  #candidates(files: readonly (Entry | Damaged)[], which: string): readonly (Entry | Damaged)[] {
    if (which === 'latest') return files.toReversed()
    if (which !== 'best') {
      const wanted = which.replace(/\.safetensors$/, '')
      const named = files.filter(({ name }) => name === wanted)
      if (named.length > 0) return named
      throw refused(
        `there is no checkpoint ${quoteName(which)} in ${this.path}`,
        files.length > 0 ? `There are ${files.map(({ name }) => name).join(', ')}.` : 'There are none.',
      )
    }
    if (this.#retention.monitor === undefined)
      throw refused(
        'which checkpoint is the best depends on a metric that was not named',
        "Make the directory with { monitor: 'valLoss' }.",
      )
    return [...files.filter((file) => 'damage' in file), ...bestFirst(files.filter(isEntry), this.#retention)]
  }

  /** Reads a whole file and checks it. Undefined: another process has removed it. */
  async #open(name: string): Promise<Damaged | Awaited<ReturnType<typeof openCheckpoint>> | undefined> {
    return this.#unlessDamaged(name, async () => openCheckpoint(await readWhole(this.#path(name)), nodeHashNow))
  }

  /** What the directory holds, in the order that it was saved in. */
  async #files(): Promise<(Entry | Damaged)[]> {
    const files = await Promise.all(
      (await this.#names()).map(async (name) => {
        const file = this.#known.get(name) ?? (await this.#unlessDamaged(name, () => readEntry(this.#path(name), name)))
        if (file) this.#known.set(name, file)
        return file
      }),
    )
    return files.filter((file) => file !== undefined)
  }

  async #unlessDamaged<T>(name: string, read: () => Promise<T>): Promise<T | Damaged | undefined> {
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof CotangentError)) throw error
      const reason = codeOf(error.cause)
      if (reason === 'ENOENT') return undefined
      // The disk cannot read what it has written. Other failures, such as a lack of permission, say nothing of the file.
      if (error.code === 'io-failure' && reason !== 'EIO') throw error
      return { name, damage: error }
    }
  }

  async #names(): Promise<string[]> {
    try {
      const found = (await readdir(this.path)).filter((file) => filePattern.test(file)).map((file) => file.slice(0, -extension.length))
      return found.sort((a, b) => numberOf(a) - numberOf(b) || (a < b ? -1 : 1))
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT') return []
      throw ioFailure(this.path, 'read', cause)
    }
  }

  #path(name: string): string {
    return join(this.path, `${name}${extension}`)
  }
}

const isEntry = (file: Entry | Damaged): file is Entry => !('damage' in file)
const numberOf = (name: string): number => Number.parseInt(name, 10)
const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'CheckpointDirectory', message, hint })

/** Reads only the header; whether the bytes are right is another matter, but their number must be. */
async function readEntry(path: string, name: string): Promise<Entry> {
  const { start, size } = await readStart(path, 8, headBytes)
  const { info, fileBytes } = decodeCheckpointHead(start)
  if (size !== fileBytes) throw corruptFile('CheckpointDirectory', `the file has ${size} bytes instead of ${fileBytes}`)
  if (!isInfo(info)) throw corruptFile('CheckpointDirectory', 'the header is not that of a checkpoint of a directory')
  return { name, step: info.step, metrics: info.metrics, lineage: info.lineage }
}

function isInfo(value: unknown): value is Info {
  const { step, metrics, lineage } = (value ?? {}) as Partial<Record<keyof Info, unknown>>
  return (
    isSize(step) &&
    typeof metrics === 'object' &&
    metrics !== null &&
    Object.values(metrics).every((metric) => typeof metric === 'number') &&
    Array.isArray(lineage) &&
    lineage.length > 0 &&
    lineage.every((run) => typeof run === 'string')
  )
}

import { realpath } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isEventFile } from '@cotangent/formats/tensorboard'
import { type EventSource, openEventFile } from './event-source.ts'
import { openLocalRunFile } from './local-run-source.ts'
import { type EventFile, findRuns, type RunFolder } from './run-folders.ts'
import { MarksFile } from './run-marks.ts'
import { Run } from './run.ts'

interface Change {
  /** Runs with new points, by id. */
  runs: number[]
  /** Runs, tags, graphs, traces or marks came, went or changed: the list of runs is another. */
  structure: boolean
}

/** Files are read so many at a time: reading waits for the disk, decoding for the processor. */
const readers = 4
/** A search of the folder takes at most this share of the time. */
const searchShare = 0.1

/** The runs under a folder, kept up to date while their files grow. */
export class RunStore {
  /** The folder without links, which is what paths are held against. */
  readonly root: string
  readonly runs = new Map<number, Run>()
  traces: readonly string[] = []
  readonly marks: MarksFile
  /** Bytes of event files that there are, and that have been read. */
  bytes = { found: 0, read: 0 }
  readonly #interval: number
  readonly #byName = new Map<string, Run>()
  readonly #sources = new Map<string, EventSource>()
  readonly #seenSizes = new Map<string, number>()
  #filesOf = new Map<string, readonly string[]>()
  readonly #listeners = new Set<(change: Change) => void>()
  readonly #stop = new AbortController()
  #nextId = 0
  #watching: Promise<void> | undefined
  #searched: Promise<void> = Promise.resolve()

  private constructor(root: string, interval: number) {
    this.root = root
    this.marks = new MarksFile(root)
    this.#interval = interval
  }

  /** Finds the runs under `folder` and begins to read them. @param interval milliseconds between two looks at the files. */
  static async open(folder: string, { interval = 1000 } = {}): Promise<RunStore> {
    const store = new RunStore(await realpath(resolve(folder)), interval)
    const first = await store.#search()
    store.#watching = store.#watch(first)
    return store
  }

  byName(name: string): Run | undefined {
    return this.#byName.get(name)
  }

  /** Calls `listener` after each batch of news, until the function that it returns is called. */
  listen(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Resolves when all that the files held at the time of the call has been read. */
  async settled(): Promise<void> {
    await this.#searched
    while (this.bytes.read < this.bytes.found && !this.#stop.signal.aborted) await sleep(5)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#watching
  }

  async #watch(first: RunFolder[]): Promise<void> {
    let folders = first
    while (!this.#stop.signal.aborted) {
      await this.#read(folders)
      const started = performance.now()
      await sleep(this.#interval, undefined, { signal: this.#stop.signal }).catch(() => undefined)
      if (this.#stop.signal.aborted) return
      const searching = this.#search()
      this.#searched = searching.then(
        () => undefined,
        () => undefined,
      )
      // The folder may be gone for a moment, or for good: what was read stays to be seen, and the next look may find it again.
      folders = await searching.catch(() => folders)
      const took = performance.now() - started - this.#interval
      await sleep(Math.max(0, took / searchShare - this.#interval), undefined, { signal: this.#stop.signal }).catch(() => undefined)
    }
  }

  async #search(): Promise<RunFolder[]> {
    const { runs: folders, traces } = await findRuns(this.root)
    let structure = traces.length !== this.traces.length || traces.some((trace, i) => trace !== this.traces[i])
    this.traces = traces
    if (await this.marks.refresh()) structure = true
    const names = new Set(folders.filter((folder) => !folder.files.some((file) => this.#shrank(file))).map(({ name }) => name))
    for (const [name, run] of this.#byName) {
      if (names.has(name)) continue
      // Another run took its place, or none: it is read anew.
      for (const path of this.#filesOf.get(name) ?? []) this.#forget(path)
      structure = true
      this.#byName.delete(name)
      this.runs.delete(run.id)
    }
    for (const { name } of folders) {
      if (this.#byName.has(name)) continue
      structure = true
      const run = new Run(this.#nextId++, name)
      this.#byName.set(name, run)
      this.runs.set(run.id, run)
    }
    this.#filesOf = new Map(folders.map(({ name, files }) => [name, files.map(({ path }) => path)]))
    const files = folders.flatMap((folder) => folder.files)
    this.bytes = {
      found: files.reduce((sum, { size }) => sum + size, 0),
      // What is not whole yet counts as read: there is nothing to wait for but the writer.
      read: files.reduce((sum, file) => sum + (this.#isNew(file) ? (this.#sources.get(file.path)?.offset ?? 0) : file.size), 0),
    }
    if (structure) this.#tell({ runs: [], structure })
    return folders
  }

  #shrank({ path, size }: EventFile): boolean {
    return size < (this.#sources.get(path)?.offset ?? 0)
  }

  #isNew({ path, size }: EventFile): boolean {
    return this.#seenSizes.get(path) !== size
  }

  #forget(path: string): void {
    this.#sources.delete(path)
    this.#seenSizes.delete(path)
  }

  async #read(folders: readonly RunFolder[]): Promise<void> {
    const work = folders.filter(({ files }) => files.some((file) => this.#isNew(file)))
    const next = work.values()
    const reader = async (): Promise<void> => {
      for (const folder of next) {
        const run = this.#byName.get(folder.name)
        // One run's files are read in order, or a restart would look like a step back in the wrong place.
        for (const file of folder.files) if (run && this.#isNew(file) && !this.#stop.signal.aborted) await this.#readFile(run, file)
      }
    }
    await Promise.all(Array.from({ length: readers }, reader))
  }

  async #readFile(run: Run, { path, size }: EventFile): Promise<void> {
    let source = this.#sources.get(path)
    if (source === undefined) {
      source = isEventFile(basename(path)) ? openEventFile(path) : openLocalRunFile(path)
      this.#sources.set(path, source)
    }
    const name = path.slice(this.root.length + 1)
    let { offset } = source
    let tags = tagCount(run)
    const advance = (to: number): void => {
      this.bytes.read += to - offset
      offset = to
    }
    try {
      for await (const events of source.read()) {
        for (const event of events) run.add(event)
        advance(source.offset)
        const before = tags
        tags = tagCount(run)
        this.#tell({ runs: [run.id], structure: tags !== before })
        if (this.#stop.signal.aborted) return
      }
      if (run.problems.delete(name)) this.#tell({ runs: [run.id], structure: true })
    } catch (error) {
      run.problems.set(name, (error as Error).message)
      this.#tell({ runs: [run.id], structure: true })
    }
    advance(Math.max(size, offset))
    this.#seenSizes.set(path, size)
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener(change)
  }
}

/** Goes up when a run gets something that the list of runs shows. */
const tagCount = (run: Run): number =>
  run.scalars.size +
  run.histograms.size +
  run.images.size +
  run.audio.size +
  run.texts.size +
  run.curves.size +
  run.profiles.size +
  (run.graph ? 1 : 0) +
  Object.keys(run.hparams ?? {}).length

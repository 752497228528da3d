import { CotangentError } from '../errors.ts'
import { defaultGenerator } from '../tensor/generator.ts'
import { type Batched, collate, type CollateOptions } from './collate.ts'
import type { ElementContext } from './element-context.ts'
import type { ElementStore } from './element-store.ts'
import { mix, seedOf } from './key.ts'
import { type Later, Pending } from './later.ts'
import { padElements, type PaddingOptions } from './pad-elements.ts'
import type { Sampler } from './sampler.ts'
import { elementsStage, type ElementsLike } from './sources/elements.ts'
import { type IndexedElements, indexedElementsStage } from './sources/indexed-elements.ts'
import { rangeStage } from './sources/range.ts'
import { tensorsStage } from './sources/tensors.ts'
import { type Cursor, describeStage, Opening, type Stage } from './stage.ts'
import { type BatchOptions, batchStage } from './stages/batch.ts'
import { type BucketOptions, bucketStage } from './stages/bucket.ts'
import { cacheStage } from './stages/cache.ts'
import { concatenateStage } from './stages/concatenate.ts'
import { enumerateStage } from './stages/enumerate.ts'
import { filterStage, type FilterOptions } from './stages/filter.ts'
import { type GroupKey, groupStage } from './stages/group.ts'
import { ignoreErrorsStage, type IgnoreErrorsOptions } from './stages/ignore-errors.ts'
import { type InnerFunction, type InterleaveOptions, interleaveStage } from './stages/interleave.ts'
import { type MapInWorkersOptions, mapInWorkersStage } from './stages/map-in-workers.ts'
import { type MapFunction, type MapOptions, mapStage } from './stages/map.ts'
import { type PrefetchDepth, prefetchStage } from './stages/prefetch.ts'
import { type RejectionResampleOptions, rejectionResampleStage } from './stages/rejection-resample.ts'
import { repeatStage } from './stages/repeat.ts'
import { type SampleFromOptions, sampleFromStage } from './stages/sample-from.ts'
import { type SampleOptions, sampleStage } from './stages/sample.ts'
import { type ScanFunction, scanStage } from './stages/scan.ts'
import { shuffleStage, type ShuffleOptions } from './stages/shuffle.ts'
import { shardStage, skipStage, takeStage } from './stages/slice.ts'
import { type SnapshotOptions, storedStage } from './stages/stored.ts'
import { type WindowOptions, windowStage } from './stages/window.ts'
import { zipStage } from './stages/zip.ts'
import { unbatch, type Unbatched } from './unbatch.ts'
import type { WorkerModule, WorkerPool } from './worker-pool.ts'
import { hostWaits, yieldToHost } from './yield.ts'

/** Where a dataset stands, for a checkpoint. */
export interface DatasetState {
  /** What the pipeline is made of. */
  readonly pipeline: string
  readonly seed: bigint
  readonly epoch: number
  /** Elements of that epoch that were handed out. */
  readonly position: number
  readonly cursor: unknown
}

/**
 * Elements that are made when they are asked for, and the ways to change, shuffle and batch them:
 *
 *     const batches = Dataset.fromTensors({ images, labels }).shuffle().batch(128)
 *     for await (const { images, labels } of batches) step(images, labels)
 *
 * Each `for` is one epoch. `for await` lets the host's other work run in between; a plain `for` does where no part of the pipeline has to
 * wait. Transformations give new datasets and have the names and meanings of TensorFlow's tf.data.
 *
 * The state (`stateDict`, `loadStateDict`) is the position behind the last element that was handed out. What was loaded holds for
 * the next `for`, which goes on there.
 */
export class Dataset<T> implements Iterable<T>, AsyncIterable<T> {
  /** What it is made of, for those who write transformations. */
  readonly stage: Stage<T>
  #seed: bigint | undefined
  #epoch = 0
  #position = 0
  /** The pass that is under way, or was left in the middle. */
  #pass: Cursor<T> | undefined
  /** Where the next pass goes on. */
  #resume: unknown

  constructor(stage: Stage<T>) {
    this.stage = stage
  }

  /** The elements of an array, iterable, async iterable, stream, or `Source`; or of what a function makes for each pass. */
  static from<T>(elements: ElementsLike<T>): Dataset<T> {
    return new Dataset(elementsStage(elements))
  }

  /** Slices along the first axis of tensors that go together: `{ images, labels }`, an array of tensors, or one. */
  static fromTensors<T>(tensors: T): Dataset<T> {
    return new Dataset(tensorsStage(tensors))
  }

  /** Elements that can be had by their index, like PyTorch's map-style datasets. */
  static fromIndexed<T>(elements: IndexedElements<T>): Dataset<T> {
    return new Dataset(indexedElementsStage(elements))
  }

  /** `range(end)`, `range(start, end)` or `range(start, end, step)`: numbers, the end excluded. */
  static range(...args: [end: number] | [start: number, end: number, step?: number]): Dataset<number> {
    const [start, end, step = 1] = args.length === 1 ? [0, args[0]] : args
    return new Dataset(rangeStage(start, end, step))
  }

  /** Elements of several datasets side by side, `[a, b]` or `{ a, b }`, as many as the shortest one has. */
  static zip<const D extends readonly Dataset<unknown>[] | Readonly<Record<string, Dataset<unknown>>>>(datasets: D): Dataset<Zipped<D>> {
    const names = Object.keys(datasets)
    const put = (row: unknown[]) => (Array.isArray(datasets) ? row : Object.fromEntries(names.map((name, i) => [name, row[i]])))
    return new Dataset(zipStage(stagesOf(Object.values(datasets)), put)) as Dataset<Zipped<D>>
  }

  /** Each element from one of several datasets, chosen at random. */
  static sampleFrom<T>(datasets: readonly Dataset<T>[], options: SampleFromOptions = {}): Dataset<T> {
    return new Dataset(sampleFromStage(stagesOf(datasets), options))
  }

  /** Elements (batches, behind `batch`) of an epoch; undefined where that is not known beforehand, Infinity where it never ends. */
  get length(): number | undefined {
    return this.stage.length
  }

  /** The epoch that is under way, else the one that comes next; counted from 0. */
  get epoch(): number {
    return this.#epoch
  }

  /** Elements of this epoch that were handed out. */
  get position(): number {
    return this.#position
  }

  /** Each element changed by a function. */
  map<U>(f: MapFunction<T, U>, options: MapOptions = {}): Dataset<U> {
    return new Dataset(mapStage(this.stage, f, options))
  }

  /**
   * Each element changed by a function of a module that runs in worker threads. What it returns comes back without being copied
   * where the host can hand memory over. Elements and random numbers are the same for any number of workers.
   *
   *     // augment.ts
   *     export const augment = inWorker(async (path: string, { generator }) => ({ image, label }))
   *     // elsewhere
   *     import type { augment } from './augment.ts'
   *     files.mapInWorkers<typeof augment>(new URL('./augment.ts', import.meta.url), { workers: 4 })
   *
   * With a bundler, `() => new Worker(new URL('./augment.ts', import.meta.url), { type: 'module' })` instead of the URL.
   */
  mapInWorkers<F extends (value: T, context: ElementContext) => unknown>(
    module: WorkerModule | WorkerPool<F>,
    options: MapInWorkersOptions = {},
  ): Dataset<Awaited<ReturnType<F>>> {
    return new Dataset(mapInWorkersStage(this.stage, module as WorkerModule, options)) as Dataset<Awaited<ReturnType<F>>>
  }

  /** The elements for which a function answers true. */
  filter<U extends T>(keep: (value: T) => value is U, options?: FilterOptions): Dataset<U>
  filter(keep: (value: T) => boolean | PromiseLike<boolean>, options?: FilterOptions): Dataset<T>
  filter(keep: (value: T) => boolean | PromiseLike<boolean>, options: FilterOptions = {}): Dataset<T> {
    return new Dataset(filterStage(this.stage, keep, options))
  }

  /** `batchSize` elements put together: see `collate`. */
  batch(batchSize: number, options?: { readonly dropLast?: boolean; readonly collate?: undefined } & CollateOptions): Dataset<Batched<T>>
  batch<B>(batchSize: number, options: BatchOptions<T, B>): Dataset<B>
  batch<B>(batchSize: number, options: BatchOptions<T, B> = {}): Dataset<B> {
    return new Dataset(batchStage(this.stage, batchSize, options))
  }

  /**
   * Batches of elements of different sizes: tensors and typed arrays are brought to one size first.
   *
   *     dataset.paddedBatch(32, { value: { labels: -100 }, multipleOf: 8 })
   */
  paddedBatch(
    batchSize: number,
    { dropLast = false, dtypes, ...padding }: PaddingOptions & CollateOptions & { readonly dropLast?: boolean } = {},
  ): Dataset<Batched<T>> {
    const pad = (elements: T[]) => collate(padElements('paddedBatch', elements, padding), { dtypes })
    return new Dataset(batchStage(this.stage, batchSize, { dropLast, collate: pad }, 'paddedBatch'))
  }

  /** Padded batches of elements of like lengths, which need little padding. */
  bucketBySequenceLength(lengthOf: (value: T) => number, options: BucketBySequenceLengthOptions): Dataset<Batched<T>> {
    const { boundaries, batchSizes, dropLast = false, padToBoundary = false, dtypes, ...padding } = options
    return new Dataset(bucketStage(this.stage, lengthOf, { boundaries, batchSizes, dropLast, padToBoundary, padding, dtypes }))
  }

  /** The elements of batches: slices along the first axis. */
  unbatch(): Dataset<Unbatched<T>> {
    return new Dataset(interleaveStage('unbatch', this.stage, unbatch, { cycleLength: 1, blockLength: Infinity }))
  }

  /** A random order: of all elements where they have indices, else of a buffer that elements pass through. */
  shuffle(options: ShuffleOptions = {}): Dataset<T> {
    return new Dataset(shuffleStage(this.stage, options))
  }

  /** What a sampler chooses among elements with indices: `weightedRandomSampler`, `distributedSampler`... */
  sample(sampler: Sampler, options: SampleOptions = {}): Dataset<T> {
    return new Dataset(sampleStage(this.stage, sampler, options))
  }

  /** All elements `count` times, by default without end. Shuffles before it make a new order each time. */
  repeat(count = Infinity): Dataset<T> {
    return new Dataset(repeatStage(this.stage, count))
  }

  /** The first `count` elements. */
  take(count: number): Dataset<T> {
    return new Dataset(takeStage(this.stage, count))
  }

  /** All but the first `count` elements. */
  skip(count: number): Dataset<T> {
    return new Dataset(skipStage(this.stage, count))
  }

  /** Every `count`-th element from the `index`-th on: a part for each of `count` processes. */
  shard(count: number, index: number): Dataset<T> {
    return new Dataset(shardStage(this.stage, count, index))
  }

  /** The elements of what a function makes of each element, one after the other. */
  flatMap<U>(f: InnerFunction<T, U>): Dataset<U> {
    return new Dataset(interleaveStage('flatMap', this.stage, f, { cycleLength: 1, blockLength: Infinity }))
  }

  /** The elements of what a function makes of each element, some from each of several in turn: of many files, for example. */
  interleave<U>(f: InnerFunction<T, U>, options: InterleaveOptions = {}): Dataset<U> {
    return new Dataset(interleaveStage('interleave', this.stage, f, options))
  }

  /** Pairs with the elements of another dataset, as many as the shorter one has. */
  zip<U>(other: Dataset<U>): Dataset<[T, U]> {
    return new Dataset(zipStage([this.stage, other.stage], (row) => row as [T, U]))
  }

  /** These elements, then those of other datasets. */
  concatenate(...others: Dataset<T>[]): Dataset<T> {
    return new Dataset(concatenateStage([this.stage, ...others.map(({ stage }) => stage)]))
  }

  /** Arrays of `size` elements that follow each other. */
  window(size: number, options: WindowOptions = {}): Dataset<T[]> {
    return new Dataset(windowStage(this.stage, size, options))
  }

  /** Elements made of each element and what those before it came to. */
  scan<S, U>(initial: S, f: ScanFunction<S, T, U>): Dataset<U> {
    return new Dataset(scanStage(this.stage, initial, f))
  }

  /** Elements with their number. */
  enumerate(start = 0): Dataset<[index: number, value: T]> {
    return new Dataset(enumerateStage(this.stage, start))
  }

  /** All elements by a key, which takes as much memory as they do. */
  groupBy<K extends GroupKey>(keyOf: (value: T) => K | PromiseLike<K>): Dataset<{ key: K; elements: T[] }> {
    return this.groupByWindow(keyOf, Infinity)
  }

  /** Elements of one key, handed out when there are `windowSize` of them, and the rest at the end. */
  groupByWindow<K extends GroupKey>(
    keyOf: (value: T) => K | PromiseLike<K>,
    windowSize: number | ((key: K) => number),
    { dropLast = false }: { readonly dropLast?: boolean } = {},
  ): Dataset<{ key: K; elements: T[] }> {
    const sizeOf = typeof windowSize === 'number' ? () => windowSize : windowSize
    return new Dataset(
      groupStage({ name: 'groupBy', input: this.stage, keyOf, sizeOf, dropLast, make: (key, elements: T[]) => ({ key, elements }) }),
    )
  }

  /** Leaves out elements at random such that the classes that a function tells come as often as wanted. */
  rejectionResample(classOf: (value: T) => number | PromiseLike<number>, options: RejectionResampleOptions): Dataset<T> {
    return new Dataset(rejectionResampleStage(this.stage, classOf, options))
  }

  /**
   * Keeps the elements when they are first made, in memory or in a store (`FileStore`) beyond the program's end. Random choices before
   * it are made once.
   */
  cache(store?: ElementStore): Dataset<T> {
    return new Dataset(store ? storedStage('cache', this.stage, store) : cacheStage(this.stage))
  }

  /**
   * Keeps the elements in a store as `cache` does, and can read them back in a random order each pass without holding them:
   *
   *     paths.map(decode).snapshot(new FileStore('decoded'), { shuffle: true })
   */
  snapshot(store: ElementStore, options: SnapshotOptions = {}): Dataset<T> {
    return new Dataset(storedStage('snapshot', this.stage, store, options))
  }

  /** Makes elements before they are asked for, where making them takes waiting; how many: a number, or found out. */
  prefetch(depth: PrefetchDepth = 'auto'): Dataset<T> {
    return new Dataset(prefetchStage(this.stage, depth))
  }

  /** Leaves out elements that cannot be read, or on which a function before this fails. */
  ignoreErrors(options: IgnoreErrorsOptions = {}): Dataset<T> {
    return new Dataset(ignoreErrorsStage(this.stage, options))
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    const pass = this.#begin()
    try {
      for (;;) {
        const step = now(pass.next(), this.stage)
        if (!step) break
        if (pass === this.#pass) this.#position++
        yield step.value
      }
      this.#end(pass)
    } finally {
      now(pass.close(), this.stage)
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    const pass = this.#begin()
    try {
      for (;;) {
        if (hostWaits()) await yieldToHost()
        const step = await pass.next()
        if (!step) break
        if (pass === this.#pass) this.#position++
        yield step.value
      }
      this.#end(pass)
    } finally {
      await pass.close()
    }
  }

  stateDict(): DatasetState {
    return {
      pipeline: describeStage(this.stage),
      seed: this.#ownSeed(),
      epoch: this.#epoch,
      position: this.#position,
      cursor: this.#pass?.state() ?? this.#resume ?? null,
    }
  }

  /** Leaves the pass that is under way, or was left in the middle, for good: the state is the beginning of the next epoch from now on. */
  endPass(): void {
    if (!this.#pass && this.#resume === undefined) return
    this.#pass = undefined
    this.#resume = undefined
    this.#position = 0
    this.#epoch++
  }

  /** @throws {CotangentError} `invalid-argument` for a state of another pipeline. */
  loadStateDict(state: DatasetState): void {
    const pipeline = describeStage(this.stage)
    const { seed, epoch, position } = state
    if (state.pipeline !== pipeline || typeof seed !== 'bigint' || !Number.isSafeInteger(epoch) || !Number.isSafeInteger(position)) {
      throw new CotangentError('invalid-argument', {
        op: 'Dataset',
        message: `the state is that of ${state.pipeline ?? 'something else'}, not of ${pipeline}`,
        hint: 'Build the pipeline as it was when the state was saved.',
      })
    }
    this.#seed = seed
    this.#epoch = epoch
    this.#position = position
    this.#pass = undefined
    this.#resume = state.cursor ?? undefined
  }

  #begin(): Cursor<T> {
    // A pass that was left in the middle is over now.
    if (this.#pass) this.#epoch++
    const resume = this.#pass ? undefined : this.#resume
    if (resume === undefined) this.#position = 0
    this.#resume = undefined
    this.#pass = this.stage.open(Opening.of(this.#ownSeed(), this.#epoch), resume)
    return this.#pass
  }

  #end(pass: Cursor<T>): void {
    // Another pass may have begun meanwhile.
    if (pass !== this.#pass) return
    this.#pass = undefined
    this.#position = 0
    this.#epoch++
  }

  #ownSeed(): bigint {
    if (this.#seed === undefined) {
      const [a, b, call] = defaultGenerator.next()
      this.#seed = seedOf(mix([a, b], call))
    }
    return this.#seed
  }
}

/** Elements of datasets side by side. */
export type Zipped<D> = { -readonly [K in keyof D]: D[K] extends Dataset<infer T> ? T : never }

/** How sequences are sorted into batches of similar lengths, and how they are padded there. */
export interface BucketBySequenceLengthOptions extends PaddingOptions, CollateOptions, BucketOptions {}

const stagesOf = <T>(datasets: readonly Dataset<T>[]): Stage<T>[] => datasets.map(({ stage }) => stage)

function now<T>(value: Later<T>, stage: Stage<unknown>): T {
  if (!(value instanceof Pending)) return value
  throw new CotangentError('async-only', {
    op: 'Dataset',
    message: `${describeStage(stage)} has to wait for elements, which a plain \`for\` cannot`,
    hint: 'Go through it with `for await`.',
  })
}

import { CotangentError } from '../errors.ts'
import { defaultGenerator } from '../tensor/generator.ts'
import type { Batched } from './collate.ts'
import { mix, seedOf } from './key.ts'
import { type Later, Pending } from './later.ts'
import { elementsStage, type ElementsLike } from './sources/elements.ts'
import { type IndexedElements, indexedElementsStage } from './sources/indexed-elements.ts'
import { rangeStage } from './sources/range.ts'
import { tensorsStage } from './sources/tensors.ts'
import { type Cursor, describeStage, Opening, type Stage } from './stage.ts'
import { type BatchOptions, batchStage } from './stages/batch.ts'
import { filterStage, type FilterOptions } from './stages/filter.ts'
import { type MapFunction, type MapOptions, mapStage } from './stages/map.ts'
import { shuffleStage, type ShuffleOptions } from './stages/shuffle.ts'
import { yieldToHost } from './yield.ts'

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

  /** The elements for which a function answers true. */
  filter<U extends T>(keep: (value: T) => value is U, options?: FilterOptions): Dataset<U>
  filter(keep: (value: T) => boolean | PromiseLike<boolean>, options?: FilterOptions): Dataset<T>
  filter(keep: (value: T) => boolean | PromiseLike<boolean>, options: FilterOptions = {}): Dataset<T> {
    return new Dataset(filterStage(this.stage, keep, options))
  }

  /** `batchSize` elements put together: see `collate`. */
  batch(batchSize: number, options?: { readonly dropLast?: boolean }): Dataset<Batched<T>>
  batch<B>(batchSize: number, options: BatchOptions<T, B> & { readonly collate: (elements: T[]) => B | PromiseLike<B> }): Dataset<B>
  batch<B>(batchSize: number, options: BatchOptions<T, B> = {}): Dataset<B> {
    return new Dataset(batchStage(this.stage, batchSize, options))
  }

  /** A random order: of all elements where they have indices, else of a buffer that elements pass through. */
  shuffle(options: ShuffleOptions = {}): Dataset<T> {
    return new Dataset(shuffleStage(this.stage, options))
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
        await yieldToHost()
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

function now<T>(value: Later<T>, stage: Stage<unknown>): T {
  if (!(value instanceof Pending)) return value
  throw new CotangentError('async-only', {
    op: 'Dataset',
    message: `${describeStage(stage)} has to wait for elements, which a plain \`for\` cannot`,
    hint: 'Go through it with `for await`.',
  })
}

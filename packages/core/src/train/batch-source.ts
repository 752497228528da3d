import { hostWaits, yieldToHost } from '../data/yield.ts'
import { CotangentError } from '../errors.ts'
import type { Stateful } from '../io/checkpoint.ts'
import type { BatchData } from './batch.ts'

type AnyIterator = Iterator<unknown> | AsyncIterator<unknown>

/** Batches of a training, pass after pass, with what it takes to go on in the middle of one. */
export class BatchSource {
  readonly #data: BatchData
  #iterator: AnyIterator | undefined

  /** @throws {CotangentError} `invalid-argument` for what cannot be gone through. */
  constructor(data: BatchData) {
    if (typeof data !== 'object' || data === null || !(Symbol.iterator in data || Symbol.asyncIterator in data)) {
      throw new CotangentError('invalid-argument', {
        op: 'fit',
        message: 'the data cannot be gone through',
        hint: 'Pass a Dataset, an array of batches, any iterable of them, or tensors by name: { x, y }.',
      })
    }
    this.#data = data
  }

  /** Batches in a pass, where that is known. */
  get length(): number | undefined {
    const { length } = this.#data
    return typeof length === 'number' && Number.isFinite(length) ? length : undefined
  }

  /** Whether a pass is known never to end. */
  get isEndless(): boolean {
    return this.#data.length === Number.POSITIVE_INFINITY
  }

  /** The data, if it can say where it is. */
  get stateful(): Stateful | undefined {
    const { stateDict, loadStateDict } = this.#data as Partial<Stateful>
    return typeof stateDict === 'function' && typeof loadStateDict === 'function' ? (this.#data as unknown as Stateful) : undefined
  }

  /**
   * The next batch, as a promise where it has to be waited for; undefined at the end of a pass, behind which another one begins. Lets
   * the host's other work run.
   */
  next(): unknown {
    this.#iterator ??= Symbol.asyncIterator in this.#data ? this.#data[Symbol.asyncIterator]() : this.#data[Symbol.iterator]()
    const step = this.#iterator.next()
    return step instanceof Promise || hostWaits() ? this.#later(step) : this.#take(step)
  }

  async #later(step: IteratorResult<unknown> | Promise<IteratorResult<unknown>>): Promise<unknown> {
    const awaited = await step
    if (hostWaits()) await yieldToHost()
    return this.#take(awaited)
  }

  #take({ done, value }: IteratorResult<unknown>): unknown {
    if (!done) return value
    this.#iterator = undefined
    return undefined
  }

  /** Leaves the pass: data with a state stay where they are. */
  async close(): Promise<void> {
    const iterator = this.#iterator
    this.#iterator = undefined
    await iterator?.return?.()
  }

  /** Ends the pass before its end: the next one begins at the beginning, also for those who go on from a checkpoint. */
  async end(): Promise<void> {
    await this.close()
    ;(this.#data as { endPass?: () => void }).endPass?.()
  }
}

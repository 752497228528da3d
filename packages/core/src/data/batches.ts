import { CotangentError } from '../errors.ts'
import { permutation } from '../op/random.ts'
import { Generator } from '../tensor/generator.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { yieldToHost } from './yield.ts'

export interface BatchOptions {
  /** Rows a batch; the last one may have fewer. */
  readonly batchSize: number
  /** A new order each time the batches are gone through. */
  readonly shuffle?: boolean
  /** Seed of the orders; default random. */
  readonly seed?: number | bigint
  /** Leaves out a last batch that is not full. */
  readonly dropLast?: boolean
}

/**
 * Tensors that go together (images and their labels), in mini-batches along their first axis: `for (const batch of batches)`
 * or `for await`, which lets timers, signals and other work of the host run in between.
 */
export class Batches<T extends Readonly<Record<string, Tensor>>> implements Iterable<T>, AsyncIterable<T> {
  readonly #tensors: T
  readonly #options: BatchOptions
  readonly #generator: Generator
  /** Number of examples. */
  readonly size: number
  /** Batches that have been dealt with, over all passes: set it to go on where another run stopped, in the orders that it would have had. */
  position = 0

  constructor(tensors: T, options: BatchOptions) {
    const sizes = Object.values(tensors).map((t) => t.shape[0])
    const [size] = sizes
    if (size === undefined || sizes.some((n) => n !== size)) {
      throw new CotangentError('shape-mismatch', {
        op: 'Batches',
        message: 'all tensors must have the same first size',
        shapes: Object.values(tensors).map((t) => t.shape),
        hint: 'The first axis counts the examples.',
      })
    }
    if (!Number.isInteger(options.batchSize) || options.batchSize < 1) {
      throw new CotangentError('invalid-argument', {
        op: 'Batches',
        message: `batchSize is ${options.batchSize}`,
        hint: 'It must be a positive integer.',
      })
    }
    this.#tensors = tensors
    this.#options = options
    this.#generator = new Generator(options.seed)
    this.size = size
  }

  /** Number of batches in one pass. */
  get length(): number {
    const batches = this.size / this.#options.batchSize
    return this.#options.dropLast ? Math.floor(batches) : Math.ceil(batches)
  }

  *[Symbol.iterator](): Iterator<T> {
    const { length } = this
    const { batchSize } = this.#options
    if (length === 0) return
    const order = this.#order(Math.floor(this.position / length))
    for (let i = this.position % length; i < length; i++) {
      const count = Math.min(batchSize, this.size - i * batchSize)
      const rows = order?.narrow(0, i * batchSize, count)
      const cut = (t: Tensor) => (rows ? t.indexSelect(0, rows) : t.narrow(0, i * batchSize, count))
      yield Object.fromEntries(Object.entries(this.#tensors).map(([name, t]) => [name, cut(t)])) as T
      this.position++
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for (const batch of this) {
      await yieldToHost()
      yield batch
    }
  }

  /** The order of a pass: a function of the seed and the number of the pass. */
  #order(pass: number): Tensor | null {
    this.#generator.state = { seed: this.#generator.state.seed, calls: pass }
    return this.#options.shuffle ? permutation(this.size, { generator: this.#generator }) : null
  }
}

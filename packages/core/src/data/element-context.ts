import { Generator } from '../tensor/generator.ts'
import { type Key, mix, seedOf } from './key.ts'

/** What a map's function is told besides the element. */
export interface ElementContext {
  /** Number of the element in this pass. */
  readonly index: number
  /** Random numbers that depend on seed, pass and element only, however many elements are made at once. */
  readonly generator: Generator
}

/** Most functions draw no random numbers: the generator is made when it is asked for. */
export class LazyContext implements ElementContext {
  readonly index: number
  readonly #key: Key
  #generator: Generator | undefined

  constructor(index: number, key: Key) {
    this.index = index
    this.#key = key
  }

  get generator(): Generator {
    return (this.#generator ??= new Generator(seedOf(mix(this.#key, this.index))))
  }
}

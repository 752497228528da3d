import { Generator } from '../../tensor/generator.ts'
import { checkCount } from '../check.ts'
import { type Key, mix, seedOf } from '../key.ts'
import { applyTo } from '../place.ts'
import { type Stage, stageOver } from '../stage.ts'
import { parallelPass, type ParallelState } from './parallel.ts'

/** What a map's function is told besides the element. */
export interface ElementContext {
  /** Number of the element in this pass. */
  readonly index: number
  /** Random numbers that depend on seed, pass and element only, however many elements are made at once. */
  readonly generator: Generator
}

export interface MapOptions {
  /** How many elements are made at once, where the function gives promises; default 1. */
  readonly parallel?: number
  /** `false` hands elements on as they are done, in whatever order; default true. */
  readonly ordered?: boolean
  /** Seed of the function's `generator`; default the dataset's. */
  readonly seed?: number | bigint
}

export type MapFunction<T, U> = (value: T, context: ElementContext) => U | PromiseLike<U>

export function mapStage<T, U>(input: Stage<T>, f: MapFunction<T, U>, { parallel = 1, ordered = true, seed }: MapOptions): Stage<U> {
  checkCount('map', 'parallel', parallel)
  return stageOver<T, U, ParallelState>({
    name: 'map',
    input,
    length: input.length,
    pass: (cursor, opening, saved) => {
      const key = opening.key(seed)
      return parallelPass(cursor, saved, {
        atOnce: parallel,
        ordered,
        apply: (step, index) => applyTo('map', step, (value) => f(value, new LazyContext(index, key))),
      })
    },
  })
}

/** Most functions draw no random numbers: the generator is made when it is asked for. */
class LazyContext implements ElementContext {
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

import { checkCount } from '../check.ts'
import { type ElementContext, LazyContext } from '../element-context.ts'
import { applyTo } from '../place.ts'
import { type Stage, stageOver } from '../stage.ts'
import { parallelPass, type ParallelState } from './parallel.ts'

/** How a function is run over elements, several at a time if it is asynchronous. */
export interface MapOptions {
  /** How many elements are made at once, where the function gives promises; default 1. */
  readonly parallel?: number
  /** `false` hands elements on as they are done, in whatever order; default true. */
  readonly ordered?: boolean
  /** Seed of the function's `generator`; default the dataset's. */
  readonly seed?: number | bigint
}

/** Makes an element of another one; may be async, which is worth it only where it waits for something. */
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

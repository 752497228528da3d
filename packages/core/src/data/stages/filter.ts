import { checkCount } from '../check.ts'
import { after, run, wait } from '../later.ts'
import { applyTo } from '../place.ts'
import { type Stage, stageOver } from '../stage.ts'
import { parallelPass, type ParallelState } from './parallel.ts'

/** How a predicate is run over elements. */
export interface FilterOptions {
  /** How many elements are looked at at once, where the function gives promises; default 1. */
  readonly parallel?: number
}

export function filterStage<T>(input: Stage<T>, keep: (value: T) => unknown, { parallel = 1 }: FilterOptions): Stage<T> {
  checkCount('filter', 'parallel', parallel)
  return stageOver<T, T, ParallelState>({
    name: 'filter',
    input,
    length: undefined,
    pass: (cursor, _, saved) => {
      const judged = parallelPass(cursor, saved, {
        atOnce: parallel,
        ordered: true,
        apply: (step) => after(applyTo('filter', step, keep), (verdict) => ({ value: step.value, kept: Boolean(verdict) })),
      })
      function* next() {
        for (;;) {
          const step = yield* wait(judged.next())
          if (!step) return undefined
          if (step.value.kept) return { value: step.value.value, place: step.place }
        }
      }
      return { next: () => run(next()), state: () => judged.state!(), close: () => judged.close!() }
    },
  })
}

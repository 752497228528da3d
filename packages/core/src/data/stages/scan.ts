import { run, wait } from '../later.ts'
import { applyTo } from '../place.ts'
import { loadStep, loadValue, type SavedStep, saveStep, saveValue } from '../saved-value.ts'
import { type Stage, stageOver, type Step } from '../stage.ts'

/** Takes what the elements before came to and an element; gives what it comes to now, and the new element. */
export type ScanFunction<S, T, U> = (state: S, value: T) => readonly [state: S, value: U] | PromiseLike<readonly [state: S, value: U]>

interface ScanState {
  readonly state: unknown
  readonly held: SavedStep | null
}

export function scanStage<T, S, U>(input: Stage<T>, initial: S, f: ScanFunction<S, T, U>): Stage<U> {
  return stageOver<T, U, ScanState>({
    name: 'scan',
    input,
    length: input.length,
    pass: (cursor, _, saved) => {
      let state = saved ? (loadValue(saved.state) as S) : initial
      let held: Step<T> | undefined = saved?.held ? loadStep(saved.held) : undefined
      function* next() {
        held ??= yield* wait(cursor.next())
        if (!held) return undefined
        const step: Step<T> = held
        try {
          const [after, value] = yield* wait(applyTo('scan', step, (element) => f(state, element)))
          state = after
          return { value, place: step.place }
        } finally {
          held = undefined
        }
      }
      return { next: () => run(next()), state: () => ({ state: saveValue(state), held: held ? saveStep(held) : null }) }
    },
  })
}

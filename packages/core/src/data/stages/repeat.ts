import { checkCount } from '../check.ts'
import { run, wait } from '../later.ts'
import type { Cursor, Stage } from '../stage.ts'

interface RepeatState {
  readonly round: number
  readonly empty: boolean
  readonly input: unknown
}

/** The input again and again; shuffles in it make a new order each time. */
export function repeatStage<T>(input: Stage<T>, count: number): Stage<T> {
  checkCount('repeat', 'count', count, { least: 0, infinite: true })
  return {
    name: 'repeat',
    inputs: [input],
    length:
      count === 0 || input.length === 0
        ? 0
        : input.length === undefined
          ? count === Infinity
            ? Infinity
            : undefined
          : input.length * count,
    open(opening, state) {
      const saved = state as RepeatState | undefined
      let { round, empty } = saved ?? { round: 0, empty: true }
      const enter = (from?: unknown): Cursor<T> => input.open(opening.input().repetition(round), from)
      let cursor = enter(saved?.input)
      function* next() {
        while (round < count) {
          const step = yield* wait(cursor.next())
          if (step) {
            empty = false
            return step
          }
          // Otherwise it would look for elements forever.
          if (empty) return undefined
          const over = cursor
          round++
          empty = true
          cursor = enter()
          yield* wait(over.close())
        }
        return undefined
      }
      return {
        next: () => run(next()),
        state: (): RepeatState => ({ round, empty, input: cursor.state() }),
        close: () => cursor.close(),
      }
    },
  }
}

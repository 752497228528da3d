import { indexedStage } from '../indexed.ts'
import { run, wait } from '../later.ts'
import type { Cursor, Indexed, Stage } from '../stage.ts'

interface ConcatenateState {
  readonly at: number
  readonly input: unknown
}

/** One after the other. */
export function concatenateStage<T>(inputs: readonly Stage<T>[]): Stage<T> {
  const length = inputs.reduce<number | undefined>(
    (sum, { length }) => (sum === undefined || length === undefined ? undefined : sum + length),
    0,
  )
  if (length !== undefined && length !== Infinity && inputs.every(({ indexed }) => indexed)) {
    return indexedStage({
      name: 'concatenate',
      inputs,
      length,
      open: (opening) =>
        joined(
          inputs.map((input, i) => input.indexed!(opening.input(i))),
          length,
        ),
    })
  }
  return {
    name: 'concatenate',
    inputs,
    length,
    open(opening, state) {
      const saved = state as ConcatenateState | undefined
      let at = saved?.at ?? 0
      const enter = (from?: unknown): Cursor<T> | undefined => inputs[at]?.open(opening.input(at), from)
      let cursor = enter(saved?.input)
      function* next() {
        while (cursor) {
          const step = yield* wait(cursor.next())
          if (step) return step
          const over = cursor
          at++
          cursor = enter()
          yield* wait(over.close())
        }
        return undefined
      }
      return {
        next: () => run(next()),
        state: (): ConcatenateState => ({ at, input: cursor?.state() }),
        close: () => cursor?.close(),
      }
    },
  }
}

function joined<T>(parts: readonly Indexed<T>[], length: number): Indexed<T> {
  const find = (index: number): [part: Indexed<T>, index: number] => {
    let i = index
    for (const part of parts) {
      if (i < part.length) return [part, i]
      i -= part.length
    }
    throw new RangeError(`${index} of ${length}`)
  }
  const ask = <U>(index: number, question: (part: Indexed<T>, index: number) => U): U => question(...find(index))
  return {
    length,
    at: (index) => ask(index, (part, i) => part.at(i)),
    placeOf: (index) => ask(index, (part, i) => part.placeOf(i)),
  }
}

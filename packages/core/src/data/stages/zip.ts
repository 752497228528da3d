import { CotangentError } from '../../errors.ts'
import { indexedStage } from '../indexed.ts'
import { after, type Later, run, wait } from '../later.ts'
import type { Place } from '../place.ts'
import { loadValue, saveValue } from '../saved-value.ts'
import type { Cursor, Indexed, Stage } from '../stage.ts'

interface ZipState {
  readonly inputs: readonly unknown[]
  readonly row: readonly unknown[]
  readonly place: Place | null
}

/** Elements of several stages side by side, for as long as all of them have some. `put` makes the row. */
export function zipStage<T>(inputs: readonly Stage<unknown>[], put: (row: unknown[]) => T): Stage<T> {
  if (inputs.length === 0)
    throw new CotangentError('invalid-argument', { op: 'zip', message: 'there is nothing to zip', hint: 'Give one dataset at least.' })
  const lengths = inputs.map(({ length }) => length)
  const length = lengths.includes(0) ? 0 : lengths.includes(undefined) ? undefined : Math.min(...(lengths as number[]))
  if (length !== undefined && length !== Infinity && inputs.every(({ indexed }) => indexed)) {
    return indexedStage({
      name: 'zip',
      inputs,
      length,
      hasRows: inputs.every(({ hasRows }) => hasRows),
      open: (opening) =>
        zipped(
          inputs.map((input, i) => input.indexed!(opening.input(i))),
          length,
          put,
        ),
    })
  }
  return {
    name: 'zip',
    inputs,
    length,
    open(opening, state) {
      const saved = state as ZipState | undefined
      const cursors = inputs.map((input, i) => input.open(opening.input(i), saved?.inputs[i]))
      let row = (saved?.row ?? []).map(loadValue)
      let place = saved?.place ?? undefined
      function* next() {
        while (row.length < cursors.length) {
          const step = yield* wait(cursors[row.length]!.next())
          if (!step) return undefined
          if (row.length === 0) place = step.place
          row.push(step.value)
        }
        const value = put(row)
        row = []
        return { value, place }
      }
      return {
        next: () => run(next()),
        state: (): ZipState => ({ inputs: cursors.map((cursor) => cursor.state()), row: row.map(saveValue), place: place ?? null }),
        close: () => closeAll(cursors),
      }
    },
  }
}

function zipped<T>(parts: readonly Indexed<unknown>[], length: number, put: (row: unknown[]) => T): Indexed<T> {
  return {
    length,
    at: (index) =>
      after(
        inOrder(parts, (part) => part.at(index)),
        put,
      ),
    placeOf: (index) => parts[0]!.placeOf(index),
    rows: (indices) => put(parts.map((part) => part.rows!(indices))),
  }
}

function inOrder<T, U>(values: readonly T[], make: (value: T) => Later<U>): Later<U[]> {
  function* each() {
    const made: U[] = []
    for (const value of values) made.push(yield* wait(make(value)))
    return made
  }
  return run(each())
}

/** Closes all, also where closing one fails. */
export function closeAll(cursors: readonly Cursor<unknown>[]): Later<void> {
  function* each() {
    let failure: { readonly error: unknown } | undefined
    for (const cursor of cursors) {
      try {
        yield* wait(cursor.close())
      } catch (error) {
        failure ??= { error }
      }
    }
    if (failure) throw failure.error
  }
  return run(each())
}

import { decodeCheckpoint, encodeCheckpoint } from '../../io/checkpoint.ts'
import type { ElementStore, ElementWriter, StoredElements } from '../element-store.ts'
import { finallyDo, later, run, wait } from '../later.ts'
import { loadValue, saveValue } from '../saved-value.ts'
import { type Cursor, describeStage, type Stage, type Step } from '../stage.ts'

/** Keeps elements in a store: the first pass makes them, later ones read them, also those of other programs. */
export function storedStage<T>(input: Stage<T>, store: ElementStore): Stage<T> {
  const pipeline = describeStage(input)
  return {
    name: 'cache',
    inputs: [input],
    length: input.length,
    open(opening, state) {
      let given = (state as number | undefined) ?? 0
      let written = 0
      let stored: StoredElements | undefined
      let writer: ElementWriter | undefined
      let cursor: Cursor<T> | undefined
      function* start() {
        stored = yield* wait(later(store.open(pipeline)))
        if (stored) return
        cursor = input.open(opening.input().fixed)
        writer = yield* wait(later(store.create(pipeline)))
      }
      function* make() {
        // A pass that goes on in the middle has to store what the one before it handed out, too.
        for (;;) {
          const step: Step<T> | undefined = yield* wait(cursor!.next())
          if (!step) {
            yield* wait(later(writer!.finish()))
            writer = undefined
            return undefined
          }
          const bytes = yield* wait(later(encodeCheckpoint({}, saveValue(step.value))))
          yield* wait(later(writer!.write(bytes)))
          if (written++ < given) continue
          given++
          return step
        }
      }
      function* next() {
        if (!stored && !cursor) yield* start()
        if (!stored) return writer ? yield* make() : undefined
        if (given >= stored.length) return undefined
        const bytes = yield* wait(later(stored.read(given)))
        const value = loadValue(yield* wait(later(decodeCheckpoint(bytes, {})))) as T
        return { value, place: { source: 'cache', index: given++ } }
      }
      return {
        next: () => run(next()),
        state: () => given,
        close: () =>
          finallyDo(
            () => cursor?.close(),
            () => later(Promise.all([writer?.abandon(), stored?.close()])),
          ),
      }
    },
  }
}

import { CotangentError } from '../../errors.ts'
import { corruptFile } from '../../io/array-record.ts'
import { decodeCheckpoint, encodeCheckpoint } from '../../io/checkpoint.ts'
import type { ElementStore, ElementWriter, StoredElements } from '../element-store.ts'
import { randomOf } from '../key.ts'
import { finallyDo, later, run, wait } from '../later.ts'
import { permuted } from '../random.ts'
import { loadValue, saveValue } from '../saved-value.ts'
import { type Cursor, describeStage, type Stage, type Step } from '../stage.ts'

/** In which order stored elements are read: that of the input, by default. */
export interface SnapshotOptions {
  /**
   * Whether passes that read what was stored have a random order each, of all elements; default false. The pass that stores them
   * has the order of its input.
   */
  readonly shuffle?: boolean
  /** Seed of that order; default the dataset's. */
  readonly seed?: number | bigint
}

interface StoredState {
  readonly given: number
  /** Whether they came in a random order. */
  readonly shuffled: boolean
}

/** Keeps elements in a store: the first pass makes them, later ones read them, also those of other programs. */
export function storedStage<T>(
  name: 'cache' | 'snapshot',
  input: Stage<T>,
  store: ElementStore,
  { shuffle = false, seed }: SnapshotOptions = {},
): Stage<T> {
  const pipeline = describeStage(input)
  return {
    name,
    inputs: [input],
    length: input.length,
    open(opening, state) {
      const saved = state as StoredState | undefined
      let given = saved?.given ?? 0
      let shuffled = saved?.shuffled ?? false
      let written = 0
      let stored: StoredElements | undefined
      let order: Int32Array | undefined
      let writer: ElementWriter | undefined
      let cursor: Cursor<T> | undefined
      function* start() {
        stored = yield* wait(later(store.open(pipeline)))
        if (stored) {
          if (given === 0) shuffled = shuffle
          if (shuffled) order = permuted(stored.length, randomOf(opening.key(seed)))
          return
        }
        if (shuffled) throw gone(name)
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
        const index = order ? order[given]! : given
        const bytes = yield* wait(later(stored.read(index)))
        const value = loadValue(yield* wait(later(decode(name, stored, index, bytes)))) as T
        given++
        return { value, place: { source: name, index } }
      }
      return {
        next: () => run(next()),
        state: (): StoredState => ({ given, shuffled }),
        close: () =>
          finallyDo(
            () => cursor?.close(),
            () => later(Promise.all([writer?.abandon(), stored?.close()])),
          ),
      }
    },
  }
}

async function decode(op: string, stored: StoredElements, index: number, bytes: Uint8Array): Promise<unknown> {
  try {
    return await decodeCheckpoint(bytes, {})
  } catch (cause) {
    throw corruptFile(op, `element ${index} of ${stored.name ?? 'the store'} is not what was stored`, {
      hint: 'Delete what is stored: its elements are made again.',
      cause,
    })
  }
}

const gone = (op: string) =>
  new CotangentError('invalid-argument', {
    op,
    message: 'the elements are no longer stored whose order this pass goes on in',
    hint: 'Begin the epoch anew, or put the folder back.',
  })

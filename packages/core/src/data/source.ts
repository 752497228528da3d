import { after, type Later, later, run, unanswered, wait } from './later.ts'
import { isBadRecord, type Place } from './place.ts'
import type { Cursor, Stage } from './stage.ts'

/**
 * Where elements come from. Readers of file formats implement it, and `Dataset.from(source)` makes a dataset of it:
 *
 *     const source: Source<Row> = { name: 'train.csv', open: (position) => new CsvReader('train.csv', position) }
 */
export interface Source<T> {
  /** For messages. */
  readonly name: string
  /** Elements, where that is known without reading all of them. */
  readonly length?: number | undefined
  /** Begins a pass, or goes on with one where `position` of an earlier reader said. */
  open(position?: unknown): SourceReader<T> | PromiseLike<SourceReader<T>>
}

/** One pass over a source: gives its elements in order. */
export interface SourceReader<T> {
  /**
   * The next element; undefined at the end. Best answers at once where it can: promises cost time. It is called again when the
   * last answer is there. An element that cannot be read is thrown as `badRecord(...)`, after which reading can go on.
   */
  next(): SourceItem<T> | undefined | PromiseLike<SourceItem<T> | undefined>
  /**
   * Where the next element begins, as plain data: numbers, texts. Without it, a pass that goes on reads what it has
   * had before and skips it.
   */
  position?(): unknown
  close?(): void | PromiseLike<void>
}

/** An element of a source, and where it came from. */
export interface SourceItem<T> {
  readonly value: T
  /** Where it is, for messages. The source's name is filled in. */
  readonly place?: Place
}

export function isSource(value: unknown): value is Source<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as Source<unknown>).open === 'function'
}

interface SourceState {
  /** Elements that were read. */
  readonly read: number
  readonly position?: unknown
}

export function sourceStage<T>(source: Source<T>): Stage<T> {
  return {
    name: source.name,
    inputs: [],
    length: source.length,
    open: (_, state) => openSource(source, state as SourceState | undefined),
  }
}

function openSource<T>(source: Source<T>, saved: SourceState | undefined): Cursor<T> {
  let reader: SourceReader<T> | undefined
  let state: SourceState = saved ?? { read: 0 }
  let ended = false
  let closed = false
  const advance = () => {
    const position = reader?.position?.()
    state = position === undefined ? { read: state.read + 1 } : { read: state.read + 1, position }
  }
  function* start() {
    const opened = yield* wait(later(source.open(state.position)))
    if (closed) return yield* wait(later(opened.close?.()))
    reader = opened
    if (state.position !== undefined) return
    for (let skip = state.read; skip > 0; skip--) {
      try {
        yield* wait(later(reader.next()))
      } catch (error) {
        if (!isBadRecord(error)) throw error
      }
    }
  }
  function* next() {
    if (ended) return undefined
    if (!reader && !closed) yield* start()
    let item: SourceItem<T> | undefined
    try {
      if (!closed) item = yield* wait(later(reader!.next()))
      if (closed) return yield* wait(unanswered<undefined>())
    } catch (error) {
      if (isBadRecord(error)) advance()
      throw error
    }
    if (!item) {
      ended = true
      return undefined
    }
    const place = { source: source.name, index: state.read, ...item.place }
    advance()
    return { value: item.value, place }
  }
  return {
    next: () => run(next()),
    state: () => state,
    close: (): Later<void> => {
      const open = reader
      closed = true
      reader = undefined
      return after(later(open?.close?.()), () => {})
    },
  }
}

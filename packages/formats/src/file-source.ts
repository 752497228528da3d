import { badRecord, type Place, type Source, type SourceItem, type SourceReader } from 'cotangent/data'

interface FileSourceOptions<T> {
  readonly name: string
  readonly length?: number
  readonly open: (position: unknown) => SourceReader<T> | PromiseLike<SourceReader<T>>
}

/**
 * What the readers of this package give: `Dataset.from(source)` makes a dataset of it, which can go on in the middle of a pass; `for await`
 * goes through it. Each pass reads the file anew.
 */
export class FileSource<T> implements Source<T>, AsyncIterable<T> {
  readonly name: string
  /** Elements, where that is known. */
  readonly length: number | undefined
  /** Begins a pass, or goes on with one where `position` of an earlier reader said. */
  readonly open: (position?: unknown) => SourceReader<T> | PromiseLike<SourceReader<T>>

  constructor({ name, length, open }: FileSourceOptions<T>) {
    this.name = name
    this.length = length
    this.open = open
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    const reader = await this.open()
    try {
      for (;;) {
        const answer = reader.next()
        const item = isPromise(answer) ? await answer : answer
        if (!item) return
        yield item.value
      }
    } finally {
      await reader.close?.()
    }
  }
}

/** What takes bytes and gives elements. */
export interface Decoder<T> {
  push(bytes: Uint8Array): void
  /** The next whole element. */
  next(): SourceItem<T> | undefined
  /** There are no more bytes: what is left may be an element, or an error. */
  end(): void
  position(): unknown
}

/** A pass over pieces of bytes through a decoder. Elements that are at hand are given without waiting. */
export function readerOf<T>(pieces: AsyncIterable<Uint8Array>, decoder: Decoder<T>): Required<SourceReader<T>> {
  const iterator = pieces[Symbol.asyncIterator]()
  let ended = false
  const more = async (): Promise<SourceItem<T> | undefined> => {
    while (!ended) {
      const { done, value } = await iterator.next()
      if (done) {
        ended = true
        decoder.end()
      } else {
        decoder.push(value)
      }
      const item = decoder.next()
      if (item) return item
    }
    return undefined
  }
  return {
    next: () => decoder.next() ?? (ended ? undefined : more()),
    position: () => decoder.position(),
    close: async () => {
      if (!ended) await iterator.return?.()
      ended = true
    },
  }
}

function isPromise<T>(answer: T | PromiseLike<T>): answer is PromiseLike<T> {
  return typeof answer === 'object' && answer !== null && 'then' in answer
}

/** What went wrong with one element of a file, after which reading can go on. `place`: where, unless `cause` says it. */
export function badElement(op: string, place: Place | undefined, cause: unknown): Error {
  const message = cause instanceof Error ? cause.message : String(cause)
  return badRecord(op, message.replace(/\.$/, ''), { place, cause })
}

import { CotangentError } from 'cotangent'
import type { Bytes } from './bytes.ts'

/** Where an element is. */
export interface Place {
  readonly source?: string
  /** Counted from 1. */
  readonly line?: number
  /** Bytes from the beginning. */
  readonly offset?: number
  /** Counted from 0. */
  readonly index?: number
}

export interface Item<T> {
  readonly value: T
  readonly place: Place
}

/** One pass over a file. */
export interface Reader<T> {
  /** The next element, undefined at the end; at once where it is at hand. */
  next(): Item<T> | undefined | Promise<Item<T> | undefined>
  /** Where the next element begins; undefined where reading cannot begin in the middle. */
  position(): unknown
  close(): Promise<void>
}

interface FileSourceOptions<T> {
  readonly name: string
  readonly length?: number
  readonly open: (position: unknown) => Reader<T> | Promise<Reader<T>>
}

/**
 * What the readers of this package give: `Dataset.from(source)` makes a dataset of it, which can go on in the middle of a pass; `for await`
 * goes through it. Each pass reads the file anew.
 */
export class FileSource<T> implements AsyncIterable<T> {
  readonly name: string
  /** Elements, where that is known. */
  readonly length: number | undefined
  /** Begins a pass, or goes on with one where `position` of an earlier reader said. */
  readonly open: (position?: unknown) => Reader<T> | Promise<Reader<T>>

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
        const item = answer instanceof Promise ? await answer : answer
        if (!item) return
        yield item.value
      }
    } finally {
      await reader.close()
    }
  }
}

/** What takes bytes and gives elements. */
export interface Decoder<T> {
  push(bytes: Uint8Array): void
  /** The next whole element. */
  next(): Item<T> | undefined
  /** There are no more bytes: what is left may be an element, or an error. */
  end(): void
  position(): unknown
}

/** A pass over pieces of bytes through a decoder. Elements that are at hand are given without waiting. */
export function readerOf<T>(pieces: AsyncIterable<Uint8Array>, decoder: Decoder<T>): Reader<T> {
  const iterator = pieces[Symbol.asyncIterator]()
  let ended = false
  const more = async (): Promise<Item<T> | undefined> => {
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

/** An element that cannot be used, after which the rest can: `Dataset.ignoreErrors` leaves it out. */
export function badRecord({ name }: Pick<Bytes, 'name'>, { line, offset, index }: Place, cause: unknown): CotangentError {
  const at = line === undefined ? (offset === undefined ? `element ${index}` : `byte ${offset}`) : `line ${line}`
  const message = cause instanceof Error ? cause.message : String(cause)
  return new CotangentError('bad-record', { message: `${name}, ${at}: ${message.replace(/\.$/, '')}`, cause })
}

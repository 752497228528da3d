import { CotangentError } from '../../errors.ts'
import { isSource, type Source, type SourceReader, sourceStage } from '../source.ts'
import type { Stage } from '../stage.ts'
import { arrayStage } from './indexed-elements.ts'

/** What can be gone through: once (generators, streams), or again for each pass. */
export type Elements<T> = Iterable<T> | AsyncIterable<T> | ReadableStream<T>

/** Anything that has elements, a dataset too, or a function that makes such a thing for each pass. */
export type ElementsLike<T> = Elements<T> | Source<T> | { readonly stage: Stage<T> } | (() => Elements<T> | PromiseLike<Elements<T>>)

export function elementsStage<T>(elements: ElementsLike<T>): Stage<T> {
  if (typeof elements === 'object' && elements !== null && 'stage' in elements) return elements.stage
  if (Array.isArray(elements)) return arrayStage(elements as readonly T[])
  if (isSource(elements)) return sourceStage(elements as Source<T>)
  if (typeof elements !== 'function' && !hasElements(elements)) throw without(elements)
  let passes = 0
  const { size } = elements as { size?: unknown }
  return sourceStage<T>({
    name: 'from',
    length: typeof size === 'number' && Symbol.iterator in elements ? size : undefined,
    open: () => {
      if (typeof elements === 'function') {
        const made = elements()
        return typeof made === 'object' && 'then' in made ? made.then(readerOf) : readerOf(made)
      }
      if (passes++ > 0 && isOnce(elements as Elements<T>)) throw usedUp()
      return readerOf(elements as Elements<T>)
    },
  })
}

/** Generators and streams are gone through once. */
function isOnce(elements: Elements<unknown>): boolean {
  if (isStream(elements)) return true
  const iterator: unknown = Symbol.iterator in elements ? elements[Symbol.iterator]() : elements[Symbol.asyncIterator]()
  return iterator === elements
}

const isStream = (x: object): x is ReadableStream<unknown> => typeof (x as ReadableStream).getReader === 'function'

/** They have no name of their own. */
const place = { source: 'the data' } as const

function readerOf<T>(elements: Elements<T>): SourceReader<T> {
  if (!hasElements(elements)) throw without(elements)
  if (isStream(elements)) {
    const reader = elements.getReader()
    return {
      next: async () => {
        const { done, value } = await reader.read()
        return done ? undefined : { value: value as T, place }
      },
      close: () => reader.cancel(),
    }
  }
  // What can be gone through both ways may have to wait.
  if (Symbol.asyncIterator in elements) {
    const iterator = elements[Symbol.asyncIterator]()
    return {
      next: () => iterator.next().then((step) => (step.done ? undefined : { value: step.value, place })),
      close: async () => void (await iterator.return?.()),
    }
  }
  const iterator = elements[Symbol.iterator]()
  return {
    next: () => {
      const step = iterator.next()
      return step.done ? undefined : { value: step.value, place }
    },
    close: () => void iterator.return?.(),
  }
}

function hasElements(value: unknown): value is Elements<unknown> {
  return typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value || isStream(value))
}

const without = (value: unknown) =>
  new CotangentError('invalid-argument', {
    op: 'from',
    message: `${typeof value === 'string' ? 'a text' : String(value)} has no elements`,
    hint:
      typeof value === 'string'
        ? 'A file has lines: textLines(fileBytes(path)). The letters of a text are [...text].'
        : 'Pass an iterable (an array, a set, a generator), an async iterable, a stream, a source, or a function that makes one.',
  })

const usedUp = () =>
  new CotangentError('invalid-argument', {
    op: 'from',
    message: 'this generator or stream can be gone through only once, and that has been done',
    hint: 'Pass a function that makes a new one for each pass: Dataset.from(() => generate()).',
  })

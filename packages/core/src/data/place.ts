import { CotangentError } from '../errors.ts'
import { after, type Later, later, recover } from './later.ts'
import type { Step } from './stage.ts'

/** Where an element comes from, for messages: sources fill in what they know. */
export interface Place {
  /** The file or other source. */
  readonly source?: string
  /** Counted from 1. */
  readonly line?: number
  /** Bytes from the beginning. */
  readonly offset?: number
  /** Counted from 0. */
  readonly index?: number
  /** The last of the elements that this one was made of. */
  readonly to?: Place
}

/** `train.csv:17 (byte 2034)` */
export function formatPlace({ source = 'the data', line, offset, index, to }: Place): string {
  const at = line !== undefined ? `${source}:${line}` : index !== undefined ? `element ${index} of ${source}` : source
  const from = offset === undefined ? at : `${at} (byte ${offset})`
  return to ? `${from} to ${formatPlace(to)}` : from
}

/** The place of something made of several elements. */
export function span(first: Place | undefined, last: Place | undefined): Place | undefined {
  if (!first || !last || first === last) return first ?? last
  return { ...first, to: last.to ?? last }
}

/**
 * The error of an element that cannot be read or used, after which the rest of the data can: `ignoreErrors` leaves it out.
 *
 * @param message What was wrong with it.
 */
export function badRecord(
  op: string,
  message: string,
  { place, cause, hint }: { place?: Place | undefined; cause?: unknown; hint?: string } = {},
) {
  return new CotangentError('bad-record', {
    op,
    message: place ? `${formatPlace(place)}: ${message}` : message,
    cause,
    hint: hint ?? 'ignoreErrors() leaves such elements out.',
  })
}

export const isBadRecord = (error: unknown): error is CotangentError => error instanceof CotangentError && error.code === 'bad-record'

/** A user's function of an element: what it throws says which element that was. */
export function applyTo<T, U>(op: string, step: Step<T>, f: (value: T) => U | PromiseLike<U>): Later<U> {
  return recover(
    () => later(f(step.value)),
    (cause) => {
      throw recordError(op, cause, step.place)
    },
  )
}

/** What went wrong with an element, as one kind of error. An error that says so already stays as it is. */
function recordError(op: string, cause: unknown, place: Place | undefined): CotangentError {
  if (isBadRecord(cause)) return cause
  const message = cause instanceof Error ? cause.message.replace(/\.$/, '') : String(cause)
  // Whose error it is stands in front already.
  const own = cause instanceof CotangentError && cause.op === op ? message.slice(`${op}: `.length) : message
  return badRecord(op, own, { place, cause })
}

/** The step of a changed value. */
export function changed<T, U>(step: Step<T>, value: Later<U>): Later<Step<U>> {
  return after(value, (there) => ({ value: there, place: step.place }))
}

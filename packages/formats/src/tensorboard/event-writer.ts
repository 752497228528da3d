import { CotangentError } from 'cotangent'
import type { FieldsOf } from '../protobuf/message.ts'
import { encodeRecord } from '../tfrecord/framing.ts'
import type { EventSink } from './event-sink.ts'
import { EventProto, type SummaryValue } from './schema.ts'
import { scalarSummary } from './summaries.ts'

type EventFields = FieldsOf<typeof EventProto>
type ValueFields = FieldsOf<typeof SummaryValue>

export interface EventWriterOptions {
  /** Events that are kept back at most before they are appended to the file. Default 10, as in TensorFlow and PyTorch. */
  readonly maxQueue?: number
  /** Seconds after which waiting events are appended, whatever their number. Default 120. */
  readonly flushSecs?: number
}

export interface SummaryOptions {
  /** Shown with the plot; Markdown. That of a tag's first event counts. */
  readonly description?: string
  /** Shown instead of the tag. That of a tag's first event counts. */
  readonly displayName?: string
  /** Seconds since 1970; default now. */
  readonly wallTime?: number
}

/**
 * Writes TensorBoard's events to a sink. `EventFileWriter` is the one for files.
 *
 * Nothing waits on the disk but what `maxQueue` and `flushSecs` ask for. When appending fails (the disk is full), the call that noticed
 * throws; the events are kept and go with the next.
 */
export class EventWriter {
  readonly #sink: EventSink
  readonly #maxQueue: number
  readonly #flushMs: number
  #queue: Uint8Array[] = []
  #oldest = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #closed = false
  /** Tags whose description has been written. */
  readonly #described = new Set<string>()

  constructor(sink: EventSink, { maxQueue = 10, flushSecs = 120 }: EventWriterOptions = {}) {
    if (!(maxQueue >= 1)) throw invalid(`maxQueue is ${maxQueue}`, 'It must be at least 1.')
    if (!(flushSecs >= 0)) throw invalid(`flushSecs is ${flushSecs}`, 'It must be 0 or more seconds.')
    this.#sink = sink
    this.#maxQueue = maxQueue
    this.#flushMs = flushSecs * 1000
    this.#add({ fileVersion: 'brain.Event:2', sourceMetadata: { writer: 'cotangent' } })
    this.#drain()
  }

  /** A number, e.g. a loss. It is kept as float32, as in every event file. */
  scalar(tag: string, value: number, step: number, options: SummaryOptions = {}): void {
    this.#summary(scalarSummary(value), tag, step, options)
  }

  /** Appends what waits, without asking the disk to keep it. */
  append(): void {
    this.#drain()
  }

  /** Appends what waits and makes sure that it is on the disk. */
  async flush(): Promise<void> {
    this.#drain()
    await this.#sink.flush()
  }

  /** Appends what waits and ends the file. Closing again does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#drain()
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#sink.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #summary(value: ValueFields, tag: string, step: number, { description, displayName, wallTime }: SummaryOptions): void {
    if (typeof tag !== 'string' || tag === '') throw invalid('the tag is empty', 'Tags are names such as train/loss.')
    if (!Number.isSafeInteger(step)) throw invalid(`step ${step} of ${tag} is no integer`, 'Steps count updates or epochs.')
    // Plugins' names go with every event, so that a reader may begin anywhere; words about a tag go with its first.
    const first = !this.#described.has(tag)
    if (first) this.#described.add(tag)
    const metadata = { ...value.metadata, ...(first && { displayName, description }) }
    this.#add({ step, ...(wallTime !== undefined && { wallTime }), summary: { value: [{ ...value, tag, metadata }] } })
  }

  #add(event: EventFields): void {
    if (this.#closed) throw invalid('the writer is closed', 'Make a new one.')
    const now = Date.now()
    if (!this.#queue.length) this.#oldest = now
    this.#queue.push(encodeRecord(EventProto.encode({ wallTime: now / 1000, ...event })))
    if (this.#queue.length >= this.#maxQueue || now - this.#oldest >= this.#flushMs) this.#drain()
    else this.#timer ??= laterDrain(this.#flushMs, () => this.#drain())
  }

  #drain(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (!this.#queue.length) return
    this.#sink.append(joined(this.#queue))
    this.#queue = []
  }
}

/** A timer that does not keep the process alive. */
function laterDrain(ms: number, drain: () => void): ReturnType<typeof setTimeout> {
  const timer = setTimeout(() => {
    try {
      drain()
    } catch {
      // Nobody would catch it here. The events are kept, they are overdue, and so the next call tries again and throws.
    }
  }, ms)
  if (typeof timer === 'object') timer.unref()
  return timer
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0]!
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}

const invalid = (message: string, hint: string): CotangentError =>
  new CotangentError('invalid-argument', { op: 'EventWriter', message, hint })

import type { Profile } from 'cotangent'
import { joinBytes } from 'cotangent/data'
import type { FieldsOf } from '../protobuf/message.ts'
import { encodeRecord } from '../tfrecord/framing.ts'
import { audioSummary } from './audio-summary.ts'
import type { EventSink } from './event-sink.ts'
import { encodeGraph, type GraphInput, type GraphOptions } from './graph-writer.ts'
import type { Bins } from './histogram.ts'
import {
  experimentSummary,
  experimentTag,
  type HParams,
  sessionEndSummary,
  sessionEndTag,
  sessionStartSummary,
  sessionStartTag,
} from './hparams-summary.ts'
import { type ImageInput, type ImageLayout, imageSummary } from './image-summary.ts'
import type { Deflate } from './png.ts'
import { type PrCurveOptions, prCurveSummary } from './pr-curve-summary.ts'
import { encodeRunMetadata } from './profile-summary.ts'
import { EventProto } from './schema.ts'
import { histogramSummary, scalarSummary, type Summary, type TextInput, textSummary } from './summary.ts'
import { invalid, type Values } from './values.ts'

type EventFields = FieldsOf<typeof EventProto>

/** When events are appended to the file. */
export interface EventWriterOptions {
  /** Events that are kept back at most before they are appended to the file. Default 10, as in TensorFlow and PyTorch. */
  readonly maxQueue?: number
  /** Seconds after which waiting events are appended, whatever their number. Default 120. */
  readonly flushSecs?: number
  /** Compresses the pixels of tensors to a zlib stream; default not at all. */
  readonly deflate?: Deflate
}

/** What TensorBoard shows beside a value, and the value's time. */
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
  readonly #deflate: Deflate | undefined
  #queue: Uint8Array[] = []
  #oldest = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #closed = false
  /** Whether hyperparameters were written, whose session ends with the file. */
  #inSession = false
  /** Tags whose description has been written. */
  readonly #described = new Set<string>()

  constructor(sink: EventSink, { maxQueue = 10, flushSecs = 120, deflate }: EventWriterOptions = {}) {
    if (!(maxQueue >= 1)) throw invalid('EventWriter', `maxQueue is ${maxQueue}`, 'It must be at least 1.')
    if (!(flushSecs >= 0)) throw invalid('EventWriter', `flushSecs is ${flushSecs}`, 'It must be 0 or more seconds.')
    this.#sink = sink
    this.#deflate = deflate
    this.#maxQueue = maxQueue
    this.#flushMs = flushSecs * 1000
    this.#add({ fileVersion: 'brain.Event:2', sourceMetadata: { writer: 'cotangent' } })
    this.#drain()
  }

  /** A number, e.g. a loss. It is kept as float32, as in every event file. */
  scalar(tag: string, value: number, step: number, options: SummaryOptions = {}): void {
    this.#summary(scalarSummary(value), tag, step, options)
  }

  /** How values are distributed. NaN and infinities are left out. */
  histogram(tag: string, values: Values, step: number, { bins, ...options }: SummaryOptions & { readonly bins?: Bins } = {}): void {
    this.#summary(histogramSummary(values, bins), tag, step, options)
  }

  /** One image or several of the same size; see `ImageInput`. Tensors are `[C, H, W]` or `[N, C, H, W]` unless `layout` says HWC. */
  image(tag: string, images: ImageInput, step: number, options: SummaryOptions & { readonly layout?: ImageLayout } = {}): void {
    const { layout = 'CHW', ...rest } = options
    this.#summary(imageSummary(images, layout, this.#deflate), tag, step, rest)
  }

  /**
   * Sound.
   *
   * @param samples In [-1, 1]: a tensor `[frames]` or `[channels, frames]`, or an array of frames. Written as 16-bit WAV.
   */
  audio(tag: string, samples: Values, step: number, options: SummaryOptions & { readonly sampleRate: number }): void {
    const { sampleRate, ...rest } = options
    this.#summary(audioSummary(samples, sampleRate), tag, step, rest)
  }

  /** Markdown; a list of texts; or a table of them. */
  text(tag: string, text: TextInput, step: number, options: SummaryOptions = {}): void {
    this.#summary(textSummary(text), tag, step, options)
  }

  /**
   * Precision and recall over the threshold.
   *
   * @param labels 0 or 1, one an example.
   * @param predictions Probabilities of 1, one an example.
   */
  prCurve(tag: string, labels: Values, predictions: Values, step: number, options: SummaryOptions & PrCurveOptions = {}): void {
    const { thresholds, weights, ...rest } = options
    this.#summary(prCurveSummary(labels, predictions, { ...(thresholds && { thresholds }), ...(weights && { weights }) }), tag, step, rest)
  }

  /**
   * The hyperparameters of this run, for the table and the parallel coordinates of the HParams page.
   *
   * @param metrics How well the run went. A number is written as a scalar of that tag at step 0; null names a tag that the run writes itself.
   */
  hparams(values: HParams, metrics: Readonly<Record<string, number | null>> = {}, { group }: { readonly group?: string } = {}): void {
    const now = Date.now() / 1000
    this.#summary(experimentSummary(values, Object.keys(metrics), now), experimentTag, 0)
    this.#summary(sessionStartSummary(values, group, now), sessionStartTag, 0)
    this.#inSession = true
    for (const [tag, value] of Object.entries(metrics)) if (value !== null) this.scalar(tag, value, 0)
  }

  /** The graph of a compiled function: see `GraphInput`. A run has one; the last one written counts. */
  graph(graph: GraphInput, options: GraphOptions = {}): void {
    this.#add({ graphDef: encodeGraph(graph, options) })
  }

  /** Where the time of a step went. `profile()` of cotangent gives it. */
  profile(tag: string, profile: Profile, step: number): void {
    this.#add({ step, taggedRunMetadata: { tag, runMetadata: encodeRunMetadata(profile.slices) } })
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

  /** Appends what waits and ends the file. Closing again does nothing. `status` is what the HParams page says of the run. */
  async close({ status = 'success' }: { readonly status?: 'success' | 'failure' } = {}): Promise<void> {
    if (this.#closed) return
    if (this.#inSession) this.#summary(sessionEndSummary(status, Date.now() / 1000), sessionEndTag, 0)
    this.#drain()
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#sink.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #summary(value: Summary, tag: string, step: number, { description, displayName, wallTime }: SummaryOptions = {}): void {
    if (typeof tag !== 'string' || tag === '') throw invalid('EventWriter', 'the tag is empty', 'Tags are names such as train/loss.')
    if (!Number.isSafeInteger(step)) throw invalid('EventWriter', `step ${step} of ${tag} is no integer`, 'Steps count updates or epochs.')
    // Plugins' names go with every event, so that a reader may begin anywhere; words about a tag go with its first.
    const first = !this.#described.has(tag)
    if (first) this.#described.add(tag)
    const metadata = { ...value.metadata, ...(first && { displayName, description }) }
    this.#add({ step, ...(wallTime !== undefined && { wallTime }), summary: { value: [{ ...value, tag, metadata }] } })
  }

  #add(event: EventFields): void {
    if (this.#closed) throw invalid('EventWriter', 'the writer is closed', 'Make a new one.')
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
    this.#sink.append(joinBytes(this.#queue))
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

import { hostname } from 'node:os'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import type { Profile, Tensor } from 'cotangent'
import { AppendFile } from '../append-file.node.ts'
import { type EmbeddingOptions, saveEmbedding } from './embedding.node.ts'
import { EventWriter, type EventWriterOptions } from './event-writer.ts'
import { saveProfile } from './profile-file.node.ts'

/** What every writer of events has, and what the name of its file ends in. */
export interface EventFileWriterOptions extends EventWriterOptions {
  /** Added to the file's name. */
  readonly suffix?: string
}

/**
 * Writes an event file into a folder, which it makes: a run for TensorBoard and for `cotangent board`.
 *
 * The file is only ever appended to, in whole records, so that a process that is killed leaves a file that reads up to what `maxQueue` and
 * `flushSecs` had held back. What waits when a process ends by itself is still written.
 *
 * @throws CotangentError `io-failure` from any call if the file cannot be made or written. What was to be written goes with the next call.
 */
export class EventFileWriter extends EventWriter {
  readonly folder: string
  readonly path: string

  constructor(folder: string, options: EventFileWriterOptions = {}) {
    const path = join(folder, eventFileName(options.suffix))
    super(new AppendFile(path), { deflate: deflateSync, ...options })
    this.folder = folder
    this.path = path
    writers.add(this)
    if (writers.size === 1) process.once('exit', appendWaiting)
  }

  /** Also as a file for the profile plugin, where that is installed (`pip install xprof`). */
  override profile(tag: string, profile: Profile, step: number): void {
    super.profile(tag, profile, step)
    saveProfile(this.folder, tag, profile)
  }

  /**
   * Points for the embedding projector: files `tag/step` in the run's folder and its projector_config.pbtxt, which lists them.
   *
   * @param points `[points, dimensions]`.
   */
  embedding(tag: string, points: Tensor, step: number, options: EmbeddingOptions = {}): void {
    saveEmbedding(this.folder, tag, points, step, options)
  }

  override async close(options?: Parameters<EventWriter['close']>[0]): Promise<void> {
    await super.close(options)
    writers.delete(this)
    if (!writers.size) process.off('exit', appendWaiting)
  }
}

const writers = new Set<EventFileWriter>()

function appendWaiting(): void {
  for (const writer of writers) writer.append()
}

let made = 0

/** The name that TensorFlow gives: when, where, which process, which of its files. Files of one run sort by when they were begun. */
function eventFileName(suffix = ''): string {
  const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, '0')
  return `events.out.tfevents.${seconds}.${hostname() || 'localhost'}.${process.pid}.${made++}${suffix}`
}

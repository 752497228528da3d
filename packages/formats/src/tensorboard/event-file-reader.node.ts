import { type FileHandle, open } from 'node:fs/promises'
import { CotangentError } from 'cotangent'
import { ioFailure } from 'cotangent/node'
import { RecordDecoder, type RecordDecoderOptions } from '../tfrecord/framing.ts'
import { EventDecoder } from './event-decoder.ts'
import type { TensorBoardEvent } from './event.ts'

/** How event files are read, and what becomes of broken records. */
export interface EventReaderOptions extends Omit<RecordDecoderOptions, 'file'> {
  /** Bytes that are read at a time. Default 1 MiB. */
  readonly chunkBytes?: number
  /** Passes over records whose data do not match their checksum or are no event, and counts them. A bad length ends the file in any case. */
  readonly skipCorrupt?: boolean
}

/**
 * Reads an event file that may still be growing. Each `read()` gives what has become whole since the one before.
 *
 * As in TensorBoard, a record that is cut short, at the end, is waited for, and one whose checksum does not match is an error after
 * which the next `read()` tries it again: a file on a network disk may show its bytes in any order.
 */
export class EventFileReader {
  readonly path: string
  readonly #options: EventReaderOptions
  readonly #events = new EventDecoder()
  #records: RecordDecoder
  #skipped = 0
  /** Bytes of the file that have been given to the decoder. */
  #position: number

  constructor(path: string, options: EventReaderOptions = {}) {
    this.path = path
    this.#options = options
    this.#records = new RecordDecoder({ ...options, file: path })
    this.#position = this.#records.offset
  }

  /** Where the next record begins: a reader made with this offset goes on from here. */
  get offset(): number {
    return this.#records.offset
  }

  /** Records passed over because of `skipCorrupt`. */
  get skipped(): number {
    return this.#skipped
  }

  /**
   * Events that have not been given yet, up to the file's present end. Go through all of them: what one breaks off before is not given again.
   *
   * @throws CotangentError `corrupt-file`, which names the file and the byte; `io-failure` where the file cannot be read.
   */
  async *read(): AsyncGenerator<TensorBoardEvent, void, undefined> {
    for await (const batch of this.readBatches()) yield* batch
  }

  /** The same in batches, which is faster: a file of a million events is a few dozen. What comes before a damaged record is given first. */
  async *readBatches(): AsyncGenerator<TensorBoardEvent[], void, undefined> {
    const file = await this.#open()
    const { chunkBytes = 2 ** 20 } = this.#options
    try {
      for (;;) {
        const { buffer, bytesRead } = await file.read(new Uint8Array(chunkBytes), 0, chunkBytes, this.#position).catch((cause: unknown) => {
          throw ioFailure(this.path, 'read', cause)
        })
        this.#position += bytesRead
        this.#records.push(buffer.subarray(0, bytesRead))
        const batch: TensorBoardEvent[] = []
        let failure: { readonly error: unknown } | undefined
        try {
          this.#drain(batch)
        } catch (error) {
          failure = { error }
        }
        if (batch.length > 0) yield batch
        if (failure) throw failure.error
        if (bytesRead === 0) return
      }
    } finally {
      await file.close()
    }
  }

  #drain(batch: TensorBoardEvent[]): void {
    for (;;) {
      const start = this.#records.offset
      try {
        const record = this.#records.next()
        if (!record) return
        for (const event of this.#decode(record.data, record.offset)) batch.push(event)
      } catch (error) {
        // A record whose data are no event has been taken by now, one with a bad checksum has not.
        if (this.#options.skipCorrupt && (this.#records.offset > start || this.#records.skip())) {
          this.#skipped++
          continue
        }
        if (this.#records.offset === start) {
          // Bytes that have been read may be good by the next time.
          this.#records = new RecordDecoder({ ...this.#options, offset: start, file: this.path })
          this.#position = start
        }
        throw error
      }
    }
  }

  #decode(data: Uint8Array, offset: number): TensorBoardEvent[] {
    try {
      return this.#events.decode(data)
    } catch (cause) {
      if (!(cause instanceof CotangentError)) throw cause
      throw new CotangentError('corrupt-file', { message: `${this.path}, the record at byte ${offset}: ${cause.message}`, cause })
    }
  }

  async #open(): Promise<FileHandle> {
    try {
      return await open(this.path, 'r')
    } catch (cause) {
      throw ioFailure(this.path, 'read', cause)
    }
  }
}

/** The events of a file up to its present end; `EventFileReader` follows a file that grows. */
export function readEvents(path: string, options: EventReaderOptions = {}): AsyncGenerator<TensorBoardEvent, void, undefined> {
  return new EventFileReader(path, options).read()
}

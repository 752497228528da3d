import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { createDeflate, createGzip } from 'node:zlib'
import { CotangentError } from 'cotangent'
import { ioFailure } from 'cotangent/node'
import { encodeRecord } from './framing.ts'

/** How a TFRecord file is compressed: not at all, by default. */
export interface TFRecordWriterOptions {
  /** Default `none`. */
  readonly compression?: 'none' | 'gzip' | 'zlib'
  /** Of the compression, 0 to 9; default 6. */
  readonly level?: number
}

/** Writes a TFRecord file, which takes the place of one that is there. `buildExample` makes records of rows. */
export class TFRecordWriter {
  readonly path: string
  readonly #file: WriteStream
  readonly #stream: Writable & { pipe(to: Writable): unknown }
  #failure: unknown
  #closed = false

  constructor(path: string, { compression = 'none', level }: TFRecordWriterOptions = {}) {
    this.path = path
    this.#file = createWriteStream(path)
    const options = level === undefined ? {} : { level }
    this.#stream = compression === 'none' ? this.#file : compression === 'gzip' ? createGzip(options) : createDeflate(options)
    this.#file.on('error', (error) => {
      this.#failure ??= error
      this.#stream.destroy(error)
    })
    if (this.#stream === this.#file) return
    this.#stream.on('error', (error) => (this.#failure ??= error))
    this.#stream.pipe(this.#file)
  }

  /**
   * Appends a record. Waiting for it keeps memory small: it is there when there is room for more.
   *
   * @throws CotangentError `io-failure` where the file cannot be written.
   */
  async write(record: Uint8Array): Promise<void> {
    if (this.#closed)
      throw new CotangentError('invalid-argument', { op: 'TFRecordWriter', message: 'the writer is closed', hint: 'Make a new one.' })
    this.#check()
    if (this.#stream.write(encodeRecord(record))) return
    await once(this.#stream, 'drain').catch((error: unknown) => (this.#failure ??= error))
    this.#check()
  }

  /** Ends the file. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      this.#stream.end()
      await finished(this.#file).catch((error: unknown) => (this.#failure ??= error))
    }
    this.#check()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #check(): void {
    if (this.#failure !== undefined) throw ioFailure(this.path, 'written', this.#failure)
  }
}

import { CotangentError } from 'cotangent'
import { maskedCrc32c } from './crc32c.ts'

/**
 * The framing of TFRecord and TensorBoard's event files: 8 bytes of length, 4 of its masked CRC-32C, the data, 4 of theirs, all
 * little-endian ("TFRecords format details" in TensorFlow's guide).
 */
const headSize = 12
const tailSize = 4

export function encodeRecord(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const record = new Uint8Array(headSize + data.length + tailSize)
  const view = new DataView(record.buffer)
  view.setUint32(0, data.length, true)
  view.setUint32(4, Math.floor(data.length / 2 ** 32), true)
  view.setUint32(8, maskedCrc32c(record.subarray(0, 8)), true)
  record.set(data, headSize)
  view.setUint32(headSize + data.length, maskedCrc32c(data), true)
  return record
}

interface FramedRecord {
  /** A copy: it does not hold on to the bytes that it came with. */
  data: Uint8Array<ArrayBuffer>
  /** Where the record begins in the file, in bytes. */
  offset: number
}

/** Where bytes come from, for errors, and how long a record may be. */
export interface RecordDecoderOptions {
  /** Where in the file the first bytes are from; it must be the beginning of a record. Default 0. */
  offset?: number
  /** Name of the file, for errors. */
  file?: string
  /** The longest record that is believed, in bytes. Default 1 GiB. */
  maxRecordBytes?: number
}

/**
 * Takes a file's bytes in pieces of any size and gives the records that are whole. A record's memory is what has arrived of it, never
 * what its length claims.
 */
export class RecordDecoder {
  readonly #file: string
  readonly #maxRecordBytes: number
  #pieces: Uint8Array[] = []
  #held = 0
  /** Of the record whose head has been read. */
  #length: number | undefined
  /** Where the next record begins: everything before has been dealt with. */
  offset: number

  constructor({ offset = 0, file = 'the file', maxRecordBytes = 2 ** 30 }: RecordDecoderOptions = {}) {
    this.offset = offset
    this.#file = file
    this.#maxRecordBytes = maxRecordBytes
  }

  /** Bytes at hand of a record that is not whole yet. */
  get pending(): number {
    return this.#held
  }

  /** Adds bytes. They must not change until the records in them have been taken. */
  push(bytes: Uint8Array): void {
    if (!bytes.length) return
    this.#pieces.push(bytes)
    this.#held += bytes.length
  }

  /**
   * The next whole record, or undefined until there are more bytes.
   *
   * @throws CotangentError `corrupt-file` where a checksum does not match. `offset` stays at that record; `skip` may pass over it.
   */
  next(): FramedRecord | undefined {
    const size = this.#size()
    if (size === undefined) return undefined
    const record = this.#peek(size)
    // Not slice, which in Node's Buffer is a view.
    const data = new Uint8Array(record.subarray(headSize, size - tailSize))
    if (new DataView(record.buffer, record.byteOffset).getUint32(size - tailSize, true) !== maskedCrc32c(data)) {
      throw this.#corrupt(`the data of the record of ${data.length} bytes do not match their checksum`)
    }
    const { offset } = this
    this.#drop(size)
    return { data, offset }
  }

  /** After an error: passes over the record and says true, if its length is good. Nothing is known of what follows a bad length. */
  skip(): boolean {
    const known = this.#length !== undefined
    if (known) this.#drop(this.#size()!)
    return known
  }

  /** @throws CotangentError `corrupt-file` if the bytes end inside a record. */
  end(): void {
    if (this.#held)
      throw this.#corrupt(
        `the file ends inside a record, ${this.#held} bytes from its start`,
        'It was cut short, or is still being written.',
      )
  }

  /** Bytes of the record at hand, once they are all there. */
  #size(): number | undefined {
    this.#length ??= this.#readHead()
    if (this.#length === undefined) return undefined
    const size = headSize + this.#length + tailSize
    return this.#held < size ? undefined : size
  }

  #readHead(): number | undefined {
    if (this.#held < headSize) return undefined
    const head = this.#peek(headSize)
    const view = new DataView(head.buffer, head.byteOffset, headSize)
    const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32
    if (view.getUint32(8, true) !== maskedCrc32c(head.subarray(0, 8))) {
      throw this.#corrupt(
        'the length of a record does not match its checksum',
        this.offset === 0
          ? 'It is no TFRecord file, or it is compressed.'
          : 'What follows cannot be found: read up to here, or write the file again.',
      )
    }
    if (length > this.#maxRecordBytes) {
      throw this.#corrupt(
        `a record claims ${length} bytes, more than the ${this.#maxRecordBytes} allowed`,
        'Raise maxRecordBytes if it is right.',
      )
    }
    return length
  }

  /** The first bytes, in one piece. */
  #peek(count: number): Uint8Array {
    const [first] = this.#pieces
    if (first && first.length >= count) return first.subarray(0, count)
    // Joining everything at hand, not only what is asked for, keeps a long record that comes in small pieces linear: this
    // happens once for its head and once when it is whole.
    const joined = new Uint8Array(this.#held)
    let at = 0
    for (const piece of this.#pieces) {
      joined.set(piece, at)
      at += piece.length
    }
    this.#pieces = [joined]
    return joined.subarray(0, count)
  }

  /** Has done with the first bytes, which `#peek` has put in one piece. */
  #drop(count: number): void {
    const [first] = this.#pieces
    if (first!.length > count) this.#pieces[0] = first!.subarray(count)
    else this.#pieces.shift()
    this.#held -= count
    this.offset += count
    this.#length = undefined
  }

  #corrupt(message: string, hint = 'Fetch or write the file again.'): CotangentError {
    return new CotangentError('corrupt-file', { message: `${this.#file}, byte ${this.offset}: ${message}`, hint })
  }
}

import { type BytesLike, bytesFrom, type SourceItem } from 'cotangent/data'
import { badElement, type Decoder, FileSource, readerOf } from '../file-source.ts'
import { type Compression, inflate, isGzip, peek } from '../inflate.ts'
import { maskedCrc32c } from './crc32c.ts'
import { encodeRecord, RecordDecoder } from './framing.ts'

/** How a TFRecord file is compressed, and how long a record may be. */
export interface RecordOptions {
  /** Default `auto`: gzip if the file is. zlib cannot be told from records and must be named. */
  readonly compression?: Compression
  /** The longest record that is believed, in bytes. Default 1 GiB. */
  readonly maxRecordBytes?: number
}

/**
 * The records of a TFRecord file, in order. A record whose data do not match their checksum is a `bad-record`, after which reading can go on.
 *
 * @throws CotangentError `corrupt-file` where a length does not match its checksum or the file is cut short; `io-failure` where it cannot be
 * read. Both name the file and the byte (of what was decompressed).
 */
export function readRecords(source: BytesLike, options: RecordOptions = {}): FileSource<Uint8Array> {
  return recordSource(source, options, (data) => data)
}

/** Records turned into elements. What `convert` throws is a `bad-record`. */
export function recordSource<T>(
  source: BytesLike,
  { compression = 'auto', maxRecordBytes }: RecordOptions,
  convert: (data: Uint8Array) => T,
): FileSource<T> {
  const bytes = bytesFrom(source)
  return new FileSource({
    name: bytes.name,
    async open(position) {
      const offset = (position as number | undefined) ?? 0
      // A position was given, so the file was not compressed.
      const { first, pieces } = position === undefined ? await peek(bytes.read(), 12) : { first: undefined, pieces: bytes.read(offset) }
      const kind = first === undefined ? 'none' : compression === 'auto' ? (looksCompressed(first) ? 'gzip' : 'none') : compression
      const decoder = new RecordDecoder({ offset, file: bytes.name, ...(maxRecordBytes !== undefined && { maxRecordBytes }) })
      const next = (): SourceItem<T> | undefined => {
        const place = { source: bytes.name, offset: decoder.offset }
        let data: Uint8Array | undefined
        try {
          data = decoder.next()?.data
        } catch (error) {
          // Where the bad record can be passed over, reading can go on behind it; the decoder has named its place.
          if (decoder.skip()) throw badElement('readRecords', undefined, error)
          throw error
        }
        if (data === undefined) return undefined
        try {
          return { value: convert(data), place }
        } catch (error) {
          throw badElement('readRecords', place, error)
        }
      }
      const records: Decoder<T> = {
        push: (piece) => decoder.push(piece),
        next,
        end: () => decoder.end(),
        position: () => (kind === 'none' ? decoder.offset : undefined),
      }
      return readerOf(kind === 'none' ? pieces : inflate(pieces, kind, bytes.name), records)
    },
  })
}

/** A length may look like the beginning of a gzip file, but not with its checksum. */
function looksCompressed(first: Uint8Array): boolean {
  if (!isGzip(first)) return false
  if (first.length < 12) return true
  return new DataView(first.buffer, first.byteOffset).getUint32(8, true) !== maskedCrc32c(first.subarray(0, 8))
}

/** The bytes of a TFRecord file of these records: for a stream, an upload, a test. `TFRecordWriter` writes files. */
export async function* encodeRecords(
  records: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { compression = 'none' }: { readonly compression?: Exclude<Compression, 'auto'> } = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  async function* framed() {
    for await (const record of records) yield encodeRecord(record)
  }
  if (compression === 'none') return yield* framed()
  const { writable, readable } = new CompressionStream(compression === 'zlib' ? 'deflate' : 'gzip')
  const writer = writable.getWriter()
  const feed = async () => {
    try {
      for await (const record of framed()) await writer.write(record)
      await writer.close()
    } catch (error) {
      await writer.abort(error).catch(() => {})
    }
  }
  const fed = feed()
  const reader = readable.getReader()
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value
  } finally {
    await reader.cancel().catch(() => {})
    await fed
  }
}

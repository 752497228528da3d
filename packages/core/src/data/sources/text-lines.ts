import { corruptFile } from '../../io/array-record.ts'
import { type BytesLike, type ByteSource, bytesFrom } from '../bytes.ts'
import { Dataset } from '../dataset.ts'
import { badRecord, formatPlace } from '../place.ts'
import type { SourceItem, SourceReader } from '../source.ts'

/** How bytes are read as lines of text. */
export interface TextLinesOptions {
  /** Bytes of the longest line that is read; default 64 MiB. */
  readonly maxLineBytes?: number
}

/**
 * The lines of UTF-8 text without their ends (`\n` or `\r\n`), of one file or several after each other.
 *
 *     textLines(fileBytes('poems.txt'))
 *     Dataset.from(paths).interleave((path) => textLines(gunzip(fileBytes(path))))
 */
export function textLines(files: BytesLike | readonly BytesLike[], options: TextLinesOptions = {}): Dataset<string> {
  return linesAs('textLines', files, options, (text, place) => ({ value: text, place }))
}

/** The values of a file with one JSON text a line (JSON Lines, NDJSON); empty lines are left out. */
export function jsonLines<T = unknown>(files: BytesLike | readonly BytesLike[], options: TextLinesOptions = {}): Dataset<T> {
  return linesAs('jsonLines', files, options, (text, place) => {
    if (text.trim() === '') return undefined
    try {
      return { value: JSON.parse(text) as T, place }
    } catch (cause) {
      throw badRecord('jsonLines', `the line is no JSON: ${(cause as Error).message}`, { place, cause })
    }
  })
}

interface LinePlace {
  readonly source: string
  readonly line: number
  readonly offset: number
}

type Parse<T> = (text: string, place: LinePlace) => SourceItem<T> | undefined

function linesAs<T>(op: string, files: BytesLike | readonly BytesLike[], options: TextLinesOptions, parse: Parse<T>): Dataset<T> {
  const [first, ...others] = (Array.isArray(files) ? (files as readonly BytesLike[]) : [files as BytesLike]).map((file) => {
    const bytes = bytesFrom(file)
    return Dataset.from<T>({
      name: bytes.name,
      open: (position) => new LineReader(op, bytes, options, parse, position as Position | undefined),
    })
  })
  return first ? first.concatenate(...others) : Dataset.from<T>([])
}

/** The line that comes next, from 1, and where it begins. */
interface Position {
  readonly line: number
  readonly offset: number
}

const newline = 10
const carriageReturn = 13

class LineReader<T> implements SourceReader<T> {
  readonly #op: string
  readonly #bytes: ByteSource
  readonly #maxLineBytes: number
  readonly #parse: Parse<T>
  readonly #chunks: AsyncIterator<Uint8Array>
  // `fatal`, because a wrong letter in place of a broken one would go unnoticed.
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #chunk: Uint8Array = new Uint8Array(0)
  #at = 0
  #ended = false
  #line: number
  #offset: number

  constructor(op: string, bytes: ByteSource, { maxLineBytes = 64 * 2 ** 20 }: TextLinesOptions, parse: Parse<T>, position?: Position) {
    this.#op = op
    this.#bytes = bytes
    this.#maxLineBytes = maxLineBytes
    this.#parse = parse
    this.#line = position?.line ?? 1
    this.#offset = position?.offset ?? 0
    this.#chunks = bytes.read(this.#offset)[Symbol.asyncIterator]()
  }

  next(): SourceItem<T> | undefined | Promise<SourceItem<T> | undefined> {
    for (;;) {
      const end = this.#chunk.indexOf(newline, this.#at)
      if (end < 0) return this.#ended ? this.#last() : this.#read()
      const item = this.#take(end, end + 1)
      if (item) return item
    }
  }

  position(): Position {
    return { line: this.#line, offset: this.#offset }
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  async #read(): Promise<SourceItem<T> | undefined> {
    // What is left is joined with what comes, in pieces that grow: a line over many chunks is not searched again and again.
    const parts = [this.#chunk.subarray(this.#at)]
    let size = parts[0]!.length
    for (;;) {
      const { done, value } = await this.#chunks.next()
      if (done) {
        this.#ended = true
        break
      }
      parts.push(value)
      size += value.length
      if (value.includes(newline)) break
      if (size > this.#maxLineBytes) {
        const place = formatPlace({ source: this.#bytes.name, line: this.#line, offset: this.#offset })
        throw corruptFile(this.#op, `${place}: the line is longer than ${this.#maxLineBytes} bytes`, {
          hint: 'Is it text at all? Raise maxLineBytes if so.',
        })
      }
    }
    const whole = new Uint8Array(size)
    let at = 0
    for (const part of parts) {
      whole.set(part, at)
      at += part.length
    }
    this.#chunk = whole
    this.#at = 0
    return this.next()
  }

  #last(): SourceItem<T> | undefined {
    return this.#at < this.#chunk.length ? this.#take(this.#chunk.length, this.#chunk.length) : undefined
  }

  /** The line up to `end`, behind which the next one begins at `next`. */
  #take(end: number, next: number): SourceItem<T> | undefined {
    const start = this.#at
    const place: LinePlace = { source: this.#bytes.name, line: this.#line, offset: this.#offset }
    this.#at = next
    this.#offset += next - start
    this.#line++
    const stop = end > start && this.#chunk[end - 1] === carriageReturn ? end - 1 : end
    let text: string
    try {
      text = this.#decoder.decode(this.#chunk.subarray(start, stop))
    } catch (cause) {
      throw badRecord(this.#op, 'the line is not UTF-8', { place, cause })
    }
    return this.#parse(place.line === 1 ? text.replace(/^\uFEFF/, '') : text, place)
  }
}

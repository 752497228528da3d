import { CotangentError } from 'cotangent'
import Papa from 'papaparse'

interface CsvDialect {
  readonly delimiter: string
  readonly quote: string
  readonly escape: string
  readonly comment: string | undefined
  readonly encoding: string
  readonly maxRecordLength: number
}

/** A record: its fields, the line that it begins on (counted from 1), and what is wrong with it, if anything is. */
export interface CsvRecord {
  readonly fields: readonly string[]
  readonly line: number
  readonly problem: string | undefined
}

/** Where reading can go on: `skip` records behind the byte `offset`, on line `line`. */
export interface CsvPosition {
  readonly offset: number
  readonly line: number
  readonly skip: number
}

/**
 * Bytes to records, by Papa Parse. Text is parsed in pieces: a piece ends with the last record that is whole for sure, the rest goes
 * before the next.
 */
export class CsvRecords {
  readonly #file: string
  readonly #dialect: CsvDialect
  readonly #decoder: TextDecoder
  #text = ''
  /** Of the beginning of `#text`. */
  #offset: number
  #line: number
  #newline: string | undefined
  #ready: CsvRecord[] = []
  #taken = 0
  /** Where the records that are ready began. */
  #start: { readonly offset: number; readonly line: number }
  #skip: number

  constructor(file: string, dialect: CsvDialect, { offset, line, skip }: CsvPosition = { offset: 0, line: 1, skip: 0 }) {
    this.#file = file
    this.#dialect = dialect
    this.#decoder = new TextDecoder(dialect.encoding, { ignoreBOM: true, fatal: true })
    this.#offset = offset
    this.#line = line
    this.#start = { offset, line }
    this.#skip = skip
  }

  push(bytes: Uint8Array): void {
    this.#append(bytes)
    this.#parse(true)
    const { maxRecordLength } = this.#dialect
    if (this.#text.length > maxRecordLength) {
      throw this.#corrupt(
        `a record is longer than ${maxRecordLength} characters`,
        'A quote is not closed, or this is no such table. maxRecordLength allows longer ones.',
      )
    }
  }

  end(): void {
    this.#append()
    this.#parse(false)
  }

  next(): CsvRecord | undefined {
    while (this.#skip > 0 && this.#taken < this.#ready.length) {
      this.#skip--
      this.#taken++
    }
    const record = this.#ready[this.#taken]
    if (record) this.#taken++
    return record
  }

  /** Records that are ready, `count` at most, without taking them. */
  peek(count: number): readonly CsvRecord[] {
    return this.#ready.slice(this.#taken, this.#taken + count)
  }

  /** Undefined where bytes cannot be told from characters. */
  position(): CsvPosition | undefined {
    return this.#decoder.encoding === 'utf-8' ? { ...this.#start, skip: this.#taken } : undefined
  }

  #append(bytes?: Uint8Array): void {
    let text: string
    try {
      text = bytes ? this.#decoder.decode(bytes, { stream: true }) : this.#decoder.decode()
    } catch {
      throw this.#corrupt(`here or later, the text is no ${this.#decoder.encoding}`, "Name its encoding: { encoding: 'latin1' }.")
    }
    if (this.#offset === 0 && this.#text === '' && text.startsWith('\uFEFF')) {
      text = text.slice(1)
      this.#offset = 3
    }
    this.#text += text
  }

  #parse(more: boolean): void {
    const text = this.#text
    if (text === '') return
    this.#newline ??= newlineOf(text, this.#dialect.quote, more)
    if (this.#newline === undefined) return
    if (this.#taken === this.#ready.length) {
      this.#ready = []
      this.#taken = 0
      this.#start = { offset: this.#offset, line: this.#line }
    }
    const { delimiter, quote, escape, comment } = this.#dialect
    // Without quotes and comments a record is a line.
    const simple = comment === undefined && !text.includes(quote)
    let cursor = 0
    const parser = new Papa.Parser({
      delimiter,
      newline: this.#newline as '\n',
      quoteChar: quote,
      escapeChar: escape,
      ...(comment !== undefined && { comments: comment }),
      step: ({ data, errors, meta }: Papa.ParseStepResult<unknown>) => {
        const [fields] = data as string[][]
        const consumed = simple ? '' : text.slice(cursor, meta.cursor)
        cursor = meta.cursor
        const line = this.#line + commentLines(consumed, comment)
        this.#line += simple ? 1 : linesIn(consumed)
        if (fields!.length > 1 || fields![0] !== '') this.#ready.push({ fields: fields!, line, problem: errors[0]?.message.toLowerCase() })
      },
    })
    parser.parse(text, 0, more)
    if (!more) cursor = text.length
    this.#offset += new TextEncoder().encode(text.slice(0, cursor)).length
    this.#text = text.slice(cursor)
  }

  #corrupt(message: string, hint: string): CotangentError {
    return new CotangentError('corrupt-file', { op: 'readCsv', message: `${this.#file}:${this.#line}: ${message}`, hint })
  }
}

/** How lines of a text end; undefined as long as one has to see more. */
function newlineOf(text: string, quote: string, more: boolean): string | undefined {
  const pieces = text.slice(0, 2 ** 20).split(quote)
  // What lies between quotes is every other piece.
  for (const piece of pieces.filter((_, i) => i % 2 === 0)) {
    const found = /\r\n|\n|\r/.exec(piece)
    if (found) return found[0] === '\r' && more && text.endsWith('\r') ? undefined : found[0]
  }
  return more ? undefined : '\n'
}

const linesIn = (text: string): number => text.match(/\r\n|\n|\r/g)?.length ?? 0

/** Lines of comments that a record's text begins with. */
function commentLines(text: string, comment: string | undefined): number {
  if (comment === undefined) return 0
  let lines = 0
  for (const line of text.split(/\r\n|\n|\r/)) {
    if (!line.startsWith(comment)) break
    lines++
  }
  return lines
}

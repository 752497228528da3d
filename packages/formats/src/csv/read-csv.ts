import { CotangentError } from 'cotangent'
import { type BytesLike, type ByteSource, bytesFrom, checkOptionNames, type OptionNames, type SourceItem } from 'cotangent/data'
import Papa from 'papaparse'
import { badElement, FileSource, readerOf } from '../file-source.ts'
import { type Compression, inflate, isGzip, peek } from '../inflate.ts'
import { batched } from '../table/batched.ts'
import { type Column, type Columns, inferType, makeColumn, quoted, rowMaker, type TableBatch, type TableRow } from '../table/column.ts'
import { type CsvPosition, type CsvRecord, CsvRecords } from './csv-records.ts'

/** How a table is written (RFC 4180 by default), and which of its columns are read as what. */
export interface CsvOptions<C extends Columns = Columns> {
  /**
   * The columns to read and what they hold, by name, in any order. Default: all of them, as numbers (float64) or truth values where each of
   * the first 1,000 records is one, and else as texts.
   */
  readonly columns?: C
  /** Whether the first record names the columns (default true), or their names. */
  readonly header?: boolean | readonly string[]
  /** Between fields; default a comma. `auto` looks for one of comma, tab, bar and semicolon. */
  readonly delimiter?: string
  /** Around fields; default `"`. */
  readonly quote?: string
  /** Before a quote inside quotes; default the quote itself. */
  readonly escape?: string
  /** Lines that begin with it are passed over. */
  readonly comment?: string
  /** What stands for a missing value, but in texts. Default empty, NA, N/A, NaN, null, NULL, None and ?. */
  readonly missing?: readonly string[]
  /** Name of the encoding, as TextDecoder knows it; default utf-8. */
  readonly encoding?: string
  /** Default `auto`: gzip if the file is. */
  readonly compression?: Compression
  /** The longest record that is believed, in characters. Default 16 Mi. */
  readonly maxRecordLength?: number
}

const optionNames: OptionNames<CsvOptions> = {
  columns: true,
  header: true,
  delimiter: true,
  quote: true,
  escape: true,
  comment: true,
  missing: true,
  encoding: true,
  compression: true,
  maxRecordLength: true,
}

/** Columns whose types are not known until the file is read. */
export type InferredRow = Record<string, number | boolean | string>
/** A batch of a file whose columns' types were inferred: tensors, and arrays of texts, by column. */
export type InferredBatch = Record<string, TableBatch<Columns>[string]>

/** A row: of the types of the columns that were given, else of inferred ones. */
export type CsvRow<C extends Columns> = Columns extends C ? InferredRow : TableRow<C>
/** A batch of rows: of the types of the columns that were given, else of inferred ones. */
export type CsvBatch<C extends Columns> = Columns extends C ? InferredBatch : TableBatch<C>

const defaultMissing = ['', 'NA', 'N/A', 'NaN', 'nan', 'null', 'NULL', 'None', '?']
const samples = 1000

/**
 * The rows of a CSV file (RFC 4180), as objects. One that does not fit is a `bad-record`, which names the file and the line.
 *
 * @throws CotangentError `corrupt-file` where the file is no such table; `io-failure` where it cannot be read.
 */
export function readCsv<const C extends Columns = Columns>(source: BytesLike, options: CsvOptions<C> = {}): FileSource<CsvRow<C>> {
  return csvSource(bytesFrom(source), options as CsvOptions, (columns) => rowMaker(columns.map(({ name }) => name))) as FileSource<
    CsvRow<C>
  >
}

/** The rows of a CSV file in batches of columns: tensors `[rows]`, and texts as arrays. The last batch may have fewer rows. */
export function readCsvBatches<const C extends Columns = Columns>(
  source: BytesLike,
  batchSize: number,
  options: CsvOptions<C> = {},
): FileSource<CsvBatch<C>> {
  let columns: readonly Column[] = []
  const rows = csvSource(bytesFrom(source), options as CsvOptions, (found) => {
    columns = found
    return (cells) => cells
  })
  return batched(rows, batchSize, () => columns) as FileSource<CsvBatch<C>>
}

/** What the beginning of a file says of all of it. */
interface Layout {
  readonly delimiter: string
  /** Columns that are read, and where their cells are. */
  readonly columns: readonly { readonly column: Column; readonly at: number }[]
  /** Fields of each record. */
  readonly width: number
}

function csvSource<T>(
  bytes: ByteSource,
  options: CsvOptions,
  shapeOf: (columns: readonly Column[]) => (cells: readonly unknown[]) => T,
): FileSource<T> {
  checkOptionNames('readCsv', options, optionNames)
  const { header = true } = options
  const missing = new Set(options.missing ?? defaultMissing)
  checkDialect(options)
  /** The same for every pass. */
  let layout: Layout | undefined
  return new FileSource<T>({
    name: bytes.name,
    async open(position) {
      const from = position as CsvPosition | undefined
      if (from && !layout) {
        const start = await begin(bytes, options)
        layout = await start.layout(options, missing)
        await start.close()
      }
      const pass = await begin(bytes, options, layout?.delimiter, from)
      layout ??= await pass.layout(options, missing)
      const { columns, width } = layout
      const toValue = shapeOf(columns.map(({ column }) => column))
      let headerLeft = header === true && !from
      const { records } = pass
      const next = (): SourceItem<T> | undefined => {
        let record = records.next()
        if (record && headerLeft) {
          headerLeft = false
          record = records.next()
        }
        if (!record) return undefined
        const place = { source: bytes.name, line: record.line }
        try {
          return { value: toValue(cellsOf(record, width, columns, missing)), place }
        } catch (error) {
          throw badElement('readCsv', place, error)
        }
      }
      return readerOf(pass.rest, {
        push: (piece) => records.push(piece),
        next,
        end: () => records.end(),
        position: () => (pass.compressed ? undefined : records.position()),
      })
    },
  })
}

/** A pass over the records, from the beginning or a position. */
async function begin(bytes: ByteSource, options: CsvOptions, knownDelimiter?: string, from?: CsvPosition) {
  const { compression = 'auto', encoding = 'utf-8', quote = '"', delimiter = ',', maxRecordLength = 2 ** 24 } = options
  let pieces = bytes.read(from?.offset)
  let compressed = false
  if (!from) {
    const start = await peek(pieces, 3)
    const kind = compression === 'auto' ? (isGzip(start.first) ? 'gzip' : 'none') : compression
    compressed = kind !== 'none'
    pieces = kind === 'none' ? start.pieces : inflate(start.pieces, kind, bytes.name)
  }
  let found = knownDelimiter ?? delimiter
  if (found === 'auto') {
    const start = await peek(pieces, 2 ** 16)
    pieces = start.pieces
    found = Papa.parse(new TextDecoder(encoding).decode(start.first), {
      quoteChar: quote,
      preview: 20,
      delimitersToGuess: [',', '\t', '|', ';'],
      // The end of the last line would count as a record of one field.
      skipEmptyLines: true,
      ...(options.comment !== undefined && { comments: options.comment }),
    }).meta.delimiter
  }
  const dialect = { delimiter: found, quote, escape: options.escape ?? quote, comment: options.comment, encoding, maxRecordLength }
  const records = new CsvRecords(bytes.name, dialect, from)
  const iterator = pieces[Symbol.asyncIterator]()
  return {
    records,
    compressed,
    rest: { [Symbol.asyncIterator]: () => iterator },
    close: async () => void (await iterator.return?.()),
    async layout({ header = true, columns }: CsvOptions, missing: ReadonlySet<string>): Promise<Layout> {
      const wanted = columns && header !== false ? 1 : samples + 1
      while (records.peek(wanted).length < wanted) {
        const { done, value } = await iterator.next()
        if (done) {
          records.end()
          break
        }
        records.push(value)
      }
      return { delimiter: found, ...layOut(bytes.name, records.peek(wanted), header, columns, missing) }
    },
  }
}

function layOut(
  file: string,
  seen: readonly CsvRecord[],
  header: boolean | readonly string[],
  columns: Columns | undefined,
  missing: ReadonlySet<string>,
) {
  const corrupt = (message: string, hint: string) =>
    new CotangentError('corrupt-file', { op: 'readCsv', message: `${file}:${seen[0]?.line ?? 1}: ${message}`, hint })
  if (header === true && !seen.length) throw corrupt('there is no header', 'The file is empty, or has only comments.')
  const names =
    header === true
      ? seen[0]!.fields.map((name) => name.trim())
      : header === false
        ? (seen[0]?.fields ?? []).map((_, i) => String(i))
        : header
  const repeated = names.find((name, i) => names.indexOf(name) !== i)
  if (repeated !== undefined) throw corrupt(`two columns are named ${quoted(repeated)}`, 'Name the columns: { header: [...] }.')
  const specs: Columns = columns ?? inferred(names, header === true ? seen.slice(1) : seen, missing)
  const picked = Object.entries(specs).map(([name, spec]) => {
    const at = names.indexOf(name)
    if (at < 0) throw corrupt(`there is no column ${quoted(name)}`, `There are ${names.map(quoted).join(', ')}.`)
    return { column: makeColumn(name, spec), at }
  })
  return { columns: picked, width: names.length }
}

function inferred(names: readonly string[], records: readonly CsvRecord[], missing: ReadonlySet<string>): Columns {
  return Object.fromEntries(
    names.map((name, i) => [
      name,
      inferType(records.flatMap(({ fields }) => (fields[i] === undefined || missing.has(fields[i]) ? [] : [fields[i]]))),
    ]),
  )
}

function cellsOf({ fields, problem }: CsvRecord, width: number, columns: Layout['columns'], missing: ReadonlySet<string>): unknown[] {
  if (problem !== undefined) throw new Error(problem)
  if (fields.length !== width) throw new Error(`the record has ${fields.length} fields, the table ${width} columns`)
  const cells = new Array<unknown>(columns.length)
  for (let i = 0; i < columns.length; i++) {
    const { column, at } = columns[i]!
    cells[i] = cellOf(column, fields[at]!, missing)
  }
  return cells
}

function cellOf(column: Column, text: string, missing: ReadonlySet<string>): unknown {
  if (column.dtype !== 'string' && missing.has(text.trim())) {
    if (column.missing !== undefined) return column.missing
    throw new Error(`column ${quoted(column.name)} has no value: give the column { type, missing }`)
  }
  try {
    return column.parse(text)
  } catch (error) {
    throw new Error(`column ${quoted(column.name)}: ${(error as Error).message}`, { cause: error })
  }
}

function checkDialect({ quote = '"', delimiter = ',', comment, encoding = 'utf-8' }: CsvOptions): void {
  const invalid = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'readCsv', message, hint })
  if (delimiter !== 'auto' && (delimiter === '' || Papa.BAD_DELIMITERS.includes(delimiter)))
    throw invalid(`the delimiter is ${quoted(delimiter)}`, 'It must be no line break and no quote.')
  if (quote.length !== 1) throw invalid(`the quote is ${quoted(quote)}`, 'It must be one character.')
  if (comment === '' || comment === delimiter)
    throw invalid(`comments begin with ${quoted(comment)}`, 'It must be something, and not the delimiter.')
  try {
    new TextDecoder(encoding)
  } catch (cause) {
    throw new CotangentError('invalid-argument', {
      op: 'readCsv',
      message: `no encoding is called ${quoted(encoding)}`,
      hint: 'Names are those of the Encoding Standard: utf-8, latin1, utf-16le, shift_jis, ...',
      cause,
    })
  }
}

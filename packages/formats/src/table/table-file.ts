import { CotangentError } from 'cotangent'
import type { SourceItem } from 'cotangent/data'
import { badElement, FileSource } from '../file-source.ts'
import { batched } from './batched.ts'
import { type Column, type Columns, type ColumnType, convertCell, makeColumn, quoted, rowMaker } from './column.ts'

/** A file of a table whose columns have types: Parquet, Arrow. */
export interface TableFile {
  readonly fields: readonly TableField[]
  /** Rows from one on, in pieces: as many as the file keeps together. */
  pieces(names: readonly string[], from: number): AsyncIterator<TablePiece>
}

export interface TableField {
  readonly name: string
  /** As the format calls it. */
  readonly type: string
  /** What it is in a batch; undefined if it fits none. */
  readonly column: ColumnType | undefined
}

export interface TablePiece {
  /** Its first row, counted from 0 over the whole file. */
  readonly start: number
  readonly rows: number
  /** Cells of a row of the piece, in the order of the names. */
  cells(row: number): unknown[]
}

/** Rows as objects of what the file holds. */
export function tableRows(
  name: string,
  open: () => Promise<TableFile>,
  columns: readonly string[] | undefined,
): FileSource<Record<string, unknown>> {
  return cellSource(name, open, (file) => {
    const names = columns ?? file.fields.map((field) => field.name)
    return { names, convert: rowMaker(names) }
  })
}

/** Batches of columns: tensors `[rows]`, and texts as arrays. */
export function tableBatches(
  name: string,
  open: () => Promise<TableFile>,
  batchSize: number,
  specs: Columns | undefined,
): FileSource<Record<string, unknown>> {
  let columns: readonly Column[] = []
  const rows = cellSource(name, open, ({ fields }) => {
    columns = Object.entries(specs ?? ownColumns(name, fields)).map(([key, spec]) => makeColumn(key, spec))
    return { names: columns.map((column) => column.name), convert: (cells) => columns.map((column, i) => convertCell(column, cells[i])) }
  })
  return batched(rows, batchSize, () => columns)
}

interface Selection<T> {
  readonly names: readonly string[]
  convert(cells: readonly unknown[]): T
}

function cellSource<T>(name: string, open: () => Promise<TableFile>, select: (file: TableFile) => Selection<T>): FileSource<T> {
  return new FileSource<T>({
    name,
    async open(position) {
      const file = await open()
      const { names, convert } = select(file)
      for (const wanted of names) {
        if (file.fields.some((field) => field.name === wanted)) continue
        throw new CotangentError('corrupt-file', {
          message: `${name} has no column ${quoted(wanted)}`,
          hint: `It has ${file.fields.map((field) => quoted(field.name)).join(', ')}.`,
        })
      }
      let at = (position as number | undefined) ?? 0
      const pieces = file.pieces(names, at)
      let piece: TablePiece | undefined
      const take = (from: TablePiece): SourceItem<T> => {
        const place = { source: name, index: at }
        const row = at++ - from.start
        try {
          return { value: convert(from.cells(row)), place }
        } catch (error) {
          throw badElement('table', place, error)
        }
      }
      const more = async () => {
        for (;;) {
          const { done, value } = await pieces.next()
          if (done) return undefined
          piece = value
          if (at < value.start + value.rows) return take(value)
        }
      }
      return {
        next: () => (piece && at < piece.start + piece.rows ? take(piece) : more()),
        position: () => at,
        close: async () => void (await pieces.return?.()),
      }
    },
  })
}

function ownColumns(file: string, fields: readonly TableField[]): Columns {
  const unfit = fields.filter(({ column }) => column === undefined)
  if (unfit.length > 0) {
    throw new CotangentError('invalid-argument', {
      message: `${file} has columns that are no tensors: ${unfit.map(({ name, type }) => `${quoted(name)} (${type})`).join(', ')}`,
      hint: 'Name the columns to read: { columns: { ... } }, or read rows.',
    })
  }
  return Object.fromEntries(fields.map(({ name, column }) => [name, column!]))
}

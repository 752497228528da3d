import { CotangentError } from 'cotangent'
import { type ByteSource, readAll } from 'cotangent/data'
import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetReadObjects, parquetSchema, type SchemaTree } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import type { ColumnType } from '../table/column.ts'
import type { TableField, TableFile, TablePiece } from '../table/table-file.ts'

/** How much memory a file may ask for. */
export interface ParquetLimits {
  /** The largest row group that is believed, uncompressed: it is decoded as a whole. Default 2 GiB. */
  readonly maxRowGroupBytes?: number
}

/** What a file holds. */
export interface ParquetInfo {
  readonly rows: number
  /** Rows of each row group. */
  readonly rowGroups: readonly number[]
  readonly fields: readonly TableField[]
}

interface ParquetFile extends TableFile, ParquetInfo {}

/** Reads the footer; row groups are read as they are gone through, and only the columns that are asked for. */
export async function openParquet(bytes: ByteSource, { maxRowGroupBytes = 2 ** 31 }: ParquetLimits = {}): Promise<ParquetFile> {
  const file = await asyncBuffer(bytes)
  const metadata = await decoding(bytes, () => parquetMetadataAsync(file))
  const rowGroups = checkedGroups(bytes, metadata, file.byteLength, maxRowGroupBytes)
  const fields = await decoding(bytes, async () => parquetSchema(metadata).children.map(fieldOf))
  return {
    fields,
    rowGroups,
    rows: rowGroups.reduce((sum, rows) => sum + rows, 0),
    async *pieces(names, from) {
      let start = 0
      for (const rows of rowGroups) {
        if (start + rows > from) yield await readGroup(start, rows, names)
        start += rows
      }
    },
  }

  async function readGroup(start: number, rows: number, names: readonly string[]): Promise<TablePiece> {
    const objects = await decoding(bytes, () =>
      parquetReadObjects({ file, metadata, columns: [...names], rowStart: start, rowEnd: start + rows, rowFormat: 'object', compressors }),
    )
    if (objects.length !== rows) throw corrupt(bytes, `a row group has ${objects.length} rows, not the ${rows} that it claims`)
    return { start, rows, cells: (row) => names.map((name) => objects[row]![name] as unknown) }
  }
}

async function asyncBuffer(bytes: ByteSource): Promise<AsyncBuffer> {
  const { parts } = bytes
  if (parts) {
    const byteLength = await parts.size()
    return { byteLength, slice: async (begin, end = byteLength) => new Uint8Array(await parts.read(begin, end)).buffer }
  }
  // The footer is at the end: a stream is kept as a whole.
  const { buffer, byteLength } = new Uint8Array(await readAll(bytes))
  return { byteLength, slice: (begin, end) => buffer.slice(begin, end) }
}

function checkedGroups(bytes: ByteSource, { row_groups, num_rows }: FileMetaData, size: number, maxRowGroupBytes: number): number[] {
  const rows = row_groups.map((group, i) => {
    const [count, total] = [Number(group.num_rows), Number(group.total_byte_size)]
    // A value takes no less than a bit before compression, but for a column of one value, which takes none: 2^26 rows of those.
    if (!(count >= 0 && count <= Math.max(2 ** 26, total * 8)) || !(total >= 0 && total <= maxRowGroupBytes)) {
      throw corrupt(bytes, `row group ${i} claims ${count} rows in ${total} bytes`, 'Raise maxRowGroupBytes if that is right.')
    }
    for (const { meta_data } of group.columns) {
      const begin = Number(meta_data?.dictionary_page_offset ?? meta_data?.data_page_offset ?? 0)
      const end = begin + Number(meta_data?.total_compressed_size ?? 0)
      if (!(begin >= 0 && begin <= end && end <= size)) throw corrupt(bytes, `row group ${i} lies outside of the file`)
    }
    return count
  })
  if (rows.reduce((sum, count) => sum + count, 0) !== Number(num_rows))
    throw corrupt(bytes, 'the row groups have other than the rows that the file claims')
  return rows
}

/** What a decoder throws that is no error of ours is the file's fault. */
async function decoding<T>(bytes: ByteSource, decode: () => Promise<T>): Promise<T> {
  try {
    return await decode()
  } catch (cause) {
    throw cause instanceof CotangentError ? cause : corrupt(bytes, cause instanceof Error ? cause.message : String(cause), undefined, cause)
  }
}

const corrupt = (bytes: ByteSource, message: string, hint = 'Fetch or write the file again.', cause?: unknown): CotangentError =>
  new CotangentError('corrupt-file', { op: 'readParquet', message: `${bytes.name}: ${message.replace(/\.$/, '')}`, hint, cause })

const plainTypes: Readonly<Record<string, ColumnType>> = {
  BOOLEAN: 'bool',
  INT32: 'int32',
  INT64: 'int64',
  FLOAT: 'float32',
  DOUBLE: 'float64',
}

function fieldOf({ element, children }: SchemaTree): TableField {
  const { name, type, converted_type, logical_type, repetition_type } = element
  const words = logical_type?.type ?? converted_type ?? type ?? 'group'
  if (children.length > 0 || type === undefined || repetition_type === 'REPEATED') return { name, type: words, column: undefined }
  const annotated = converted_type !== undefined || logical_type !== undefined
  if (converted_type === 'UINT_8') return { name, type: words, column: 'uint8' }
  if (converted_type === 'UTF8' || converted_type === 'ENUM' || logical_type?.type === 'STRING')
    return { name, type: words, column: 'string' }
  const isSmallInteger =
    converted_type === 'INT_8' || converted_type === 'INT_16' || converted_type === 'UINT_16' || converted_type === 'INT_32'
  if (isSmallInteger) return { name, type: words, column: 'int32' }
  if (converted_type === 'INT_64') return { name, type: words, column: 'int64' }
  return { name, type: words, column: annotated ? undefined : plainTypes[type] }
}

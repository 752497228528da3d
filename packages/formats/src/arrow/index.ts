// What runs everywhere: `@cotangent/formats/arrow` in a browser. It takes the package apache-arrow.
import { type BytesLike, bytesFrom } from 'cotangent/data'
import type { FileSource } from '../file-source.ts'
import type { Columns, TableBatch } from '../table/column.ts'
import { tableBatches, tableRows } from '../table/table-file.ts'
import { openArrow } from './arrow-file.ts'

export type { BytesLike, ByteSource } from 'cotangent/data'
export type { FileSource } from '../file-source.ts'
export type { Columns, ColumnSpec, ColumnType, TableBatch } from '../table/column.ts'

/**
 * The rows of an Arrow IPC file or stream, as objects of what its columns hold: numbers, bigints for 64-bit integers, texts, dates, lists, null.
 *
 * @throws CotangentError `corrupt-file` where the file is damaged or lacks a column; `io-failure` where it cannot be read; `unsupported`
 * without apache-arrow.
 */
export function readArrow(
  source: BytesLike,
  { columns }: { readonly columns?: readonly string[] } = {},
): FileSource<Record<string, unknown>> {
  const bytes = bytesFrom(source)
  return tableRows(bytes.name, () => openArrow(bytes), columns)
}

/**
 * The rows of an Arrow IPC file or stream in batches of columns: tensors `[rows]`, and texts as arrays. The last batch may have fewer rows.
 * Default: all columns, with their own types. A cell that does not fit is a `bad-record`.
 */
export function readArrowBatches<const C extends Columns = Columns>(
  source: BytesLike,
  batchSize: number,
  { columns }: { readonly columns?: C } = {},
): FileSource<TableBatch<C>> {
  const bytes = bytesFrom(source)
  return tableBatches(bytes.name, () => openArrow(bytes), batchSize, columns) as FileSource<TableBatch<C>>
}

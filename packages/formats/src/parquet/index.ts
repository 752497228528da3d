// What runs everywhere: `@cotangent/formats/parquet` in a browser.
import { type BytesLike, bytesFrom } from 'cotangent/data'
import type { FileSource } from '../file-source.ts'
import type { Columns, TableBatch } from '../table/column.ts'
import { tableBatches, tableRows } from '../table/table-file.ts'
import { openParquet, type ParquetInfo, type ParquetLimits } from './parquet-file.ts'

export type { BytesLike, ByteSource } from 'cotangent/data'
export type { FileSource } from '../file-source.ts'
export type { Columns, ColumnSpec, ColumnType, TableBatch } from '../table/column.ts'
export type { TableField } from '../table/table-file.ts'
export type { ParquetInfo, ParquetLimits } from './parquet-file.ts'

/**
 * The rows of a Parquet file, as objects of what its columns hold: numbers, bigints for 64-bit integers, texts, dates, lists, null. Row groups are
 * read one by one, and only the columns that are named.
 *
 * @throws CotangentError `corrupt-file` where the file is damaged or lacks a column; `io-failure` where it cannot be read.
 */
export function readParquet(
  source: BytesLike,
  { columns, ...limits }: ParquetLimits & { readonly columns?: readonly string[] } = {},
): FileSource<Record<string, unknown>> {
  const bytes = bytesFrom(source)
  return tableRows(bytes.name, () => openParquet(bytes, limits), columns)
}

/**
 * The rows of a Parquet file in batches of columns: tensors `[rows]`, and texts as arrays. The last batch may have fewer rows. Default: all
 * columns, with their own types. A cell that does not fit is a `bad-record`.
 */
export function readParquetBatches<const C extends Columns = Columns>(
  source: BytesLike,
  batchSize: number,
  { columns, ...limits }: ParquetLimits & { readonly columns?: C } = {},
): FileSource<TableBatch<C>> {
  const bytes = bytesFrom(source)
  return tableBatches(bytes.name, () => openParquet(bytes, limits), batchSize, columns) as FileSource<TableBatch<C>>
}

/** Rows, row groups and columns of a Parquet file. */
export async function describeParquet(source: BytesLike): Promise<ParquetInfo> {
  const { rows, rowGroups, fields } = await openParquet(bytesFrom(source))
  return { rows, rowGroups, fields }
}

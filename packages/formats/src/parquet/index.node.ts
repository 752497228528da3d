// `@cotangent/formats/parquet` in Node: readers take paths too.
import type { FileSource } from '../file-source.ts'
import { type PathOrBytes, sourceOf } from '../path-bytes.node.ts'
import type { Columns, TableBatch } from '../table/column.ts'
import * as anywhere from './index.ts'
import type { ParquetInfo, ParquetLimits } from './parquet-file.ts'

export * from './index.ts'
export type { PathOrBytes } from '../path-bytes.node.ts'

/** See `readParquet` of the browser; `source` may be a path. */
export function readParquet(
  source: PathOrBytes,
  options?: ParquetLimits & { readonly columns?: readonly string[] },
): FileSource<Record<string, unknown>> {
  return anywhere.readParquet(sourceOf(source), options)
}

/** See `readParquetBatches` of the browser; `source` may be a path. */
export function readParquetBatches<const C extends Columns = Columns>(
  source: PathOrBytes,
  batchSize: number,
  options?: ParquetLimits & { readonly columns?: C },
): FileSource<TableBatch<C>> {
  return anywhere.readParquetBatches(sourceOf(source), batchSize, options)
}

/** See `describeParquet` of the browser; `source` may be a path. */
export function describeParquet(source: PathOrBytes): Promise<ParquetInfo> {
  return anywhere.describeParquet(sourceOf(source))
}

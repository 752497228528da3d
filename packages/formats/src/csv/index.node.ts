// `@cotangent/formats/csv` in Node: readers take paths too.
import type { FileSource } from '../file-source.ts'
import { type PathOrBytes, sourceOf } from '../path-bytes.node.ts'
import type { Columns } from '../table/column.ts'
import * as anywhere from './index.ts'
import type { CsvBatch, CsvOptions, CsvRow } from './read-csv.ts'

export * from './index.ts'
export type { PathOrBytes } from '../path-bytes.node.ts'

/** See `readCsv` of the browser; `source` may be a path. */
export function readCsv<const C extends Columns = Columns>(source: PathOrBytes, options?: CsvOptions<C>): FileSource<CsvRow<C>> {
  return anywhere.readCsv(sourceOf(source), options)
}

/** See `readCsvBatches` of the browser; `source` may be a path. */
export function readCsvBatches<const C extends Columns = Columns>(
  source: PathOrBytes,
  batchSize: number,
  options?: CsvOptions<C>,
): FileSource<CsvBatch<C>> {
  return anywhere.readCsvBatches(sourceOf(source), batchSize, options)
}

// `@cotangent/formats/arrow` in Node: readers take paths too.
import type { FileSource } from '../file-source.ts'
import { type PathOrBytes, sourceOf } from '../path-bytes.node.ts'
import type { Columns, TableBatch } from '../table/column.ts'
import * as anywhere from './index.ts'

export * from './index.ts'
export type { PathOrBytes } from '../path-bytes.node.ts'

/** See `readArrow` of the browser; `source` may be a path. */
export function readArrow(source: PathOrBytes, options?: { readonly columns?: readonly string[] }): FileSource<Record<string, unknown>> {
  return anywhere.readArrow(sourceOf(source), options)
}

/** See `readArrowBatches` of the browser; `source` may be a path. */
export function readArrowBatches<const C extends Columns = Columns>(
  source: PathOrBytes,
  batchSize: number,
  options?: { readonly columns?: C },
): FileSource<TableBatch<C>> {
  return anywhere.readArrowBatches(sourceOf(source), batchSize, options)
}

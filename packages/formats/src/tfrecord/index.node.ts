// `@cotangent/formats/tfrecord` in Node: readers take paths too.
import type { FileSource } from '../file-source.ts'
import { type PathOrBytes, sourceOf } from '../path-bytes.node.ts'
import type { Features, Row } from './features.ts'
import * as anywhere from './index.ts'
import type { RecordOptions } from './records.ts'

export * from './index.ts'
export type { PathOrBytes } from '../path-bytes.node.ts'
export { TFRecordWriter, type TFRecordWriterOptions } from './tfrecord-writer.node.ts'

/** See `readRecords` of the browser; `source` may be a path. */
export function readRecords(source: PathOrBytes, options?: RecordOptions): FileSource<Uint8Array> {
  return anywhere.readRecords(sourceOf(source), options)
}

/** See `readExamples` of the browser; `source` may be a path. */
export function readExamples<const F extends Features>(source: PathOrBytes, features: F, options?: RecordOptions): FileSource<Row<F>> {
  return anywhere.readExamples(sourceOf(source), features, options)
}

import type { BytesLike } from 'cotangent/data'
import type { FileSource } from '../file-source.ts'
import { parseExample } from './example.ts'
import type { Features, Row } from './features.ts'
import { type RecordOptions, recordSource } from './records.ts'

/** The rows of a TFRecord file of tf.Examples. One that does not fit `features` is a `bad-record`, which names the file and the byte. */
export function readExamples<const F extends Features>(source: BytesLike, features: F, options: RecordOptions = {}): FileSource<Row<F>> {
  return recordSource(source, options, (data) => parseExample(data, features))
}

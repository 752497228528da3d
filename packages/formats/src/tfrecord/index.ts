// What runs everywhere: `@cotangent/formats/tfrecord` in a browser.
export type { BytesLike, ByteSource } from 'cotangent/data'
export type { FileSource } from '../file-source.ts'
export type { Compression } from '../inflate.ts'
export { buildExample, inspectExample, parseExample } from './example.ts'
export {
  type Features,
  type FeatureSpec,
  type FeatureType,
  type FeatureValue,
  type FixedLength,
  fixedLength,
  type Row,
  type VariableLength,
  variableLength,
} from './features.ts'
export { readExamples } from './read-examples.ts'
export { encodeRecords, readRecords, type RecordOptions } from './records.ts'

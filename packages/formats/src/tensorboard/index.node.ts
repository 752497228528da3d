// `@cotangent/formats/tensorboard` in Node: event files.
export * from './index.ts'
export type { EmbeddingOptions } from './embedding.node.ts'
export { EventFileReader, type EventReaderOptions, readEvents } from './event-file-reader.node.ts'
export { EventFileWriter, type EventFileWriterOptions } from './event-file-writer.node.ts'
export { findRuns, isEventFile, type Run } from './runs.node.ts'

export { joinBytes } from '../io/join-bytes.ts'
export { type ByteParts, type BytesLike, type ByteSource, bytesFrom, gunzip, readAll } from './bytes.ts'
export { type Batched, collate, type CollateOptions } from './collate.ts'
export { type BucketBySequenceLengthOptions, Dataset, type DatasetState, type Zipped } from './dataset.ts'
export type { ElementContext } from './element-context.ts'
export type { ElementStore, ElementWriter, StoredElements } from './element-store.ts'
export { inWorker } from './in-worker.ts'
export type { PaddingOptions } from './pad-elements.ts'
export { badRecord, type Place } from './place.ts'
export { checkOptionNames, type OptionNames } from '../option-names.ts'
export {
  distributedSampler,
  type DistributedSamplerOptions,
  randomSampler,
  type RandomSamplerOptions,
  type Sampler,
  subsetRandomSampler,
  subsetSampler,
  weightedRandomSampler,
  type WeightedRandomSamplerOptions,
} from './sampler.ts'
export type { Source, SourceItem, SourceReader } from './source.ts'
export type { Unbatched } from './unbatch.ts'
export { type AnyWorker } from './worker-line.ts'
export { type WorkerModule, WorkerPool, type WorkerPoolOptions } from './worker-pool.ts'
export type { Elements, ElementsLike } from './sources/elements.ts'
export { readIdx } from './sources/idx.ts'
export type { IndexedElements } from './sources/indexed-elements.ts'
export { jsonLines, textLines, type TextLinesOptions } from './sources/text-lines.ts'
export type { BatchOptions } from './stages/batch.ts'
export type { FilterOptions } from './stages/filter.ts'
export type { GroupKey } from './stages/group.ts'
export type { IgnoreErrorsOptions } from './stages/ignore-errors.ts'
export type { InnerFunction, InterleaveOptions } from './stages/interleave.ts'
export type { MapInWorkersOptions } from './stages/map-in-workers.ts'
export type { MapFunction, MapOptions } from './stages/map.ts'
export type { PrefetchDepth } from './stages/prefetch.ts'
export type { RejectionResampleOptions } from './stages/rejection-resample.ts'
export type { SampleFromOptions } from './stages/sample-from.ts'
export type { SampleOptions } from './stages/sample.ts'
export type { ScanFunction } from './stages/scan.ts'
export type { ShuffleOptions } from './stages/shuffle.ts'
export type { SnapshotOptions } from './stages/stored.ts'
export type { WindowOptions } from './stages/window.ts'

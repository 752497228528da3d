// What runs everywhere: `@cotangent/formats/tensorboard` in a browser.
export { decodeEvents } from './decode-events.ts'
export type {
  AudioClip,
  EventKind,
  EventTensor,
  GraphNodeRecord,
  HistogramBuckets,
  HParamInfo,
  HParamsRecord,
  HParamValue,
  MetricInfo,
  PrCurve,
  ProfileSlice,
  TensorBoardEvent,
} from './event.ts'
export type { EventSink } from './event-sink.ts'
export { EventWriter, type EventWriterOptions, type SummaryOptions } from './event-writer.ts'
export type { GraphInput, GraphOptions, NodeInput } from './graph-writer.ts'
export type { Bins } from './histogram.ts'
export type { HParams } from './hparams-summary.ts'
export type { EncodedImage, ImageInput, ImageLayout } from './image-summary.ts'
export type { Deflate } from './png.ts'
export type { PrCurveOptions } from './pr-curve-summary.ts'
export type { TextInput } from './summary.ts'
export type { Values } from './values.ts'

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
  TensorBoardEvent,
} from './event.ts'
export type { EventSink } from './event-sink.ts'
export { EventWriter, type EventWriterOptions, type SummaryOptions } from './event-writer.ts'

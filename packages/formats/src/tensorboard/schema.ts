import { mapOf, many, Message, one } from '../protobuf/message.ts'

/**
 * The messages of event files, with the fields that are written or read here: TensorFlow's event.proto, summary.proto,
 * tensor.proto, graph.proto and what they hold, and the plugin_data.proto of TensorBoard's plugins.
 */
const TensorShape = new Message('TensorShapeProto', {
  dim: many(2, new Message('Dim', { size: one(1, 'int64'), name: one(2, 'string') })),
  unknownRank: one(3, 'bool'),
})

/** `DataType` of types.proto. */
export const dataTypes = {
  float: 1,
  double: 2,
  int32: 3,
  uint8: 4,
  int16: 5,
  int8: 6,
  string: 7,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  uint16: 17,
  half: 19,
  uint32: 22,
  uint64: 23,
} as const

export const TensorProto = new Message('TensorProto', {
  dtype: one(1, 'int32'),
  tensorShape: one(2, TensorShape),
  tensorContent: one(4, 'bytes'),
  floatVal: many(5, 'float'),
  doubleVal: many(6, 'double'),
  intVal: many(7, 'int32'),
  stringVal: many(8, 'bytes'),
  int64Val: many(10, 'int64'),
  boolVal: many(11, 'int32'),
  halfVal: many(13, 'int32'),
  uint32Val: many(16, 'uint32'),
  uint64Val: many(17, 'uint64'),
})

export const Histogram = new Message('HistogramProto', {
  min: one(1, 'double'),
  max: one(2, 'double'),
  num: one(3, 'double'),
  sum: one(4, 'double'),
  sumSquares: one(5, 'double'),
  bucketLimit: many(6, 'double'),
  bucket: many(7, 'double'),
})

/** `DataClass` of summary.proto: what a plugin's values are, so that TensorBoard can read them without knowing the plugin. */
export const dataClasses = { unknown: 0, scalar: 1, tensor: 2, blobSequence: 3 } as const

export const SummaryMetadata = new Message('SummaryMetadata', {
  pluginData: one(1, new Message('PluginData', { pluginName: one(1, 'string'), content: one(2, 'bytes') })),
  displayName: one(2, 'string'),
  description: one(3, 'string'),
  dataClass: one(4, 'int32'),
})

export const SummaryValue = new Message('Summary.Value', {
  tag: one(1, 'string'),
  simpleValue: one(2, 'float'),
  image: one(
    4,
    new Message('Summary.Image', {
      height: one(1, 'int32'),
      width: one(2, 'int32'),
      colorspace: one(3, 'int32'),
      encoded: one(4, 'bytes'),
    }),
  ),
  histo: one(5, Histogram),
  audio: one(
    6,
    new Message('Summary.Audio', {
      sampleRate: one(1, 'float'),
      numChannels: one(2, 'int64'),
      lengthFrames: one(3, 'int64'),
      encoded: one(4, 'bytes'),
      contentType: one(5, 'string'),
    }),
  ),
  nodeName: one(7, 'string'),
  tensor: one(8, TensorProto),
  metadata: one(9, SummaryMetadata),
})

export const EventProto = new Message('Event', {
  wallTime: one(1, 'double'),
  step: one(2, 'int64'),
  fileVersion: one(3, 'string'),
  graphDef: one(4, 'bytes'),
  summary: one(5, new Message('Summary', { value: many(1, SummaryValue) })),
  logMessage: one(6, new Message('LogMessage', { level: one(1, 'int32'), message: one(2, 'string') })),
  sessionLog: one(7, new Message('SessionLog', { status: one(1, 'int32'), checkpointPath: one(2, 'string'), message: one(3, 'string') })),
  taggedRunMetadata: one(8, new Message('TaggedRunMetadata', { tag: one(1, 'string'), runMetadata: one(2, 'bytes') })),
  metaGraphDef: one(9, 'bytes'),
  sourceMetadata: one(10, new Message('SourceMetadata', { writer: one(1, 'string') })),
})

const AttrValue = new Message('AttrValue', {
  list: one(
    1,
    new Message('ListValue', {
      s: many(2, 'bytes'),
      i: many(3, 'int64'),
      f: many(4, 'float'),
      type: many(6, 'int32'),
      shape: many(7, TensorShape),
    }),
  ),
  s: one(2, 'bytes'),
  i: one(3, 'int64'),
  f: one(4, 'float'),
  b: one(5, 'bool'),
  type: one(6, 'int32'),
  shape: one(7, TensorShape),
})

export const GraphDef = new Message('GraphDef', {
  node: many(
    1,
    new Message('NodeDef', {
      name: one(1, 'string'),
      op: one(2, 'string'),
      input: many(3, 'string'),
      device: one(4, 'string'),
      attr: mapOf(5, AttrValue),
    }),
  ),
  versions: one(4, new Message('VersionDef', { producer: one(1, 'int32'), minConsumer: one(2, 'int32') })),
})

/** `google.protobuf.Value`, as far as hyperparameters go. */
const Value = new Message('Value', {
  nullValue: one(1, 'int32'),
  numberValue: one(2, 'double'),
  stringValue: one(3, 'string'),
  boolValue: one(4, 'bool'),
})

export const hparamTypes = { unset: 0, string: 1, bool: 2, float64: 3 } as const
export const sessionStatus = { unknown: 0, success: 1, failure: 2, running: 3 } as const

export const HParamsPluginData = new Message('HParamsPluginData', {
  version: one(1, 'int32'),
  experiment: one(
    2,
    new Message('Experiment', {
      description: one(1, 'string'),
      timeCreatedSecs: one(3, 'double'),
      hparamInfos: many(
        4,
        new Message('HParamInfo', {
          name: one(1, 'string'),
          displayName: one(2, 'string'),
          description: one(3, 'string'),
          type: one(4, 'int32'),
          domainDiscrete: one(5, new Message('ListValue', { values: many(1, Value) })),
          domainInterval: one(6, new Message('Interval', { minValue: one(1, 'double'), maxValue: one(2, 'double') })),
        }),
      ),
      metricInfos: many(
        5,
        new Message('MetricInfo', {
          name: one(1, new Message('MetricName', { group: one(1, 'string'), tag: one(2, 'string') })),
          displayName: one(3, 'string'),
          description: one(4, 'string'),
        }),
      ),
      name: one(6, 'string'),
    }),
  ),
  sessionStartInfo: one(
    3,
    new Message('SessionStartInfo', {
      hparams: mapOf(1, Value),
      modelUri: one(2, 'string'),
      groupName: one(4, 'string'),
      startTimeSecs: one(5, 'double'),
    }),
  ),
  sessionEndInfo: one(4, new Message('SessionEndInfo', { status: one(1, 'int32'), endTimeSecs: one(2, 'double') })),
})

/** Contents of the plugins that keep a version and little else. */
export const PrCurvePluginData = new Message('PrCurvePluginData', { version: one(1, 'int32'), numThresholds: one(2, 'uint32') })
export const ImagePluginData = new Message('ImagePluginData', { version: one(1, 'int32'), convertedToTensor: one(2, 'bool') })
export const AudioPluginData = new Message('AudioPluginData', {
  version: one(1, 'int32'),
  encoding: one(2, 'int32'),
  convertedToTensor: one(3, 'bool'),
})

/** What a run of a program took: step_stats.proto, as far as times go. */
export const RunMetadata = new Message('RunMetadata', {
  stepStats: one(
    1,
    new Message('StepStats', {
      devStats: many(
        1,
        new Message('DeviceStepStats', {
          device: one(1, 'string'),
          nodeStats: many(
            2,
            new Message('NodeExecStats', {
              nodeName: one(1, 'string'),
              allStartMicros: one(2, 'int64'),
              opStartRelMicros: one(3, 'int64'),
              opEndRelMicros: one(4, 'int64'),
              allEndRelMicros: one(5, 'int64'),
              timelineLabel: one(8, 'string'),
              threadId: one(10, 'uint32'),
              allStartNanos: one(13, 'int64'),
              opEndRelNanos: one(15, 'int64'),
              allEndRelNanos: one(16, 'int64'),
            }),
          ),
        }),
      ),
    }),
  ),
})

/** xplane.proto of XProf, TensorBoard's profile plugin. Times are in picoseconds from the start of their line. */
const XEventMetadata = new Message('XEventMetadata', { id: one(1, 'int64'), name: one(2, 'string'), displayName: one(4, 'string') })

export const XSpace = new Message('XSpace', {
  planes: many(
    1,
    new Message('XPlane', {
      id: one(1, 'int64'),
      name: one(2, 'string'),
      lines: many(
        3,
        new Message('XLine', {
          id: one(1, 'int64'),
          name: one(2, 'string'),
          timestampNs: one(3, 'int64'),
          events: many(4, new Message('XEvent', { metadataId: one(1, 'int64'), offsetPs: one(2, 'int64'), durationPs: one(3, 'int64') })),
        }),
      ),
      eventMetadata: many(4, new Message('XEventMetadataEntry', { key: one(1, 'int64'), value: one(2, XEventMetadata) })),
    }),
  ),
  hostnames: many(4, 'string'),
})

import { CotangentError } from 'cotangent'
import type { MessageOf } from '../protobuf/message.ts'
import { readTensor, tensorNumbers, tensorStrings } from './event-tensor.ts'
import type { HistogramBuckets, HParamsRecord, HParamValue, PrCurve, TensorBoardEvent } from './event.ts'
import { readGraph } from './graph-reader.ts'
import { readRunMetadata } from './profile-summary.ts'
import { EventProto, type Histogram, HParamsPluginData, type SummaryMetadata, type SummaryValue } from './schema.ts'

type Value = MessageOf<typeof SummaryValue>
type Metadata = MessageOf<typeof SummaryMetadata>
/** An event without step and time. */
type Body = TensorBoardEvent extends infer E ? (E extends TensorBoardEvent ? Omit<E, 'step' | 'wallTime'> : never) : never

const sessionStates = ['unspecified', 'start', 'stop', 'checkpoint'] as const
const runStates = ['unknown', 'success', 'failure', 'running'] as const

/**
 * Records of an event file to events, from every generation of the format: values that have a field of their own (TensorFlow 1,
 * PyTorch) and those that are tensors with the name of a plugin (TensorFlow 2). It remembers the metadata of tags, which may come with
 * a tag's first event only.
 */
export class EventDecoder {
  readonly #metadata = new Map<string, Metadata>()

  /** @throws CotangentError `corrupt-file` where the record is no event. */
  decode(record: Uint8Array): TensorBoardEvent[] {
    const event = EventProto.decode(record)
    const bodies = event.summary ? event.summary.value.flatMap((value) => this.#value(value) ?? []) : otherBodies(event)
    const { step = 0, wallTime = 0 } = event
    // Bodies are made for this: a copy of each would cost as much as reading it.
    return bodies.map((body) => Object.assign(body, { step, wallTime }) as TensorBoardEvent)
  }

  #value(value: Value): Body | undefined {
    const tag = value.tag ?? value.nodeName ?? ''
    const before = this.#metadata.get(tag)
    if (!before && value.metadata) this.#metadata.set(tag, value.metadata)
    const metadata = before ?? value.metadata
    const description = metadata?.description ?? ''
    const displayName = metadata?.displayName ?? ''
    if (value.simpleValue !== undefined) return { tag, description, displayName, kind: 'scalar', value: value.simpleValue }
    const tagged = { tag, description, displayName }
    if (value.histo) return { ...tagged, kind: 'histogram', histogram: fromLimits(value.histo) }
    if (value.image) {
      const { width = 0, height = 0, encoded } = value.image
      return { ...tagged, kind: 'image', width, height, images: encoded ? [encoded] : [] }
    }
    if (value.audio) {
      const { contentType = 'audio/wav', encoded } = value.audio
      return { ...tagged, kind: 'audio', mimeType: contentType, clips: encoded ? [{ data: encoded, label: '' }] : [] }
    }
    const { pluginName = '', content } = (value.metadata ?? metadata)?.pluginData ?? {}
    if (pluginName === 'hparams') {
      const hparams = readHParams(content ?? new Uint8Array(0))
      return hparams && { ...tagged, kind: 'hparams', hparams }
    }
    return value.tensor && this.#tensor(tagged, pluginName || (metadata?.pluginData?.pluginName ?? ''), value.tensor)
  }

  #tensor(tagged: { tag: string; description: string; displayName: string }, plugin: string, message: NonNullable<Value['tensor']>): Body {
    const tensor = readTensor(message)
    const { shape } = tensor
    const expect = (holds: boolean, what: string) => {
      if (holds) return
      throw new CotangentError('corrupt-file', {
        op: 'readEvents',
        message: `the tensor of ${JSON.stringify(tagged.tag)} has shape [${shape.join(', ')}], but ${plugin} has ${what}`,
        hint: 'The writer of the file is at fault.',
      })
    }
    if (plugin === 'scalars') {
      const values = tensorNumbers(tensor)
      expect(values.length === 1, 'one value')
      return { ...tagged, kind: 'scalar', value: values[0]! }
    }
    if (plugin === 'histograms') {
      expect(shape.length === 2 && shape[1] === 3, 'shape [buckets, 3]')
      const [left, right, count] = columns(tensorNumbers(tensor), 3) as [Float64Array, Float64Array, Float64Array]
      return { ...tagged, kind: 'histogram', histogram: { left, right, count } }
    }
    if (plugin === 'pr_curves') {
      expect(shape.length === 2 && shape[0] === 6, 'shape [6, thresholds]')
      return { ...tagged, kind: 'prCurve', curve: prCurve(tensorNumbers(tensor), shape[1]!) }
    }
    if (plugin === 'images') {
      const strings = tensorStrings(tensor)
      expect(shape.length === 1 && strings.length >= 2, 'width, height and images')
      const [width, height] = strings.slice(0, 2).map((bytes) => Number(text(bytes)))
      return { ...tagged, kind: 'image', width: width!, height: height!, images: strings.slice(2) }
    }
    if (plugin === 'audio') {
      const strings = tensorStrings(tensor)
      expect(shape.length === 2 ? shape[1] === 2 : shape.length === 1, 'shape [clips, 2] or [clips]')
      const stride = shape.length
      const clips = Array.from({ length: shape[0]! }, (_, i) => ({
        data: strings[i * stride]!,
        label: stride === 2 ? text(strings[2 * i + 1]!) : '',
      }))
      return { ...tagged, kind: 'audio', mimeType: 'audio/wav', clips }
    }
    if (plugin === 'text') return { ...tagged, kind: 'text', texts: tensorStrings(tensor).map(text), shape }
    return { ...tagged, kind: 'tensor', plugin, tensor }
  }
}

function otherBodies(event: MessageOf<typeof EventProto>): Body[] {
  if (event.fileVersion !== undefined) return [{ kind: 'fileVersion', version: event.fileVersion, writer: event.sourceMetadata?.writer }]
  if (event.graphDef) return [{ kind: 'graph', nodes: readGraph(event.graphDef) }]
  if (event.taggedRunMetadata) {
    const { tag = '', runMetadata = new Uint8Array(0) } = event.taggedRunMetadata
    return [{ kind: 'profile', tag, slices: readRunMetadata(runMetadata) }]
  }
  if (event.sessionLog) {
    const { status = 0, message = '' } = event.sessionLog
    return [{ kind: 'sessionLog', status: sessionStates[status] ?? 'unspecified', message }]
  }
  if (event.logMessage) return [{ kind: 'log', level: event.logMessage.level ?? 0, message: event.logMessage.message ?? '' }]
  return []
}

const decoder = new TextDecoder()
const text = (bytes: Uint8Array): string => decoder.decode(bytes)

/**
 * A HistogramProto has right edges only, the outermost of which may be infinite: empty buckets at both ends are left out, and the
 * range of the data bounds the rest.
 */
function fromLimits({ min = 0, max = 0, bucketLimit, bucket }: MessageOf<typeof Histogram>): HistogramBuckets {
  const first = bucket.findIndex((count) => count > 0)
  const last = bucket.findLastIndex((count) => count > 0)
  const count = first < 0 ? new Float64Array(0) : bucket.slice(first, last + 1)
  const inner = bucketLimit.subarray(Math.max(0, first), Math.max(0, last))
  return {
    left: count.map((_, i) => (i === 0 ? min : (inner[i - 1] ?? max))),
    right: count.map((_, i) => (i === count.length - 1 ? max : (inner[i] ?? max))),
    count,
  }
}

function columns(values: Float64Array, width: number): Float64Array[] {
  return Array.from({ length: width }, (_, column) =>
    Float64Array.from({ length: values.length / width }, (_, i) => values[i * width + column]!),
  )
}

function prCurve(values: Float64Array, n: number): PrCurve {
  const row = (i: number) => values.slice(i * n, (i + 1) * n)
  return { truePositives: row(0), falsePositives: row(1), trueNegatives: row(2), falseNegatives: row(3), precision: row(4), recall: row(5) }
}

function readHParams(content: Uint8Array): HParamsRecord | undefined {
  const { experiment, sessionStartInfo, sessionEndInfo } = HParamsPluginData.decode(content)
  if (experiment) {
    const words = ({ displayName = '', description = '' }: { displayName: string | undefined; description: string | undefined }) => ({
      displayName,
      description,
    })
    return {
      type: 'experiment',
      hparams: experiment.hparamInfos.map((info) => ({ name: info.name ?? '', ...words(info) })),
      metrics: experiment.metricInfos.map((info) => ({ tag: info.name?.tag ?? '', ...words(info) })),
      timeCreated: experiment.timeCreatedSecs ?? 0,
    }
  }
  if (sessionStartInfo) {
    const values = [...sessionStartInfo.hparams].map(([name, v]): [string, HParamValue | null] => [
      name,
      v.numberValue ?? v.stringValue ?? v.boolValue ?? null,
    ])
    return {
      type: 'start',
      hparams: new Map(values),
      group: sessionStartInfo.groupName ?? '',
      startTime: sessionStartInfo.startTimeSecs ?? 0,
    }
  }
  return (
    sessionEndInfo && { type: 'end', status: runStates[sessionEndInfo.status ?? 0] ?? 'unknown', endTime: sessionEndInfo.endTimeSecs ?? 0 }
  )
}

import { EventFileReader, type ProfileSlice, type TensorBoardEvent } from '@cotangent/formats/tensorboard'
import type { RunEvent, Slice } from './run-event.ts'

/** Follows one event file. */
export interface EventSource {
  /** Where the next record begins. */
  readonly offset: number
  /**
   * What has become whole since the last call, in batches. Throws at a record that is damaged, which the next call tries again: it
   * may not have been written in full.
   */
  read(): AsyncIterable<readonly RunEvent[]>
}

/** Bytes that are read at a time: some thousand scalars, between which the server answers requests. */
const chunkBytes = 2 ** 18

export function openEventFile(path: string): EventSource {
  const reader = new EventFileReader(path, { chunkBytes })
  return {
    get offset() {
      return reader.offset
    },
    async *read() {
      for await (const batch of reader.readBatches()) {
        yield batch.map(translate).filter((event) => event !== undefined)
        await new Promise(setImmediate)
      }
    },
  }
}

/** An event of the format as one of the board; undefined for what the board does not show. */
function translate(event: TensorBoardEvent): RunEvent | undefined {
  const { step, wallTime: time } = event
  if ('description' in event) {
    const { tag, description, displayName } = event
    const words = description || displayName ? { description, displayName } : undefined
    if (event.kind === 'scalar') return { step, time, tag, words, kind: 'scalar', value: event.value }
    const tagged = { step, time, tag, words }
    if (event.kind === 'histogram') return { ...tagged, kind: 'histogram', buckets: event.histogram }
    if (event.kind === 'image') return { ...tagged, kind: 'image', frames: event.images }
    if (event.kind === 'audio') return { ...tagged, kind: 'audio', frames: event.clips.map(({ data }) => data) }
    if (event.kind === 'text') return { ...tagged, kind: 'text', text: markdownOf(event.texts, event.shape) }
    if (event.kind === 'prCurve') {
      const { precision, recall, truePositives, falsePositives } = event.curve
      const predicted = truePositives.map((right, i) => right + falsePositives[i]!)
      return { ...tagged, kind: 'curve', curve: { precision, recall, predicted } }
    }
    if (event.kind !== 'hparams') return undefined
    const { hparams } = event
    if (hparams.type === 'end') return { step, time, kind: 'status', status: hparams.status }
    if (hparams.type !== 'start') return undefined
    const values = [...hparams.hparams].filter((pair): pair is [string, number | string | boolean] => pair[1] !== null)
    return { step, time, kind: 'hparams', values: Object.fromEntries(values) }
  }
  if (event.kind === 'profile') {
    return { step, time, tag: event.tag, words: undefined, kind: 'profile', slices: event.slices.map(sliceOf) }
  }
  if (event.kind !== 'graph') return undefined
  const nodes = event.nodes.map(({ name, op, inputs, device, shapes, attributes }) => ({
    name,
    op,
    inputs: inputs.map((input) => input.replace(/^\^|:\d+$/g, '')),
    attributes: {
      ...(shapes.length > 0 && { output: shapes.map((shape) => `[${shape.join(', ')}]`).join(' ') }),
      ...(device !== '' && { device }),
      ...Object.fromEntries(attributes),
    },
  }))
  return { step, time, kind: 'graph', graph: { nodes } }
}

/** Profiles of ours have a device for each kind of slice, which lie in one another: they are one lane. */
function sliceOf({ name, device, thread, start, ms }: ProfileSlice): Slice {
  const [, lane, kind] = /^(.*)\/(scope|compiled|op|kernel)$/.exec(device) ?? []
  return lane !== undefined && kind !== undefined
    ? { name, kind, lane, start, ms }
    : { name, lane: `${device} ${thread}`.trim(), start, ms }
}

/** Texts in a row become paragraphs, texts in two dimensions a table. */
function markdownOf(texts: readonly string[], shape: readonly number[]): string {
  const columns = shape[1]
  if (shape.length !== 2 || !columns) return texts.join('\n\n')
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replace(/\|/g, '\\|').replace(/\s*\n\s*/g, ' ')).join(' | ')} |`
  const rows = Array.from({ length: texts.length / columns }, (_, row) => texts.slice(row * columns, (row + 1) * columns))
  return [line(rows[0] ?? []), line(new Array<string>(columns).fill('---')), ...rows.slice(1).map(line)].join('\n')
}

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { EventFileWriter, readEvents, type TensorBoardEvent } from '@cotangent/formats/tensorboard'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { written, writeEveryKind } from './every-kind.ts'
import { interopProgram } from './interop.ts'

// A Python that has TensorBoard; .ci/run makes one.
const python = interopProgram('COTANGENT_TENSORBOARD_PYTHON', 'TensorBoard')

const folder = mkdtempSync(join(tmpdir(), 'cotangent-tensorboard-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let path: string
beforeAll(async () => {
  const writer = new EventFileWriter(folder)
  path = writer.path
  await writeEveryKind(writer)
  await writer.close()
})

const float32 = (values: readonly number[]) => values.map(Math.fround)
const column = (values: readonly number[], i: number, width: number) => values.filter((_, at) => at % width === i)

/** Pixels of a PNG file as `encodePng` writes it: one IDAT, filter "up". */
function pixelsOf(png: Uint8Array, stride: number): number[] {
  const view = new DataView(png.buffer, png.byteOffset)
  const idat = 33
  const rows = inflateSync(png.subarray(idat + 8, idat + 8 + view.getUint32(idat)))
  const pixels: number[] = []
  for (let y = 0; y * (stride + 1) < rows.length; y++) {
    for (let x = 0; x < stride; x++) pixels.push((rows[y * (stride + 1) + 1 + x]! + (y > 0 ? pixels[(y - 1) * stride + x]! : 0)) & 255)
  }
  return pixels
}

describe('read by us', () => {
  let events: TensorBoardEvent[]
  beforeAll(async () => {
    events = []
    for await (const event of readEvents(path)) events.push(event)
  })
  const of = <K extends TensorBoardEvent['kind']>(kind: K, tag: string) =>
    events.filter((e): e is Extract<TensorBoardEvent, { kind: K }> => e.kind === kind && 'tag' in e && e.tag === tag)

  test('scalars', () => {
    expect(of('scalar', 'train/loss').map((e) => e.value)).toEqual(float32(written.loss))
    expect(of('scalar', 'train/loss')[3]).toMatchObject({ step: 3, wallTime: 103, description: 'the *loss*', displayName: 'Loss' })
  })

  test('histograms', () => {
    const { histogram } = of('histogram', 'weights')[0]!
    expect(histogram.count.reduce((a, b) => a + b)).toBe(7)
    expect([histogram.left[0], histogram.right.at(-1)]).toEqual([-3, Math.fround(1e25)])
    for (let i = 1; i < histogram.left.length; i++) expect(histogram.left[i]).toBe(histogram.right[i - 1])
    expect(of('histogram', 'equal')[0]!.histogram).toEqual({
      left: Float64Array.of(-3, -1, 1, 3, 5),
      right: Float64Array.of(-1, 1, 3, 5, 7),
      count: Float64Array.of(1, 4, 0, 0, 1),
    })
    expect(of('histogram', 'empty')[0]!.histogram.count).toHaveLength(0)
  })

  test('images', () => {
    const image = (tag: string) => of('image', tag)[0]!
    const [grey, rgb, several] = [image('grey'), image('rgb'), image('several')]
    expect(grey).toMatchObject({ width: 3, height: 2 })
    expect(pixelsOf(grey.images[0]!, 3)).toEqual(written.pixels)
    expect(rgb).toMatchObject({ width: 2, height: 1 })
    expect(pixelsOf(rgb.images[0]!, 6)).toEqual([0, 128, 255, 255, 0, 0])
    expect(several.images.map((image) => pixelsOf(image, 2))).toEqual([
      [0, 64],
      [128, 255],
      [1, 2],
    ])
  })

  test('sound', () => {
    const { clips, mimeType } = of('audio', 'beep')[0]!
    expect(mimeType).toBe('audio/wav')
    const wav = Buffer.from(clips[0]!.data)
    expect(wav.subarray(0, 4).toString()).toBe('RIFF')
    expect(written.sound.map((_, i) => wav.readInt16LE(44 + 2 * i))).toEqual([0, 16384, -16383, 32767, -32767, 32767])
  })

  test('texts, curves, hyperparameters', () => {
    expect(of('text', 'note')[0]).toMatchObject({ texts: ['# größe'], shape: [] })
    expect(of('text', 'table')[0]).toMatchObject({ texts: ['a', 'b', 'c', 'd', 'e', 'f'], shape: [2, 3] })
    expect(of('prCurve', 'pr')[0]!.curve).toMatchObject({
      truePositives: Float64Array.of(3, 2, 0),
      falsePositives: Float64Array.of(2, 1, 0),
      falseNegatives: Float64Array.of(0, 1, 3),
      trueNegatives: Float64Array.of(0, 1, 2),
      recall: Float64Array.from([1, Math.fround(2 / 3), 0]),
    })
    const session = events.filter((e) => e.kind === 'hparams').map((e) => e.hparams)
    expect(session).toMatchObject([
      { type: 'experiment', metrics: [{ tag: 'train/loss' }, { tag: 'score' }] },
      { type: 'start', hparams: new Map(Object.entries(written.hparams)), group: 'g' },
      { type: 'end', status: 'success' },
    ])
    expect(of('scalar', 'score')[0]!.value).toBe(0.75)
  })

  test('graphs and profiles', () => {
    const nodes = events.find((e) => e.kind === 'graph')!.nodes
    const names = nodes.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toEqual(expect.arrayContaining(['argument_0', '0/weight', '0/bias', '0/matmul', 'optimizer/0/SGD', 'result_0']))
    for (const { inputs } of nodes) for (const input of inputs) expect(names).toContain(input.replace(/:\d+$/, ''))
    expect(nodes.find(({ name }) => name === 'argument_0')!.shapes).toEqual([[3, 2]])
    const profile = events.find((e) => e.kind === 'profile')!
    expect(profile).toMatchObject({ tag: 'step', step: 7 })
    expect(profile.slices.map(({ device }) => device)).toEqual(expect.arrayContaining(['/host:CPU/op', '/host:CPU/kernel']))
  })

  test('points of the projector', () => {
    const read = (file: string) => readFileSync(join(folder, file), 'utf8')
    expect(read('projector_config.pbtxt')).toContain('tensor_path: "embeddings/points-00000/tensors.tsv"')
    expect(read('embeddings/points-00000/labels.tsv')).toBe('a\nb c\nd\n')
    const rows = read('embeddings/points-00000/tensors.tsv').trim().split('\n')
    expect(rows.flatMap((row) => row.split('\t').map(Number))).toEqual(float32(written.points))
  })
})

describe('written by others', () => {
  const read = async (name: string) => {
    const events: TensorBoardEvent[] = []
    for await (const event of readEvents(join(import.meta.dirname, 'fixtures', name))) events.push(event)
    return events
  }

  test('PyTorch', async () => {
    expect(await read('torch.tfevents')).toMatchObject([
      { kind: 'fileVersion', version: 'brain.Event:2' },
      { kind: 'scalar', tag: 'loss', step: 0, value: 1 },
      { kind: 'scalar', tag: 'loss', step: 1, value: 0.5 },
      { kind: 'scalar', tag: 'loss', step: 2, value: Math.fround(1 / 3) },
      { kind: 'histogram', tag: 'weights', histogram: { count: expect.any(Float64Array) } },
      { kind: 'image', tag: 'picture', width: 4, height: 2, images: [expect.any(Uint8Array)] },
      { kind: 'audio', tag: 'beep', mimeType: 'audio/wav', clips: [{ data: expect.any(Uint8Array) }] },
      { kind: 'text', tag: 'note/text_summary', texts: ['hello'] },
      { kind: 'prCurve', tag: 'pr', curve: { truePositives: Float64Array.of(1, 1, 0) } },
    ])
    const [{ histogram }] = (await read('torch.tfevents')).filter((event) => event.kind === 'histogram') as [
      Extract<TensorBoardEvent, { kind: 'histogram' }>,
    ]
    expect(histogram.count.reduce((a, b) => a + b)).toBe(4)
    expect([histogram.left[0], histogram.right.at(-1)]).toEqual([-1, 2])
  })

  test('TensorFlow 2', async () => {
    expect(await read('tf2.tfevents')).toMatchObject([
      { kind: 'fileVersion' },
      { kind: 'scalar', tag: 'loss', step: 1, wallTime: 7.5, value: 0.25, displayName: 'Loss', description: 'words' },
      { kind: 'scalar', tag: 'loss', step: 2, value: 0.125, displayName: 'Loss' },
      { kind: 'histogram', histogram: { left: Float64Array.of(-1, 0), right: Float64Array.of(0, 2), count: Float64Array.of(3, 1) } },
      { kind: 'image', width: 4, height: 2, images: [expect.any(Uint8Array), expect.any(Uint8Array)] },
      { kind: 'tensor', plugin: 'mine', tensor: { shape: [2, 3], values: Int32Array.of(0, 1, 2, 3, 4, 5) } },
    ])
  })
})

describe.skipIf(!python)('read by the real TensorBoard', { timeout: 60_000 }, () => {
  interface Entry {
    step: number
    wallTime: number
  }
  interface Found {
    fileVersion: number
    scalars: Record<string, (Entry & { value: string })[]>
    histograms: Record<string, (Entry & Record<'min' | 'max' | 'num' | 'sum', number> & { limits: number[]; counts: number[] })[]>
    images: Record<string, (Entry & { width: number; height: number; data: string })[]>
    audio: Record<string, (Entry & { rate: number; frames: number; type: string; data: string })[]>
    tensors: Record<string, (Entry & { shape: number[]; values: (number | string)[] })[]>
    metadata: Record<string, { plugin: string; displayName: string; description: string; dataClass: number }>
    graph: [name: string, op: string, inputs: string[]][]
    profiles: Record<string, [device: string, node: string, start: number, end: number][]>
    experiment: { hparams: string[]; metrics: string[] }
    session: Record<string, unknown>
    status: number
    thresholds: Record<string, number>
    embeddings: { name: string; points: number[][]; labels: string[]; sprite: string; image: number[] }[]
  }
  let found: Found
  beforeAll(() => {
    const output = execFileSync(python!, [join(import.meta.dirname, 'read_events.py'), folder], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    found = JSON.parse(output) as Found
  }, 60_000)
  const bytes = (data: unknown) => Buffer.from(data as string, 'base64')

  test('every tag has its plugin', () => {
    const plugins = Object.fromEntries(Object.entries(found.metadata).map(([tag, { plugin, dataClass }]) => [tag, [plugin, dataClass]]))
    expect(plugins).toEqual({
      'train/loss': ['scalars', 1],
      score: ['scalars', 1],
      weights: ['histograms', 2],
      equal: ['histograms', 2],
      empty: ['histograms', 2],
      grey: ['images', 3],
      rgb: ['images', 3],
      several: ['images', 3],
      beep: ['audio', 3],
      note: ['text', 2],
      table: ['text', 2],
      pr: ['pr_curves', 2],
      '_hparams_/experiment': ['hparams', 2],
      '_hparams_/session_start_info': ['hparams', 2],
      '_hparams_/session_end_info': ['hparams', 2],
    })
    expect(found.metadata['train/loss']).toMatchObject({ displayName: 'Loss', description: 'the *loss*' })
    expect(found.fileVersion).toBe(2)
  })

  test('scalars', () => {
    const values = found.scalars['train/loss']!.map(({ value }) => Number(value.replace('inf', 'Infinity').replace('nan', 'NaN')))
    expect(values).toEqual(float32(written.loss))
    expect(found.scalars['train/loss']!.map(({ step, wallTime }) => [step, wallTime])).toEqual([
      [0, 100],
      [1, 101],
      [2, 102],
      [3, 103],
    ])
  })

  test('histograms', () => {
    expect(found.histograms.equal).toMatchObject([
      { step: 2, min: -3, max: 7, num: 6, sum: 3.75, limits: [-1, 1, 3, 5, 7], counts: [1, 4, 0, 0, 1] },
    ])
    const [weights] = found.histograms.weights!
    expect(weights!.counts.reduce((a, b) => a + b)).toBe(7)
    expect(weights!.limits).toHaveLength(weights!.counts.length)
    expect(found.histograms.empty).toMatchObject([{ num: 0, limits: [], counts: [] }])
  })

  test('images', () => {
    expect(found.images.grey).toMatchObject([{ step: 1, width: 3, height: 2 }])
    expect(pixelsOf(bytes(found.images.grey![0]!.data), 3)).toEqual(written.pixels)
    expect(pixelsOf(bytes(found.images.rgb![0]!.data), 6)).toEqual([0, 128, 255, 255, 0, 0])
    const [width, height, ...images] = found.tensors.several![0]!.values.map(bytes)
    expect([String(width), String(height)]).toEqual(['2', '1'])
    expect(images.map((image) => pixelsOf(image, 2))).toEqual([
      [0, 64],
      [128, 255],
      [1, 2],
    ])
  })

  test('sound', () => {
    expect(found.audio.beep).toMatchObject([{ step: 4, rate: 8000, frames: 6, type: 'audio/wav' }])
    expect(bytes(found.audio.beep![0]!.data).subarray(8, 12).toString()).toBe('WAVE')
  })

  test('texts, curves, hyperparameters', () => {
    expect(found.tensors.note!.map(({ shape, values }) => [shape, values.map((v) => String(bytes(v)))])).toEqual([[[], ['# größe']]])
    expect(found.tensors.table![0]).toMatchObject({ shape: [2, 3] })
    expect(found.thresholds).toEqual({ pr: 3 })
    const { shape, values } = found.tensors.pr![0]!
    expect(shape).toEqual([6, 3])
    expect(column(values as number[], 0, 3)).toEqual([3, 2, 0, 0, ...float32([0.6, 1])])
    expect(found.experiment).toEqual({ hparams: ['lr', 'optimizer', 'bias'], metrics: ['train/loss', 'score'] })
    expect(found.session).toEqual(written.hparams)
    expect(found.status).toBe(1)
  })

  test('graphs and profiles', () => {
    const names = new Set(found.graph.map(([name]) => name))
    expect(names).toContain('0/weight')
    for (const [, , inputs] of found.graph) for (const input of inputs) expect(names).toContain(input.replace(/:\d+$/, ''))
    expect(found.profiles.step!.map(([device]) => device)).toContain('/host:CPU/kernel')
  })

  test('points of the projector', () => {
    const [{ points, labels, sprite, image, name }] = found.embeddings as [Found['embeddings'][number]]
    expect(name).toBe('points:0')
    expect(points).toEqual([0, 2, 4].map((at) => float32(written.points.slice(at, at + 2))))
    expect(labels).toEqual(['a', 'b c', 'd'])
    expect(bytes(sprite).subarray(1, 4).toString()).toBe('PNG')
    expect(image).toEqual([2, 1])
  })
})

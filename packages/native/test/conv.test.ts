import { afterAll, describe, expect, it } from 'vitest'
import { type Operand, type Routine, routine, type WindowGeometry } from '../../core/src/engine/routine.ts'
import { rowMajor } from '../../core/src/layout.ts'
import { dense } from '../../core/test/engine.ts'
import { both, generator, loaded, nativeEngine } from './engines.ts'

type DType = Operand['dtype']

interface Conv {
  batch?: number
  size: readonly number[]
  kernel: readonly number[]
  stride?: number
  padding?: readonly [number, number]
  dilation?: number
  groups?: number
  channels?: readonly [number, number]
  dtype?: DType
  bias?: boolean
  /** Activations with channels first, as an import may leave them. */
  channelsFirst?: boolean
}

/** The forward routine and both gradients. */
function routinesOf(conv: Conv): Routine[] {
  const { batch = 2, size, kernel, stride = 1, padding = [0, 0], dilation = 1, groups = 1, dtype = 'float32', bias, channelsFirst } = conv
  const [channelsIn, channelsOut] = conv.channels ?? [6, 8]
  const all = <T>(value: T): T[] => size.map(() => value)
  const geometry: WindowGeometry & { groups: number } = {
    kernel,
    stride: all(stride),
    padding: all(padding),
    dilation: all(dilation),
    groups,
  }
  const out = size.map((n, axis) => Math.floor((n + padding[0] + padding[1] - dilation * (kernel[axis]! - 1) - 1) / stride) + 1)
  const activations = (spatial: readonly number[], channels: number): Operand => {
    const shape = [batch, ...spatial, channels]
    const first = rowMajor([batch, channels, ...spatial])
    return { dtype, shape, strides: channelsFirst ? [first[0]!, ...first.slice(2), first[1]!] : rowMajor(shape) }
  }
  const x = activations(size, channelsIn)
  const y = activations(out, channelsOut)
  const w = dense(dtype, [...kernel, channelsIn / groups, channelsOut])
  const contiguous = (o: Operand) => dense(dtype, o.shape)
  return [
    routine('conv', geometry, [x, w, ...(bias ? [dense(dtype, [channelsOut])] : [])], [contiguous(y)]),
    routine('convGradInput', geometry, [y, w], [contiguous(x)]),
    routine('convGradWeight', geometry, [x, y], [dense('float32', w.shape)]),
  ]
}

describe.skipIf(!loaded)('convolutions by oneDNN', () => {
  const { engine, backend } = loaded ? nativeEngine(2) : ({} as ReturnType<typeof nativeEngine>)
  afterAll(() => engine?.close())

  it.each<[string, Conv]>([
    ['1d', { size: [20], kernel: [3] }],
    ['2d', { size: [9, 11], kernel: [3, 3], padding: [1, 1] }],
    ['3d', { size: [5, 6, 7], kernel: [2, 3, 2] }],
    ['bias', { size: [9, 11], kernel: [3, 3], bias: true }],
    ['1x1', { size: [7, 7], kernel: [1, 1], channels: [16, 24] }],
    ['1x1 with bias', { size: [5, 7], kernel: [1, 1], channels: [12, 10], bias: true }],
    ['1x1 in 3d, channels first', { size: [3, 4, 5], kernel: [1, 1, 1], channelsFirst: true }],
    ['1x1 with padding', { size: [7, 7], kernel: [1, 1], padding: [1, 1] }],
    ['1x1 with stride', { size: [8, 8], kernel: [1, 1], stride: 2, channels: [16, 24] }],
    ['stride, uneven padding', { size: [12, 9], kernel: [3, 5], stride: 2, padding: [1, 2] }],
    ['dilation', { size: [15, 15], kernel: [3, 3], dilation: 3, padding: [2, 2] }],
    ['groups', { size: [8, 8], kernel: [3, 3], groups: 2, padding: [1, 1] }],
    ['depthwise', { size: [8, 8], kernel: [3, 3], groups: 32, channels: [32, 32], padding: [1, 1] }],
    ['depthwise with a multiplier', { size: [8, 8], kernel: [3, 3], groups: 6, channels: [6, 12] }],
    ['one channel in', { size: [28, 28], kernel: [3, 3], channels: [1, 32], padding: [1, 1] }],
    ['three channels in', { size: [23, 23], kernel: [7, 7], stride: 2, channels: [3, 64], padding: [3, 3] }],
    ['many channels', { size: [6, 6], kernel: [3, 3], channels: [96, 80], padding: [1, 1] }],
    ['channels first', { size: [9, 11], kernel: [3, 3], channelsFirst: true }],
    ['windows in the padding altogether', { size: [3, 3], kernel: [2, 2], padding: [3, 3] }],
    ['bfloat16', { size: [9, 11], kernel: [3, 3], dtype: 'bfloat16', channels: [16, 16] }],
  ])('%s', (_, conv) => {
    for (const program of routinesOf(conv)) {
      const before = backend.taken
      const { expected, actual } = both(engine, program)
      expect(actual, program.name).toEqual(expected)
      // What oneDNN has only slow code for may be left to the engine.
      if (program.name === 'conv') expect(backend.taken).toBe(before + 1)
    }
  })

  it('random geometry', () => {
    const random = generator(3)
    const before = backend.taken
    let tried = 0
    while (tried < 60) {
      const axes = 1 + random(3)
      const groups = [1, 1, 2, 4][random(4)]!
      const conv: Conv = {
        batch: 1 + random(3),
        size: Array.from({ length: axes }, () => 1 + random(axes === 3 ? 6 : 12)),
        kernel: Array.from({ length: axes }, () => 1 + random(4)),
        stride: 1 + random(3),
        padding: [random(3), random(3)],
        dilation: 1 + random(2),
        groups,
        channels: [groups * (1 + random(9)), groups * (1 + random(9))],
        bias: random(2) === 0,
      }
      const routines = routinesOf(conv)
      if (routines.some((r) => r.outputs[0]!.shape.some((n) => n < 1) || r.inputs.some((o) => o.shape.some((n) => n < 1)))) continue
      tried++
      for (const program of routines) {
        const { expected, actual } = both(engine, program)
        expect(actual, JSON.stringify({ name: program.name, conv })).toEqual(expected)
      }
    }
    expect(backend.taken - before).toBeGreaterThan(150)
  })
})

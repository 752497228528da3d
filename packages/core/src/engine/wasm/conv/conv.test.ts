import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { wasmFeatures } from '../features.ts'
import type { LaneType } from '../lanes.ts'
import type { ProductOptions } from '../product-module.ts'
import { emitConvDepthwiseWeights } from './depthwise-weights.ts'
import { emitConvDepthwise } from './depthwise.ts'
import type { ConvModule, ConvPlan, ConvProblem } from './problem.ts'
import { planConvGradWeight } from './weights-plan.ts'
import { emitConvWeights } from './weights.ts'
import { planConv, planConvGradInput } from './window-plan.ts'
import { emitConvWindows } from './windows.ts'

const memory = new WebAssembly.Memory({ initial: 512, maximum: 512, shared: true })
const at = { args: 1024, first: 1 << 20, second: 8 << 20, result: 16 << 20, bias: 23 << 20, scratch: 24 << 20 }
const emitters: Record<ConvModule, (options: ProductOptions) => Uint8Array<ArrayBuffer>> = {
  windows: emitConvWindows,
  depthwise: emitConvDepthwise,
  weights: emitConvWeights,
  depthwiseWeights: emitConvDepthwiseWeights,
}

type Launch = (begin: number, end: number, thread: number, args: number, scratch: number, stride: number) => void
const launches = new Map<string, Launch>()
function launchOf(module: ConvModule, type: LaneType, relaxed: boolean, withBias: boolean): Launch {
  const key = [module, type, relaxed, withBias].join()
  let launch = launches.get(key)
  if (!launch) {
    const bytes = emitters[module]({ type, relaxed, shared: true, bias: withBias })
    launch = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } }).exports.launch as Launch
    launches.set(key, launch)
  }
  return launch
}

function execute(plan: ConvPlan, type: LaneType, relaxed: boolean, withBias: boolean, splits: number): void {
  const words = plan.words.slice()
  const addresses = [at.first, at.second, ...(withBias ? [at.bias] : []), at.result]
  for (const [i, position] of plan.pointers.entries()) words[position] = addresses[i]!
  new Int32Array(memory.buffer, at.args, words.length).set(words)
  const scratch = new Uint8Array(memory.buffer, at.scratch, plan.scratchBytes + 64).fill(0xff)
  const launch = launchOf(plan.module, type, relaxed, withBias)
  const cuts = Array.from({ length: splits + 1 }, (_, i) => Math.round((plan.tasks * i) / splits))
  for (let i = splits - 1; i >= 0; i--) launch(cuts[i]!, cuts[i + 1]!, 0, at.args, at.scratch, 0)
  if (scratch.subarray(plan.scratchBytes).some((byte) => byte !== 0xff)) throw new Error('wrote behind the scratch memory')
}

interface Case {
  batch: number
  spatial: number[]
  kernel: number[]
  stride: number[]
  padding: [number, number][]
  dilation: number[]
  groups: number
  channelsIn: number
  channelsOut: number
  gap: number
}

const denseStrides = (shape: readonly number[], last = 1) => shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, last))
const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1)

function problemOf(c: Case, type: LaneType, threads: number): ConvProblem {
  const out = c.spatial.map(
    (size, i) => Math.floor((size + c.padding[i]![0] + c.padding[i]![1] - c.dilation[i]! * (c.kernel[i]! - 1) - 1) / c.stride[i]!) + 1,
  )
  const x = [c.batch, ...c.spatial, c.channelsIn * c.groups]
  const y = [c.batch, ...out, c.channelsOut * c.groups]
  const w = [...c.kernel, c.channelsIn, c.channelsOut * c.groups]
  return {
    type,
    x: { shape: x, strides: denseStrides(x) },
    y: { shape: y, strides: denseStrides(y) },
    w: { shape: w, strides: denseStrides(w) },
    stride: c.stride,
    padding: c.padding,
    dilation: c.dilation,
    groups: c.groups,
    threads,
  }
}

/** Calls `visit` with the offsets of every product x·w that adds to y. */
function eachProduct(p: ConvProblem, visit: (x: number, w: number, y: number) => void): void {
  const kernel = p.w.shape.slice(0, -2)
  const [channelsIn, channelsOut] = [p.w.shape.at(-2)!, p.w.shape.at(-1)! / p.groups]
  const positions = (shape: readonly number[]) =>
    shape.reduce<number[][]>((all, size) => all.flatMap((position) => Array.from({ length: size }, (_, i) => [...position, i])), [[]])
  const outputs = positions(p.y.shape.slice(1, -1))
  const taps = positions(kernel)
  for (let n = 0; n < p.x.shape[0]!; n++) {
    for (const o of outputs) {
      for (const t of taps) {
        const i = o.map((position, axis) => position * p.stride[axis]! - p.padding[axis]![0] + t[axis]! * p.dilation[axis]!)
        if (i.some((position, axis) => position < 0 || position >= p.x.shape[axis + 1]!)) continue
        const offset = (position: number[], strides: readonly number[]) => position.reduce((sum, q, axis) => sum + q * strides[axis]!, 0)
        const [xAt, wAt, yAt] = [offset([n, ...i], p.x.strides), offset(t, p.w.strides), offset([n, ...o], p.y.strides)]
        for (let g = 0; g < p.groups; g++) {
          for (let ci = 0; ci < channelsIn; ci++) {
            for (let co = 0; co < channelsOut; co++) {
              const [a, b] = [g * channelsIn + ci, g * channelsOut + co]
              visit(xAt + a * p.x.strides.at(-1)!, wAt + ci * p.w.strides.at(-2)! + b * p.w.strides.at(-1)!, yAt + b * p.y.strides.at(-1)!)
            }
          }
        }
      }
    }
  }
}

const arrayOf = { float32: Float32Array, float64: Float64Array, int32: Int32Array, int64: BigInt64Array }
type Numbers = Float32Array

function values(type: LaneType, pointer: number, length: number, seed: number): Numbers {
  const array = new arrayOf[type](memory.buffer, pointer, length + 32) as Numbers
  let state = seed
  for (let i = 0; i < array.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    array[i] = (type === 'int64' ? BigInt((state >> 16) % 8) : (state >> 16) % 8) as number
  }
  return array
}

function difference(actual: Numbers, expected: Float64Array): string | undefined {
  const wrong = expected.findIndex((value, i) => Number(actual[i]) !== value)
  return wrong < 0 ? undefined : `element ${wrong} of ${expected.length}: ${actual[wrong]} instead of ${expected[wrong]}`
}

/** Small whole numbers make every order of summation exact. The padding behind each result must stay as it is. */
function forward(c: Case, type: LaneType, relaxed: boolean, threads: number, withBias: boolean): string | undefined {
  const p = problemOf(c, type, threads)
  // A slice of wider pixels.
  const wide = [...p.x.shape.slice(0, -1), p.x.shape.at(-1)! + c.gap]
  p.x = { shape: p.x.shape, strides: denseStrides(wide) }
  const [x, w] = [values(type, at.first, product(wide), 1), values(type, at.second, product(p.w.shape), 2)]
  const [y, bias] = [values(type, at.result, product(p.y.shape), 3), values(type, at.bias, p.y.shape.at(-1)!, 4)]
  const expected = Float64Array.from(y, Number)
  expected.fill(0, 0, product(p.y.shape))
  eachProduct(p, (a, b, to) => {
    expected[to]! += Number(x[a]) * Number(w[b])
  })
  if (withBias) {
    p.bias = { column: 1 }
    for (let i = 0; i < product(p.y.shape); i++) expected[i]! += Number(bias[i % p.y.shape.at(-1)!])
  }
  execute(planConv(p), type, relaxed, withBias, threads)
  return difference(y, expected)
}

function gradInput(c: Case, type: LaneType, relaxed: boolean, threads: number): string | undefined {
  const p = problemOf(c, type, threads)
  const [dy, w, dx] = [
    values(type, at.first, product(p.y.shape), 1),
    values(type, at.second, product(p.w.shape), 2),
    values(type, at.result, product(p.x.shape), 3),
  ]
  const expected = Float64Array.from(dx, Number)
  expected.fill(0, 0, product(p.x.shape))
  eachProduct(p, (to, b, a) => {
    expected[to]! += Number(dy[a]) * Number(w[b])
  })
  execute(planConvGradInput(p), type, relaxed, false, threads)
  return difference(dx, expected)
}

function gradWeight(c: Case, type: LaneType, relaxed: boolean, threads: number): string | undefined {
  const p = problemOf(c, type, threads)
  const [x, dy, dw] = [
    values(type, at.first, product(p.x.shape), 1),
    values(type, at.second, product(p.y.shape), 2),
    values(type, at.result, product(p.w.shape), 3),
  ]
  const expected = Float64Array.from(dw, Number)
  expected.fill(0, 0, product(p.w.shape))
  eachProduct(p, (a, to, b) => {
    expected[to]! += Number(x[a]) * Number(dy[b])
  })
  execute(planConvGradWeight(p), type, relaxed, false, threads)
  return difference(dw, expected)
}

const axisCase = fc
  .record({
    kernel: fc.integer({ min: 1, max: 4 }),
    stride: fc.constantFrom(1, 1, 1, 2, 3),
    dilation: fc.constantFrom(1, 1, 2),
    before: fc.integer({ min: 0, max: 3 }),
    after: fc.integer({ min: 0, max: 3 }),
    extra: fc.integer({ min: 0, max: 8 }),
  })
  .map((a) => ({ ...a, size: Math.max(1, a.dilation * (a.kernel - 1) + 1 - a.before - a.after) + a.extra }))
const anyCase: fc.Arbitrary<Case> = fc
  .record({
    batch: fc.integer({ min: 0, max: 3 }),
    axes: fc.array(axisCase, { minLength: 1, maxLength: 3 }),
    groups: fc.constantFrom(1, 1, 2, 3, 7, 21),
    channelsIn: fc.oneof({ weight: 2, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 9 })),
    channelsOut: fc.oneof({ weight: 2, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: 11 })),
    gap: fc.constantFrom(0, 0, 3),
  })
  .map(({ axes, ...rest }) => ({
    ...rest,
    spatial: axes.map((a) => (axes.length === 3 ? Math.min(a.size, a.dilation * (a.kernel - 1) + 3) : a.size)),
    kernel: axes.map((a) => a.kernel),
    stride: axes.map((a) => a.stride),
    dilation: axes.map((a) => a.dilation),
    padding: axes.map((a): [number, number] => [a.before, a.after]),
  }))
const relaxedModes = wasmFeatures().relaxedSimd ? [false, true] : [false]
const running = [
  anyCase,
  fc.constantFrom<LaneType>('float32', 'float32', 'float64', 'int32', 'int64'),
  fc.constantFrom(...relaxedModes),
  fc.integer({ min: 1, max: 3 }),
] as const
const large: Case = {
  batch: 2,
  spatial: [13, 14],
  kernel: [3, 3],
  stride: [1, 1],
  padding: [
    [1, 1],
    [1, 1],
  ],
  dilation: [1, 1],
  groups: 1,
  channelsIn: 70,
  channelsOut: 66,
  gap: 0,
}

describe('convolution', () => {
  it('forward, any geometry', () => {
    fc.assert(
      fc.property(...running, fc.boolean(), (c, type, relaxed, threads, withBias) => {
        expect(forward(c, type, relaxed, threads, withBias)).toBeUndefined()
      }),
      { numRuns: 400 },
    )
  })

  it('gradient of the input, any geometry', () => {
    fc.assert(
      fc.property(...running, (c, type, relaxed, threads) => {
        expect(gradInput(c, type, relaxed, threads)).toBeUndefined()
      }),
      { numRuns: 400 },
    )
  })

  it('gradient of the weights, any geometry', () => {
    fc.assert(
      fc.property(...running, (c, type, relaxed, threads) => {
        expect(gradWeight(c, type, relaxed, threads)).toBeUndefined()
      }),
      { numRuns: 400 },
    )
  })

  it.each([1, 2])('blocks of many channels, stride %i', (stride) => {
    const c = { ...large, stride: [stride, stride] }
    for (const threads of [1, 3]) {
      expect(forward(c, 'float32', false, threads, true)).toBeUndefined()
      expect(gradInput(c, 'float32', false, threads)).toBeUndefined()
      expect(gradWeight(c, 'float32', false, threads)).toBeUndefined()
    }
  })

  it.each([1, 2])('depthwise in tiles, stride %i', (stride) => {
    const c = { ...large, stride: [stride, stride], groups: 45, channelsIn: 1, channelsOut: 1 }
    for (const threads of [1, 3]) {
      expect(forward(c, 'float32', false, threads, true)).toBeUndefined()
      expect(gradInput(c, 'float32', false, threads)).toBeUndefined()
      expect(gradWeight(c, 'float32', false, threads)).toBeUndefined()
    }
  })

  it('refuses channels that are not contiguous', () => {
    const p = problemOf(large, 'float32', 1)
    expect(() => planConv({ ...p, x: { shape: p.x.shape, strides: p.x.strides.map((s) => 2 * s) } })).toThrow(/not contiguous/)
  })
})

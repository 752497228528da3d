import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dense, runProgram } from '../../../test/engine.ts'
import type { DType } from '../../dtype.ts'
import { rowMajor, sizeOf } from '../../layout.ts'
import { type Kernel, KernelBuilder } from '../kernel.ts'
import { ReferenceEngine } from '../reference/engine.ts'
import { referenceRoutine } from '../reference/routine.ts'
import type { Num } from '../reference/storage.ts'
import { type Operand, type Routine, routine, type WindowGeometry, withEpilogue } from '../routine.ts'
import { WasmEngine } from './engine.ts'

const reference = new ReferenceEngine()
const engines = [1, 3].map((threads) => new WasmEngine({ threads, fallback: referenceRoutine }))
beforeAll(async () => {
  await engines[1]!.pool.ready()
})
afterAll(() => engines.forEach((engine) => engine.close()))

interface Code {
  epilogue: Kernel
  operands: Operand[]
  scalars?: number[]
}

const floats = (k: KernelBuilder, type: DType, ...numbers: number[]) =>
  numbers.map((n) => k.constant(type === 'float64' ? 'float64' : 'float32', n))

/** The epilogues that are tried, for a raw result of any shape. */
const codes = {
  'bias and relu'(shape, type) {
    const k = new KernelBuilder('biasRelu', shape)
    const [raw, bias] = [k.input(type), k.input(type)]
    const sum = k.add(k.load(raw, rowMajor(shape)), k.load(bias, lastOnly(shape)))
    k.output(type, k.max(sum, k.like(sum, 0)))
    return { epilogue: k.build(), operands: [dense(type, [shape.at(-1)!])] }
  },
  'tanh gelu, scaled, plus a residual'(shape, type) {
    const k = new KernelBuilder('gelu', shape)
    const [raw, residual] = [k.input(type), k.input(type)]
    const x = k.load(raw, rowMajor(shape))
    const [cubic, scale, half, one] = floats(k, type, 0.044715, 0.7978845608, 0.5, 1)
    const inner = k.mul(scale!, k.add(x, k.mul(cubic!, k.mul(x, k.mul(x, x)))))
    const gelu = k.mul(k.mul(half!, x), k.add(one!, k.tanh(inner)))
    const factor = k.param(type === 'float64' ? 'float64' : 'float32')
    k.output(type, k.add(k.mul(factor, gelu), k.load(residual, rowMajor(shape))))
    return { epilogue: k.build(), operands: [dense(type, shape)], scalars: [0.3] }
  },
  'gradient of relu'(shape, type) {
    const k = new KernelBuilder('reluGradient', shape)
    const [raw, before] = [k.input(type), k.input(type)]
    const z = k.load(before, rowMajor(shape))
    k.output(type, k.select(k.gt(z, k.like(z, 0)), k.load(raw, rowMajor(shape)), k.like(z, 0)))
    return { epilogue: k.build(), operands: [dense(type, shape)] }
  },
  'two outputs, a channel and one element'(shape, type) {
    const k = new KernelBuilder('two', shape)
    const [raw, channel, one] = [k.input(type), k.input(type), k.input(type)]
    const none = shape.map(() => 0)
    const before = k.mul(k.load(raw, rowMajor(shape)), k.load(channel, lastOnly(shape)))
    k.output(type, before)
    k.output(type, k.min(before, k.load(one, none)))
    return { epilogue: k.build(), operands: [dense(type, [shape.at(-1)!]), dense(type, [1])] }
  },
  'a mask of another dtype'(shape, type) {
    const k = new KernelBuilder('mask', shape)
    const [raw, mask] = [k.input(type), k.input('bool')]
    const x = k.load(raw, rowMajor(shape))
    k.output(type, k.select(k.load(mask, rowMajor(shape)), x, k.like(x, 0)))
    return { epilogue: k.build(), operands: [dense('bool', shape)] }
  },
  'transposed residual and narrower result'(shape, type) {
    const k = new KernelBuilder('transposed', shape)
    const [raw, residual] = [k.input(type), k.input(type)]
    k.output('float16', k.add(k.load(raw, rowMajor(shape)), k.load(residual, rowMajor([...shape].reverse()).reverse())))
    return { epilogue: k.build(), operands: [dense(type, shape)] }
  },
  'operands and a result of half precision'(shape, type) {
    const k = new KernelBuilder('halves', shape)
    const [raw, residual, channel, one] = [k.input(type), k.input('bfloat16'), k.input('float16'), k.input('bfloat16')]
    const x = k.load(raw, rowMajor(shape))
    const wide = (input: number, strides: readonly number[]) => k.cast(k.load(input, strides), k.typeOf(x))
    const none = shape.map(() => 0)
    const y = k.add(k.mul(x, wide(channel, lastOnly(shape))), k.mul(wide(residual, rowMajor(shape)), wide(one, none)))
    k.output('bfloat16', y)
    k.output(type, k.sub(x, y))
    k.output('float16', x)
    return { epilogue: k.build(), operands: [dense('bfloat16', shape), dense('float16', [shape.at(-1)!]), dense('bfloat16', [1])] }
  },
} satisfies Record<string, (shape: readonly number[], type: DType) => Code>

const lastOnly = (shape: readonly number[]) => shape.map((_, axis) => (axis === shape.length - 1 ? 1 : 0))

let seed = 1
function values({ dtype, shape, strides }: Operand): Num[] {
  const span = shape.includes(0) ? 0 : shape.reduce((sum, n, axis) => sum + (n - 1) * strides[axis]!, 1)
  return Array.from({ length: span }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0
    return dtype === 'bool' ? (seed >>> 8) % 2 : ((seed >>> 8) % 257) / 128 - 1
  })
}

function expectAlike(plain: Routine): void {
  const { dtype, shape } = plain.outputs[0]!
  for (const [name, code] of Object.entries(codes)) {
    const { epilogue, operands, scalars = [] } = code(shape, dtype) as Code
    const program = withEpilogue(plain, epilogue, operands)
    const inputs = program.inputs.map(values)
    const expected = runProgram(reference, program, inputs, scalars)
    const exact = sizeOf(plain.inputs[0]!.shape) > 1000 ? 1e-3 : 1e-4
    for (const engine of engines) {
      const actual = runProgram(engine, program, inputs, scalars)
      actual.forEach((result, o) => {
        // A raw result or a sum may be rounded to the next number.
        const rounded = [dtype, program.outputs[o]!.dtype]
        const closeness = rounded.includes('bfloat16') ? 0.03 : rounded.includes('float16') ? 4e-3 : exact
        const wrong = result.findIndex((v, i) => !(Math.abs(Number(v) - Number(expected[o]![i])) <= closeness * (1 + Math.abs(Number(v)))))
        const what = `${plain.name} [${shape}] ${name}, output ${o}, ${engine.threads} threads`
        expect(wrong < 0 ? what : `${what}: ${result[wrong]} at ${wrong} instead of ${expected[o]![wrong]}`).toBe(what)
      })
    }
  }
}

const operand = (dtype: DType, shape: readonly number[], transposed = false): Operand => {
  const strides = rowMajor(transposed ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape)
  return { dtype, shape, strides: transposed ? [...strides.slice(0, -2), strides.at(-1)!, strides.at(-2)!] : strides }
}

describe('epilogues', () => {
  const product = (
    batch: number[],
    m: number,
    n: number,
    k: number,
    options: { ta?: boolean; tb?: boolean; bias?: boolean; dtype?: DType },
  ) => {
    const { ta = false, tb = false, bias = false, dtype = 'float32' } = options
    const inputs = [operand(dtype, [...batch, m, k], ta), operand(dtype, [...batch, k, n], tb), ...(bias ? [operand(dtype, [n])] : [])]
    return routine('matmul', {}, inputs, [dense(dtype, [...batch, m, n])])
  }

  it('follow small matrix products', () => {
    for (let m = 1; m <= 9; m += 2) for (let n = 1; n <= 9; n++) expectAlike(product([], m, n, 5, { bias: n % 2 === 0, tb: n % 3 === 0 }))
  })

  it('follow products of every path: vectors, transposed operands, many k, batches, float64', () => {
    for (const bias of [false, true]) {
      expectAlike(product([], 1, 37, 19, { bias }))
      expectAlike(product([], 1, 37, 19, { bias, tb: true }))
      expectAlike(product([], 3, 37, 19, { bias, tb: true, ta: true }))
      expectAlike(product([], 37, 1, 19, { bias }))
      expectAlike(product([], 37, 1, 19, { bias, ta: true }))
      expectAlike(product([], 2, 700, 130, { bias }))
      expectAlike(product([], 70, 67, 130, { bias, ta: true }))
      expectAlike(product([], 13, 21, 800, { bias, ta: true, tb: true }))
      expectAlike(product([3, 2], 7, 9, 11, { bias }))
      expectAlike(product([4], 5, 1, 11, { bias, tb: true }))
      expectAlike(product([3], 33, 50, 400, { bias, ta: true }))
      expectAlike(product([], 9, 5, 0, { bias }))
    }
    expectAlike(product([2], 9, 11, 200, { dtype: 'float64', bias: true }))
    expectAlike(product([], 5, 3, 20, { dtype: 'float64' }))
  })

  it.each(['bfloat16', 'float16'] as const)('follow products of %s', (dtype) => {
    for (const bias of [false, true]) {
      expectAlike(product([], 1, 37, 19, { dtype, bias }))
      expectAlike(product([], 5, 3, 20, { dtype, bias }))
      expectAlike(product([], 37, 1, 19, { dtype, bias, ta: true }))
      expectAlike(product([], 2, 700, 130, { dtype, bias, tb: true }))
      expectAlike(product([], 70, 67, 130, { dtype, bias, ta: true }))
      expectAlike(product([3], 33, 50, 400, { dtype, bias }))
      expectAlike(product([], 9, 5, 0, { dtype, bias }))
    }
  })

  it('have no elements to follow', () => {
    expectAlike(product([], 0, 5, 3, {}))
    expectAlike(product([2, 0], 4, 5, 3, {}))
  })

  interface Convolution {
    batch?: number
    spatial: number[]
    kernel: number[]
    stride?: number[]
    padding?: [number, number][]
    dilation?: number[]
    groups?: number
    channels: [number, number]
  }
  const convolutions = (c: Convolution): Routine[] => {
    const { batch = 2, spatial, kernel, groups = 1, channels } = c
    const { stride = kernel.map(() => 1), padding = kernel.map((): [number, number] => [0, 0]), dilation = kernel.map(() => 1) } = c
    const geometry: WindowGeometry = { kernel, stride, padding, dilation }
    const out = spatial.map(
      (n, i) => Math.floor((n + padding[i]![0] + padding[i]![1] - dilation[i]! * (kernel[i]! - 1) - 1) / stride[i]!) + 1,
    )
    const x = dense('float32', [batch, ...spatial, channels[0] * groups])
    const w = dense('float32', [...kernel, channels[0], channels[1] * groups])
    const y = dense('float32', [batch, ...out, channels[1] * groups])
    const bias = dense('float32', [channels[1] * groups])
    const attrs = { ...geometry, groups }
    return [
      routine('conv', attrs, [x, w], [y]),
      routine('conv', attrs, [x, w, bias], [y]),
      routine('convGradInput', attrs, [y, w], [x]),
      routine('convGradWeight', attrs, [x, y], [w]),
    ]
  }

  it.each<[string, Convolution]>([
    ['plain 2-d', { spatial: [6, 7], kernel: [3, 3], channels: [3, 5] }],
    [
      'padding and stride',
      {
        spatial: [9, 8],
        kernel: [3, 2],
        stride: [2, 3],
        padding: [
          [1, 1],
          [0, 2],
        ],
        channels: [4, 8],
      },
    ],
    ['kernel smaller than stride', { spatial: [9, 8], kernel: [1, 2], stride: [3, 3], channels: [4, 3] }],
    ['dilated 1-d', { spatial: [30], kernel: [3], dilation: [2], padding: [[2, 1]], channels: [2, 9] }],
    ['3-d', { spatial: [4, 5, 3], kernel: [2, 3, 2], stride: [1, 2, 1], channels: [3, 4] }],
    [
      'groups',
      {
        spatial: [6, 6],
        kernel: [3, 3],
        padding: [
          [1, 1],
          [1, 1],
        ],
        groups: 3,
        channels: [2, 4],
      },
    ],
    [
      'depthwise',
      {
        spatial: [7, 9],
        kernel: [3, 3],
        padding: [
          [1, 1],
          [1, 1],
        ],
        groups: 13,
        channels: [1, 1],
      },
    ],
    ['depthwise with stride', { spatial: [9, 9], kernel: [3, 3], stride: [2, 2], groups: 5, channels: [1, 1] }],
    [
      'many channels',
      {
        batch: 1,
        spatial: [8, 9],
        kernel: [3, 3],
        padding: [
          [1, 1],
          [1, 1],
        ],
        channels: [50, 40],
      },
    ],
    [
      'many pixels',
      {
        batch: 3,
        spatial: [16, 16],
        kernel: [3, 3],
        padding: [
          [1, 1],
          [1, 1],
        ],
        channels: [4, 7],
      },
    ],
  ])('follow convolutions and their gradients: %s', (_, c) => convolutions(c).forEach(expectAlike))

  it('update a parameter in place, also where sums take several passes', () => {
    const update = (shape: readonly number[]) => {
      const k = new KernelBuilder('sgd', shape)
      const [gradient, parameter] = [k.input('float32'), k.input('float32')]
      const g = k.load(gradient, rowMajor(shape))
      k.output('float32', k.sub(k.load(parameter, rowMajor(shape)), k.mul(k.param('float32'), g)))
      k.output('float32', g)
      return k.build()
    }
    const cases: Routine[] = [
      ...[1, 2, 9, 50].flatMap((m) => [1, 7, 40].flatMap((n) => [5, 900].map((k) => product([], m, n, k, { ta: true })))),
      product([], 3, 17, 30, { tb: true }),
      product([3], 9, 10, 500, {}),
      ...convolutions({ spatial: [20, 21], kernel: [3, 3], groups: 7, channels: [1, 1] }),
      ...convolutions({ spatial: [20, 21], kernel: [3, 3], channels: [3, 5] }),
      ...convolutions({ spatial: [5, 5], kernel: [3, 3], channels: [90, 90] }),
    ]
    for (const plain of cases) {
      const { shape } = plain.outputs[0]!
      const program = withEpilogue(plain, update(shape), [dense('float32', shape)])
      const inputs = program.inputs.map(values)
      const expected = runProgram(reference, program, inputs, [0.1])
      for (const engine of engines) {
        const buffers = inputs.map((v) => {
          const buffer = engine.allocate(4 * v.length)
          engine.write(buffer, 'float32', 0, Float32Array.from(v as number[]))
          return buffer
        })
        const parameter = buffers.at(-1)!
        const gradient = engine.allocate(4 * sizeOf(shape))
        engine.prepare(program).run(
          [...buffers, parameter, gradient],
          [...buffers, 0, 0].map(() => 0),
          [0.1],
        )
        for (const [o, buffer] of [parameter, gradient].entries()) {
          const actual = engine.readSync(buffer, 'float32', 0, sizeOf(shape)) as Float32Array
          const wrong = actual.findIndex((v, i) => !(Math.abs(v - Number(expected[o]![i])) <= 1e-3 * (1 + Math.abs(v))))
          const what = `${plain.name} [${shape}] output ${o}, ${engine.threads} threads`
          expect(wrong < 0 ? what : `${what}: ${actual[wrong]} at ${wrong} instead of ${expected[o]![wrong]}`).toBe(what)
        }
        for (const buffer of [...buffers, gradient]) engine.free(buffer)
      }
    }
  })
})

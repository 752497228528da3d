import { afterAll, describe, expect, it } from 'vitest'
import type { Sequence } from '../../core/src/engine/engine.ts'
import { KernelBuilder } from '../../core/src/engine/kernel.ts'
import { ReferenceEngine } from '../../core/src/engine/reference/engine.ts'
import { type Routine, routine, withEpilogue } from '../../core/src/engine/routine.ts'
import { rowMajor, sizeOf } from '../../core/src/layout.ts'
import { dense, encode, runProgram, small } from '../../core/test/engine.ts'
import type { Binding, NativeConvolution } from '../src/binding.ts'
import { describeConvolution, describeProduct } from '../src/convolution.ts'
import { both, generator, integersFor, loaded, nativeEngine } from './engines.ts'

interface Shape {
  readonly batch?: number
  readonly size?: readonly [number, number]
  readonly channels: readonly [number, number]
  readonly kernel?: number
  readonly stride?: number
  readonly dilation?: number
  readonly depthwise?: boolean
}

/** A 2d convolution that keeps the size up to its stride. */
function convolution({
  batch = 1,
  size = [9, 11],
  channels,
  kernel = 3,
  stride = 1,
  dilation = 1,
  depthwise = false,
}: Shape): Routine<'conv'> {
  const two = <T>(value: T) => [value, value]
  const [from, to] = channels
  const padding = (dilation * (kernel - 1)) >> 1
  const out = size.map((n) => Math.floor((n + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1)
  return routine(
    'conv',
    { kernel: two(kernel), stride: two(stride), padding: two([padding, padding]), dilation: two(dilation), groups: depthwise ? from : 1 },
    [dense('float32', [batch, ...size, from]), dense('float32', [kernel, kernel, depthwise ? 1 : from, to]), dense('float32', [to])],
    [dense('float32', [batch, ...out, to])],
  )
}

/** A residual, then what relu or relu6 is written as. */
function activated(plain: Routine<'conv'> | Routine<'matmul'>, activation: 'relu' | 'relu6', residual = true): Routine {
  const { shape } = plain.outputs[0]!
  const k = new KernelBuilder(activation, shape)
  let x = k.load(k.input('float32'), rowMajor(shape))
  if (residual) x = k.add(x, k.load(k.input('float32'), rowMajor(shape)))
  const zero = k.like(x, 0)
  k.output('float32', activation === 'relu' ? k.select(k.le(x, zero), zero, x) : k.min(k.max(x, zero), k.like(x, 6)))
  return withEpilogue(plain, k.build(), residual ? [dense('float32', shape)] : [])
}

const shapes: readonly (readonly [string, Shape])[] = [
  ['3x3', { channels: [16, 64] }],
  ['channels that fill no vector', { channels: [19, 7] }],
  ['five vectors of channels', { channels: [20, 75] }],
  ['more panels than one group', { channels: [700, 200], kernel: 1 }],
  ['weights that are dealt with in blocks', { channels: [190, 64], size: [5, 4] }],
  ['7x7 with stride', { channels: [20, 64], size: [23, 20], kernel: 7, stride: 2 }],
  ['one channel', { channels: [1, 32], batch: 3 }],
  ['one channel to a few, left to oneDNN', { channels: [1, 24], batch: 3 }],
  ['few channels, whose taps are read as one run', { channels: [3, 40], kernel: 5, stride: 2, batch: 2, size: [12, 17] }],
  ['joined taps of windows wider than the input', { channels: [5, 16], kernel: 7, size: [2, 3] }],
  ['1x1 with stride', { channels: [32, 48], kernel: 1, stride: 2 }],
  ['dilation', { channels: [24, 16], dilation: 2, size: [12, 9] }],
  ['windows wider than the input', { channels: [17, 16], kernel: 7, size: [2, 3] }],
  ['a batch of pictures', { channels: [16, 33], batch: 4, size: [14, 14] }],
  ['depthwise', { channels: [40, 40], depthwise: true, size: [13, 21] }],
  ['depthwise with many channels', { channels: [150, 150], depthwise: true, batch: 2, size: [7, 7] }],
  ['depthwise, 5x5 with stride', { channels: [32, 32], depthwise: true, kernel: 5, stride: 2, size: [17, 30] }],
  ['depthwise, rows of more than one tile', { channels: [48, 48], depthwise: true, size: [5, 35] }],
  ['depthwise, 3x3 with stride 2', { channels: [37, 37], depthwise: true, stride: 2, size: [9, 18] }],
  ['depthwise, dilated, wider than the input', { channels: [16, 16], depthwise: true, kernel: 5, dilation: 2, size: [3, 4] }],
]

describe.skipIf(!loaded)("convolutions by the addon's own code", () => {
  const { engine, backend } = loaded ? nativeEngine(2) : ({} as ReturnType<typeof nativeEngine>)
  const alone = loaded && nativeEngine(1)
  const reference = new ReferenceEngine()
  afterAll(() => [engine, alone?.engine].forEach((e) => e?.close()))

  describe.each(shapes)('%s', (_, shape) => {
    it.each(['relu', 'relu6'] as const)('%s', (activation) => {
      const program = activated(convolution(shape), activation)
      expect(describeConvolution(program)?.preferred).toBe(shape.depthwise || shape.channels[0] > 1 || shape.channels[1] >= 32)
      const before = backend.taken
      const { expected, actual } = both(engine, program)
      expect(actual).toEqual(expected)
      expect(backend.taken).toBe(before + 1)
      expect(both(alone!.engine, program).actual).toEqual(expected)
    })

    it('weights that stay as they are', () => {
      const program = activated(convolution(shape), 'relu')
      const memory = { version: 0 }
      const sequence: Sequence = {
        kind: 'sequence',
        steps: [{ program, operands: [0, 1, 2, 3, 4].map((buffer) => ({ buffer, offset: 0 })), scalars: [] }],
        constants: [{ buffer: 1, memory }],
      }
      const values = integersFor(program.inputs)
      const { shape: out } = program.outputs[0]!
      const buffers = [...values.map((list) => list.length), sizeOf(out)].map((length) => engine.allocate(4 * length))
      values.forEach((list, i) => engine.write(buffers[i]!, 'float32', 0, encode(list, 'float32')))
      const executable = engine.prepare(sequence)
      const run = () => {
        engine.write(buffers[4]!, 'float32', 0, new Float32Array(sizeOf(out)).fill(Number.NaN))
        executable.run(buffers, [0, 0, 0, 0, 0], [])
        return [...engine.readSync(buffers[4]!, 'float32', 0, sizeOf(out))]
      }
      for (let version = 0; version < 2; version++) {
        const [expected] = runProgram(reference, program, values)
        // Packed from the second run on.
        for (let i = 0; i < 3; i++) expect(run(), `version ${version}, run ${i}`).toEqual(expected)
        values[1] = small(7, values[1]!.length)
        engine.write(buffers[1]!, 'float32', 0, encode(values[1], 'float32'))
        memory.version++
      }
      buffers.forEach((buffer) => engine.free(buffer))
    })
  })

  it('products of some rows with one matrix', () => {
    const random = generator(5)
    for (let tried = 0; tried < 20; tried++) {
      const [rows, depth, columns] = [5 + random(120), 1 + random(300), 16 * (1 + random(9))]
      const x = [...dense('float32', [2, rows, depth + 3]).strides.slice(0, 2), 1]
      const plain = routine(
        'matmul',
        {},
        [
          { dtype: 'float32', shape: [2, rows, depth], strides: x },
          { dtype: 'float32', shape: [2, depth, columns], strides: [0, columns, 1] },
          dense('float32', [columns]),
        ],
        [dense('float32', [2, rows, columns])],
      )
      const program = activated(plain, 'relu6', random(2) === 0)
      expect(describeProduct(program)?.preferred).toBe(true)
      const before = backend.taken
      const { expected, actual } = both(engine, program)
      expect(actual, `${rows} ${depth} ${columns}`).toEqual(expected)
      expect(backend.taken).toBe(before + 1)
    }
  })

  it('random geometry', () => {
    const random = generator(11)
    for (let tried = 0; tried < 60;) {
      const depthwise = random(3) === 0
      const from = (depthwise ? 1 : 16) + random(random(2) ? 20 : 70)
      const shape: Shape = {
        batch: 1 + random(3),
        size: [1 + random(20), 1 + random(20)],
        channels: [from, depthwise ? from : 1 + random(90)],
        kernel: 1 + random(5),
        stride: 1 + random(3),
        dilation: 1 + random(2),
        depthwise,
      }
      const plain = convolution(shape)
      if (plain.outputs[0]!.shape.some((n) => n < 1)) continue
      tried++
      const { expected, actual } = both(engine, activated(plain, 'relu6', random(2) === 0))
      expect(actual, JSON.stringify(shape)).toEqual(expected)
    }
  })

  it.each(['relu', 'relu6'] as const)('%s: what is not a number stays so, and infinities are bounded', (activation) => {
    for (const depthwise of [false, true]) {
      const program = activated(convolution({ channels: [16, 16], kernel: 1, size: [4, 5], depthwise }), activation)
      const values = integersFor(program.inputs).map((list, i) => (i === 3 ? list.map(() => 0) : list))
      for (const [i, value] of [Number.NaN, Infinity, -Infinity, -0].entries()) values[3]![i * 17] = value
      const [expected] = runProgram(reference, program, values)
      const [actual] = runProgram(engine, program, values)
      expect(expected!.slice(0, 1)).toEqual([Number.NaN])
      expect(actual!.map((x) => Number(x) + 0)).toEqual(expected!.map((x) => Number(x) + 0))
    }
  })

  it('a residual that lies where the result is to be, and one that overlaps it', () => {
    const program = activated(convolution({ channels: [300, 96], size: [6, 6] }), 'relu')
    const values = integersFor(program.inputs)
    const [expected] = runProgram(reference, program, values)
    const count = expected!.length
    for (const shift of [0, 5]) {
      const buffers = values.map((list) => {
        const buffer = engine.allocate(4 * (list.length + shift))
        engine.write(buffer, 'float32', 0, encode(list, 'float32'))
        return buffer
      })
      engine.prepare(program).run([...buffers, buffers[3]!], [0, 0, 0, 0, shift], [])
      expect([...engine.readSync(buffers[3]!, 'float32', shift, count)], `shift ${shift}`).toEqual(expected)
      buffers.forEach((buffer) => engine.free(buffer))
    }
  })

  it('an input whose pixels are apart', () => {
    const plain = convolution({ channels: [16, 16], size: [8, 9], batch: 2 })
    const program = { ...plain, inputs: [{ ...plain.inputs[0]!, strides: [8 * 9 * 18, 9 * 18, 18, 1] }, ...plain.inputs.slice(1)] }
    expect(describeConvolution(program)).toBeDefined()
    const { expected, actual } = both(engine, program)
    expect(actual).toEqual(expected)
  })

  it('leaves to oneDNN or to the engine what it has no code for', () => {
    const plain = convolution({ channels: [16, 16] })
    const groups = { ...plain, attrs: { ...plain.attrs, groups: 2 }, inputs: [plain.inputs[0]!, dense('float32', [3, 3, 8, 16])] }
    const halves = { ...plain, inputs: plain.inputs.map((o) => ({ ...o, dtype: 'bfloat16' as const })) }
    const turned = { ...plain, inputs: [plain.inputs[0]!, { ...plain.inputs[1]!, strides: [768, 256, 1, 16] }, plain.inputs[2]!] }
    const first = { ...plain, inputs: [{ ...plain.inputs[0]!, strides: [1584, 11, 1, 99] }, ...plain.inputs.slice(1)] }
    for (const other of [groups, halves, turned, first]) expect(describeConvolution(other as Routine)).toBeUndefined()
    const large = convolution({ channels: [16, 16], size: [100, 100] })
    expect(describeConvolution(large)?.preferred).toBe(false)
  })

  it('hostile descriptions and addresses', () => {
    const { binding } = loaded as { binding: Binding }
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true })
    const heap = binding.attach(new Uint8Array(memory.buffer))
    const bytes = memory.buffer.byteLength
    const good: NativeConvolution = describeConvolution(activated(convolution({ channels: [16, 16], size: [3, 3] }), 'relu'))!.describe(
      1,
    ).convolution
    const prepared = binding.prepare({ convolution: good })!
    const words = new Uint32Array(memory.buffer, 64, good.words)
    const addresses = [1024, 4096, 16384, 20480, 24576, 32768, 0]
    expect(good.words).toBe(addresses.length)
    const attempt = (block = 64) => binding.run(heap, prepared.handle, block, bytes)
    words.set(addresses)
    expect(attempt).not.toThrow()
    addresses.forEach((_, i) => {
      for (const bad of [bytes, bytes - 4, 2 ** 32 - 64, 1025]) {
        words.set(addresses)
        words[i] = bad
        expect(() => attempt(), `word ${i} = ${bad}`).toThrow(/not lie on the heap/)
      }
    })
    words.set(addresses)
    for (const block of [bytes - 4, 2 ** 32 - 8, 65]) expect(() => attempt(block)).toThrow(/argument block/)
    const pack = (source: number, target: number) => binding.pack(heap, prepared.handle, source, target, bytes)
    expect(() => pack(4096, 40960)).not.toThrow()
    for (const source of [1, bytes, 2 ** 32 - 4]) expect(() => pack(source, 40960)).toThrow(/weights do not lie/)
    for (const target of [4, bytes, 2 ** 32 - 64]) expect(() => pack(4096, target)).toThrow(/packed weights do not lie/)
    const broken: Partial<NativeConvolution>[] = [
      { channels: [1, 0, 16] },
      { kernel: [1, 3, -3] },
      { stride: [1, 0, 1] },
      { in: [1, 3] as never },
      { out: [1, 2 ** 40, 3] },
      { kernel: [2 ** 30, 2 ** 30, 2 ** 30] },
      { out: [2 ** 30, 2 ** 30, 2 ** 30] },
      { depthwise: true },
      { words: 4 },
      { operations: [{ operator: 9, extent: 2, word: undefined, param: undefined, value: 0 }] },
      { operations: [{ operator: 0, extent: 0, word: undefined, param: undefined, value: 0 }] },
      { operations: [{ operator: 0, extent: 0, word: 99, param: undefined, value: undefined }] },
    ]
    for (const change of broken)
      expect(() => binding.prepare({ convolution: { ...good, ...change } }), JSON.stringify(change)).toThrow(/\w/)
    binding.release(prepared.handle)
    expect(() => pack(4096, 40960)).toThrow(/released/)
    const depthwise = describeConvolution(convolution({ channels: [16, 16], depthwise: true }))!.describe(1)
    expect(() => binding.pack(heap, binding.prepare(depthwise)!.handle, 4096, 32768, bytes)).toThrow(/nothing/)
  })
})

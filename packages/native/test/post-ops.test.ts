import { afterAll, describe, expect, it } from 'vitest'
import { type Kernel, KernelBuilder } from '../../core/src/engine/kernel.ts'
import { ReferenceEngine } from '../../core/src/engine/reference/engine.ts'
import { type Operand, routine, withEpilogue } from '../../core/src/engine/routine.ts'
import { rowMajor } from '../../core/src/layout.ts'
import { dense, encode, runProgram, small } from '../../core/test/engine.ts'
import { postOpsOf } from '../src/post-ops.ts'
import { both, integersFor, loaded, nativeEngine } from './engines.ts'

interface Code {
  readonly kernel: Kernel
  readonly operands: readonly Operand[]
  readonly scalars?: readonly number[]
}

/** Epilogues for a raw result of any shape, and whether they are oneDNN's. */
const codes: Record<string, [ours: boolean, code: (shape: readonly number[]) => Code]> = {
  'a residual': [
    true,
    (shape) => {
      const k = new KernelBuilder('residual', shape)
      const [raw, other] = [k.input('float32'), k.input('float32')]
      k.output('float32', k.add(k.load(other, rowMajor(shape)), k.load(raw, rowMajor(shape))))
      return { kernel: k.build(), operands: [dense('float32', shape)] }
    },
  ],
  'one minus, scaled by a param, by channels, minus one element': [
    true,
    (shape) => {
      const k = new KernelBuilder('chain', shape)
      const [raw, channel, one] = [k.input('float32'), k.input('float32'), k.input('float32')]
      const x = k.load(raw, rowMajor(shape))
      const scaled = k.mul(k.param('float32'), k.sub(k.like(x, 1), x))
      const byChannel = k.mul(scaled, k.load(channel, lastOnly(shape)))
      k.output(
        'float32',
        k.sub(
          byChannel,
          k.load(
            one,
            shape.map(() => 0),
          ),
        ),
      )
      return { kernel: k.build(), operands: [dense('float32', [shape.at(-1)!]), dense('float32', [1])], scalars: [3] }
    },
  ],
  'divided by a param, negative': [
    true,
    (shape) => {
      const k = new KernelBuilder('divided', shape)
      const x = k.load(k.input('float32'), rowMajor(shape))
      k.output('float32', k.neg(k.div(k.add(x, k.like(x, 2)), k.param('float32'))))
      return { kernel: k.build(), operands: [], scalars: [0.25] }
    },
  ],
  relu: [
    true,
    (shape) => {
      const k = new KernelBuilder('relu', shape)
      const x = k.load(k.input('float32'), rowMajor(shape))
      k.output('float32', k.select(k.le(x, k.like(x, 0)), k.like(x, 0), x))
      return { kernel: k.build(), operands: [] }
    },
  ],
  'the result twice': [
    false,
    (shape) => {
      const k = new KernelBuilder('square', shape)
      const x = k.load(k.input('float32'), rowMajor(shape))
      k.output('float32', k.mul(x, k.add(x, k.like(x, 1))))
      return { kernel: k.build(), operands: [] }
    },
  ],
  'two outputs': [
    false,
    (shape) => {
      const k = new KernelBuilder('two', shape)
      const x = k.load(k.input('float32'), rowMajor(shape))
      const y = k.add(x, k.like(x, 1))
      k.output('float32', y)
      k.output('float32', k.mul(y, k.like(x, 2)))
      return { kernel: k.build(), operands: [] }
    },
  ],
  'dividing by the result': [
    false,
    (shape) => {
      const k = new KernelBuilder('inverse', shape)
      const x = k.load(k.input('float32'), rowMajor(shape))
      k.output('float32', k.div(k.like(x, 1), k.add(x, k.like(x, 0.5))))
      return { kernel: k.build(), operands: [] }
    },
  ],
}

const lastOnly = (shape: readonly number[]) => shape.map((_, axis) => (axis === shape.length - 1 ? 1 : 0))

it.each(Object.entries(codes))('%s: told apart', (_, [ours, code]) => {
  expect(postOpsOf(code([3, 4]).kernel) !== undefined).toBe(ours)
})

describe.skipIf(!loaded)('epilogues by oneDNN', () => {
  const { engine, backend } = loaded ? nativeEngine(2) : ({} as ReturnType<typeof nativeEngine>)
  afterAll(() => engine?.close())

  const products = {
    pointwise: (shape: readonly number[]) =>
      routine(
        'convGradInput',
        { kernel: [1], stride: [1], padding: [[0, 0]], dilation: [1], groups: 1 },
        [dense('float32', [2, 6, 16]), dense('float32', [1, 24, 16])],
        [dense('float32', shape)],
      ),
    matmul: (shape: readonly number[]) =>
      routine('matmul', {}, [dense('float32', [9, 20]), dense('float32', [20, 17])], [dense('float32', shape)]),
    'a batch with bias': (shape: readonly number[]) =>
      routine(
        'matmul',
        {},
        [dense('float32', [3, 9, 20]), dense('float32', [3, 20, 17]), dense('float32', [17])],
        [dense('float32', shape)],
      ),
    conv: (shape: readonly number[]) =>
      routine(
        'conv',
        {
          kernel: [3, 3],
          stride: [1, 1],
          padding: [
            [1, 1],
            [1, 1],
          ],
          dilation: [1, 1],
          groups: 1,
        },
        [dense('float32', [2, 6, 6, 16]), dense('float32', [3, 3, 16, 24]), dense('float32', [24])],
        [dense('float32', shape)],
      ),
  }
  const shapes = { matmul: [9, 17], 'a batch with bias': [3, 9, 17], conv: [2, 6, 6, 24], pointwise: [2, 6, 24] }

  it.each(Object.entries(codes).flatMap(([name, [, code]]) => Object.keys(products).map((product) => [name, product, code] as const)))(
    '%s after %s',
    (_, product, code) => {
      const name = product as keyof typeof products
      const { kernel, operands, scalars } = code(shapes[name])
      const before = backend.taken
      const { expected, actual } = both(engine, withEpilogue(products[name](shapes[name]), kernel, operands), scalars)
      actual.forEach((values, o) => {
        const wanted = expected[o]!
        values.forEach((value, i) =>
          expect(Math.abs(Number(value) - Number(wanted[i]))).toBeLessThanOrEqual(1e-6 * Math.abs(Number(wanted[i]))),
        )
      })
      expect(backend.taken).toBeGreaterThan(before)
    },
  )

  it('a residual that lies where the result is to be', () => {
    const shape = [300, 200]
    const [, code] = codes['a residual']!
    const { kernel, operands } = code(shape)
    const plain = routine('matmul', {}, [dense('float32', [300, 700]), dense('float32', [700, 200])], [dense('float32', shape)])
    const program = withEpilogue(plain, kernel, operands)
    const values = integersFor(program.inputs).map((list, i) => (i === 2 ? small(5, 300 * 200) : list))
    const buffers = values.map((list) => {
      const buffer = engine.allocate(4 * list.length)
      engine.write(buffer, 'float32', 0, encode(list, 'float32'))
      return buffer
    })
    engine.prepare(program).run([...buffers, buffers[2]!], [0, 0, 0, 0], [])
    const [expected] = runProgram(new ReferenceEngine(), program, values)
    expect([...engine.readSync(buffers[2]!, 'float32', 0, 300 * 200)]).toEqual(expected)
    buffers.forEach((buffer) => engine.free(buffer))
  })
})

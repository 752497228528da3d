import { afterAll, describe, expect, it } from 'vitest'
import { dense, encode, small } from '../../../test/engine.ts'
import { type DType, dtypeInfo } from '../../dtype.ts'
import { CotangentError } from '../../errors.ts'
import type { Buffer, Engine, Program, Sequence } from '../engine.ts'
import { type Kernel, KernelBuilder } from '../kernel.ts'
import { ReferenceEngine } from '../reference/engine.ts'
import { referenceRoutine } from '../reference/routine.ts'
import { routine } from '../routine.ts'
import { WasmEngine } from './engine.ts'

const wasm = new WasmEngine({ threads: 1, fallback: referenceRoutine })
const engines: readonly Engine[] = [new ReferenceEngine(), wasm]
afterAll(() => wasm.close())

type Step = Sequence['steps'][number]

const sequence = (...steps: readonly Step[]): Sequence => ({ kind: 'sequence', steps })

/** `at`: buffer and offset of each operand. */
const step = (program: Program, at: readonly (readonly [buffer: number, offset: number])[], scalars: readonly number[] = []): Step => ({
  program,
  operands: at.map(([buffer, offset]) => ({ buffer, offset })),
  scalars,
})

/** `a * first + b * second` over `size` elements, with params. */
function blend(size: number, from: DType = 'float32', to: DType = 'float32'): Kernel {
  const k = new KernelBuilder('blend', [size])
  const a = k.cast(k.load(k.input(from), [1]), 'float32')
  const b = k.cast(k.load(k.input(from), [1]), 'float32')
  k.output(to, k.add(k.mul(a, k.param('float32')), k.mul(b, k.param('float32'))))
  return k.build()
}

/** Every element a param. */
function fill(size: number): Kernel {
  const k = new KernelBuilder('fill', [size])
  k.output('float32', k.param('float32'), [1])
  return k.build()
}

const product = (n: number, from: DType = 'float32') =>
  routine('matmul', {}, [dense(from, [n, n]), dense(from, [n, n])], [dense('float32', [n, n])])

/** `alpha * (a @ b)` in one routine. */
function scaledProduct(n: number): Program {
  const k = new KernelBuilder('scaled', [n, n])
  k.output('float32', k.mul(k.load(k.input('float32'), [n, 1]), k.param('float32')))
  return { ...product(n), epilogue: k.build() }
}

/** Kernels, a product, one with an epilogue, one that converts its operands, and nothing at all; buffer 2 holds all that lies between. */
function mixed(n: number): Sequence {
  const size = n * n
  return sequence(
    step(
      blend(size),
      [
        [0, 0],
        [1, 0],
        [2, 0],
      ],
      [0, 1],
    ),
    step(product(n), [
      [2, 0],
      [1, 0],
      [2, size],
    ]),
    step(fill(0), [[2, 0]], [0]),
    step(
      scaledProduct(n),
      [
        [2, size],
        [0, 0],
        [2, 2 * size],
      ],
      [2],
    ),
    // Half precision numbers, two in a word, take the place of the first results.
    step(
      blend(size, 'float32', 'float16'),
      [
        [0, 0],
        [1, 0],
        [2, 0],
      ],
      [1, 1],
    ),
    step(product(0), [
      [2, 0],
      [2, 0],
      [2, 0],
    ]),
    step(product(n, 'float16'), [
      [2, 0],
      [2, 0],
      [2, size],
    ]),
    step(
      blend(size),
      [
        [2, size],
        [2, 2 * size],
        [3, 0],
      ],
      [2, 0],
    ),
  )
}

/** Runs a prepared sequence on buffers of an engine, new ones for each name not seen yet, and gives the last buffer's elements. */
function runner(engine: Engine, program: Sequence, sizes: readonly number[]) {
  const executable = engine.prepare(program)
  const known = new Map<string, Buffer>()
  return (names: readonly string[], offsets: readonly number[], scalars: readonly number[]) => {
    const buffers = names.map((name, i) => {
      let buffer = known.get(name)
      if (!buffer) {
        const length = sizes[i]! + 8
        buffer = engine.allocate(4 * length)
        engine.write(buffer, 'float32', 0, encode(small(name.charCodeAt(0), length), 'float32'))
        known.set(name, buffer)
      }
      return buffer
    })
    executable.run(buffers, offsets, scalars)
    return [...engine.readSync(buffers.at(-1)!, 'float32', offsets.at(-1)!, sizes.at(-1)!)]
  }
}

describe('a linked sequence', () => {
  const runs: readonly (readonly [buffers: string, offsets: readonly number[], scalars: readonly number[]])[] = [
    ['abcd', [0, 0, 0, 0], [1, 2, 0.5]],
    ['abcd', [0, 0, 0, 0], [1, 2, 0.5]],
    ['abcd', [0, 0, 0, 0], [1, -1, 0.25]],
    ['ebcd', [0, 0, 0, 0], [1, -1, 0.25]],
    ['ebfg', [3, 0, 0, 5], [1, -1, 0.25]],
    ['bafd', [3, 1, 0, 0], [Number.NaN, 1, 2]],
    ['bafd', [0, 0, 0, 0], [-0, 1, 2]],
    ['aafd', [0, 0, 0, 0], [2, 1, 2]],
  ]

  it.each([3, 16])('sees other buffers, offsets and numbers: %i x %i', (n) => {
    const sizes = [n * n, n * n, 3 * n * n, n * n]
    const [expected, actual] = engines.map((engine) => {
      const run = runner(engine, mixed(n), sizes)
      return runs.map(([buffers, offsets, scalars]) => run([...buffers], offsets, scalars))
    })
    expect(actual).toEqual(expected)
  })

  it.each([1, 2])('joins calls once it has run often, and takes them apart for other numbers of threads: %i', async (threads) => {
    const engine = new WasmEngine({ threads, fallback: referenceRoutine })
    try {
      const sizes = [9, 9, 27, 9]
      const run = runner(engine, mixed(3), sizes)
      const expected = runner(engines[0]!, mixed(3), sizes)
      for (let i = 0; i < 100; i++) run([...'abcd'], [0, 0, 0, 0], [1, 2, 0.5])
      for (const args of runs) expect(run([...args[0]], args[1], args[2])).toEqual(expected([...args[0]], args[1], args[2]))
      await engine.setThreads(3 - threads)
      for (const args of runs) expect(run([...args[0]], args[1], args[2])).toEqual(expected([...args[0]], args[1], args[2]))
    } finally {
      engine.close()
    }
  })

  it('writes sums that are made piece by piece over an operand, or apart from it, as operands lie', () => {
    const [m, k, n] = [32, 600, 32]
    const builder = new KernelBuilder('update', [m, n])
    const sum = builder.load(builder.input('float32'), [n, 1])
    builder.output('float32', builder.sub(builder.load(builder.input('float32'), [n, 1]), sum))
    builder.output('float32', sum)
    const epilogue = builder.build()
    const [a, b, c] = [dense('float32', [m, k]), dense('float32', [k, n]), dense('float32', [m, n])] as const
    const update: Program = { ...routine('matmul', {}, [a, b], [c]), inputs: [a, b, c], outputs: [c, c], epilogue }
    /** The old value at buffer 2, the new one at that or at buffer 3, the sum at the other one. */
    const places = [
      [2, 3, 4],
      [2, 2, 3],
      [2, 3, 2],
    ] as const
    for (const [old, to, raw] of places) {
      const operands = [0, 1, old, to, raw].map((buffer) => [buffer, 0] as const)
      const sizes = [m * k, k * n, m * n, m * n, m * n]
      const [expected, actual] = engines.map((engine) => {
        const run = runner(
          engine,
          sequence(
            step(update, operands),
            step(
              blend(m * n),
              [
                [2, 0],
                [3, 0],
                [4, 0],
              ],
              [0, 1],
            ),
          ),
          sizes,
        )
        return [1, 2, 3].map(() => run([...'abcde'], [0, 0, 0, 0, 0], [1, 0.5]))
      })
      expect(actual).toEqual(expected)
    }
  })

  it('looks only at buffers that may have moved, if it is told which', () => {
    const executable = wasm.prepare(sequence(step(fill(4), [[0, 0]], [0]), step(fill(4), [[1, 0]], [0])))
    const [a, b, c] = [wasm.allocate(16), wasm.allocate(16), wasm.allocate(16)]
    const first = (buffer: Buffer) => wasm.readSync(buffer, 'float32', 0, 1)[0]
    executable.run([a, b], [0, 0], [1])
    executable.run([a, c], [0, 0], [2], [1, 7])
    expect([a, b, c].map(first)).toEqual([2, 1, 2])
    executable.run([a, c], [0, 0], [3], [])
    expect([a, b, c].map(first)).toEqual([3, 1, 3])
  })

  it('tells 0 from -0 and passes NaN on', () => {
    const run = runner(wasm, sequence(step(fill(4), [[0, 0]], [0])), [4])
    for (const value of [0, -0, Number.NaN, Number.NaN, 1]) expect(run(['a'], [0], [value])).toEqual([value, value, value, value])
  })

  it('runs on other numbers of threads', async () => {
    const n = 160
    const sizes = [n * n, n * n, 3 * n * n, n * n]
    const scalars = [1, 2, 0.5]
    const engine = new WasmEngine({ threads: 1, fallback: referenceRoutine })
    try {
      const run = runner(engine, mixed(n), sizes)
      const expected = runner(engines[0]!, mixed(n), sizes)([...'abcd'], [0, 0, 0, 0], scalars)
      for (const threads of [1, 3, 2, 1]) {
        await engine.setThreads(threads)
        for (const buffers of ['abcd', 'abcd', 'abef']) expect(run([...buffers], [0, 0, 0, 0], scalars)).toEqual(expected)
      }
    } finally {
      engine.close()
    }
  })

  it('does not share arguments with others of the same code', () => {
    const program = sequence(step(fill(4), [[0, 0]], [0]), step(fill(4), [[0, 4]], [1]))
    const [one, two] = [runner(wasm, program, [8]), runner(wasm, program, [8])]
    one(['a'], [0], [1, 2])
    expect(two(['b'], [0], [3, 4])).toEqual([3, 3, 3, 3, 4, 4, 4, 4])
    expect(one(['a'], [0], [1, 2])).toEqual([1, 1, 1, 1, 2, 2, 2, 2])
  })

  it('takes routines whose code has room for an output that they do not have', () => {
    const attrs = { kernel: [2], stride: [2], padding: [[0, 0]], dilation: [1] } as const
    const fold = routine('fold', attrs, [dense('float32', [1, 4, 2, 1])], [dense('float32', [1, 8, 1])])
    const program = sequence(
      step(fold, [
        [0, 0],
        [1, 0],
      ]),
    )
    const [expected, actual] = engines.map((engine) => runner(engine, program, [8, 8])(['a', 'b'], [0, 0], []))
    expect(actual).toEqual(expected)
  })

  it('may be empty', () => {
    expect(() => wasm.prepare(sequence()).run([], [], [])).not.toThrow()
  })
})

describe('a step that fails', () => {
  const errorOf = (run: () => void): CotangentError => {
    try {
      run()
    } catch (error) {
      if (error instanceof CotangentError) return error
      throw error
    }
    throw new TypeError('nothing was thrown')
  }

  it.each([
    [0, undefined],
    [0, () => {}],
    [100, undefined],
    [100, () => {}],
  ])('is named by its position after %i runs, and the next run is a good one', (runs, observer) => {
    const executable = wasm.prepare(sequence(step(fill(4), [[0, 0]], [0]), step(fill(4), [[1, 0]], [0]), step(fill(4), [[0, 4]], [0])))
    const buffer = wasm.allocate(32)
    const other = wasm.allocate(32)
    const nowhere = { bytes: 32, pointer: 2 ** 32 - 32 }
    for (let i = 0; i < runs; i++) executable.run([buffer, other], [0, 0], [0])
    wasm.observer = observer
    try {
      const error = errorOf(() => executable.run([buffer, nowhere], [0, 0], [1]))
      expect(error).toMatchObject({ code: 'engine-failure', op: 'fill', step: 1 })
      executable.run([buffer, other], [0, 0], [2])
    } finally {
      wasm.observer = undefined
    }
    expect([...wasm.readSync(buffer, 'float32', 0, 8)]).toEqual([2, 2, 2, 2, 2, 2, 2, 2])
  })

  it('because there is no memory for a temporary is named, too', () => {
    const engine = new WasmEngine({ threads: 1, maximumBytes: 2 ** 24, fallback: referenceRoutine })
    const length = 2 ** 24
    const long = (shape: readonly number[]) => ({ dtype: 'uint8', shape, strides: [0, 0] }) as const
    const dot = routine('matmul', {}, [long([1, length]), long([length, 1])], [dense('int64', [1, 1])])
    const executable = engine.prepare(
      sequence(
        step(fill(1), [[0, 0]], [0]),
        step(dot, [
          [0, 0],
          [0, 0],
          [0, 4],
        ]),
      ),
    )
    const error = errorOf(() => executable.run([engine.allocate(64)], [0], [1]))
    expect(error).toMatchObject({ code: 'out-of-memory', step: 1 })
  })

  it('is named by the reference, too', () => {
    const [engine] = engines
    const executable = engine!.prepare(sequence(step(fill(0), [[0, 0]], [0]), step(fill(4), [[1, 0]], [0])))
    const missing: Buffer = Object.defineProperty({ bytes: 16 }, 'data', {
      get: () => {
        throw new CotangentError('engine-failure', { message: 'not there' })
      },
    })
    expect(errorOf(() => executable.run([engine!.allocate(0), missing], [0, 0], [1]))).toMatchObject({ step: 1 })
  })
})

describe('an observer', () => {
  it.each(engines.map((engine) => [engine.name, engine] as const))('sees the steps of a sequence in order: %s', (_, engine) => {
    const program = mixed(3)
    const run = runner(engine, program, [9, 9, 27, 9])
    const expected = run([...'abcd'], [0, 0, 0, 0], [1, 2, 0.5])
    const seen: Program[] = []
    engine.observer = (what, ms) => {
      expect(ms).toBeGreaterThanOrEqual(0)
      seen.push(what)
    }
    try {
      expect(run([...'abcd'], [0, 0, 0, 0], [1, 2, 0.5])).toEqual(expected)
    } finally {
      engine.observer = undefined
    }
    expect(seen).toEqual(program.steps.map((s) => s.program))
    run([...'abcd'], [0, 0, 0, 0], [1, 2, 0.5])
    expect(seen).toHaveLength(program.steps.length)
  })

  it('does not count as the step when it throws', () => {
    const executable = wasm.prepare(sequence(step(fill(4), [[0, 0]], [0])))
    wasm.observer = () => {
      throw new RangeError('mine')
    }
    try {
      expect(() => executable.run([wasm.allocate(4 * dtypeInfo.float32.size)], [0], [1])).toThrow(RangeError)
    } finally {
      wasm.observer = undefined
    }
  })
})

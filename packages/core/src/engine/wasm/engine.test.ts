import { afterAll, describe, expect, it } from 'vitest'
import { ulps } from '../../../test/kernel-trial.ts'
import { type DType, dtypeInfo, type TypedArray } from '../../dtype.ts'
import { rowMajor, sizeOf } from '../../layout.ts'
import { KernelBuilder } from '../kernel.ts'
import { ReferenceEngine } from '../reference/engine.ts'
import { referenceRoutine } from '../reference/routine.ts'
import { type Operand, type Routine, type RoutineAttrs, type RoutineName, routine } from '../routine.ts'
import '../../routines.ts'
import '../../sequences.ts'
import { WasmEngine } from './engine.ts'

const engines = [1, 2].map((threads) => new WasmEngine({ threads, fallback: referenceRoutine }))
afterAll(() => engines.forEach((engine) => engine.close()))

const operand = (dtype: DType, shape: readonly number[], strides: readonly number[] = rowMajor(shape)): Operand => ({
  dtype,
  shape,
  strides,
})

let seed = 3
function fill(dtype: DType, length: number): TypedArray {
  const data = new dtypeInfo[dtype].array(length)
  for (let i = 0; i < length; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0
    const small = (seed >>> 24) - 128
    if (dtype === 'int64') (data as BigInt64Array)[i] = BigInt(small)
    else
      data[i] =
        dtype === 'float16'
          ? 0x3800 + (seed >>> 23)
          : dtype === 'bfloat16'
            ? 0x3f00 + (seed >>> 26)
            : dtypeInfo[dtype].kind === 'int'
              ? small & 7
              : small / 64
  }
  return data
}

/** Bytes that an operand reaches over. */
const reach = ({ shape, strides }: Operand): number => 1 + shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 0)

/** 'same', or where an engine differs from the reference. */
function compare<N extends RoutineName>(program: Routine<N>): string {
  const inputs = program.inputs.map((o) => fill(o.dtype, Math.max(1, reach(o)) + 1))
  const results = [new ReferenceEngine(), ...engines].map((engine) => {
    const buffers = [
      ...inputs.map((data) => [data.byteLength, data] as const),
      ...program.outputs.map((o) => [sizeOf(o.shape) * dtypeInfo[o.dtype].size, undefined] as const),
    ].map(([bytes, data], i) => {
      const buffer = engine.allocate(bytes)
      if (data) engine.write(buffer, program.inputs[i]!.dtype, 0, data)
      return buffer
    })
    engine.prepare(program).run(
      buffers,
      buffers.map((_, i) => (i < inputs.length ? 1 : 0)),
      [],
    )
    const output = engine.readSync(buffers.at(-1)!, program.outputs.at(-1)!.dtype, 0, sizeOf(program.outputs.at(-1)!.shape))
    for (const buffer of buffers) engine.free(buffer)
    return output
  })
  const { dtype } = program.outputs.at(-1)!
  const [want, ...all] = results as [TypedArray, ...TypedArray[]]
  for (const got of all) {
    const wrong = [...want.keys()].find((i) => {
      const near = dtype.startsWith('float') && dtype !== 'float16' && Math.abs(Number(got[i]) - Number(want[i])) < 1e-4
      return !near && ulps(dtype, got[i]!, want[i]!) > (dtypeInfo[dtype].size === 2 ? 2 : 8)
    })
    if (wrong !== undefined) return `${program.name} ${dtype} at ${wrong}: ${got[wrong]} instead of ${want[wrong]}`
  }
  return 'same'
}

describe('routines', () => {
  it('multiplies matrices of every dtype, dense, transposed, batched, with a bias', () => {
    for (const dtype of ['uint8', 'int8', 'int32', 'int64', 'float16', 'bfloat16', 'float32', 'float64'] as const) {
      expect(compare(routine('matmul', {}, [operand(dtype, [5, 7]), operand(dtype, [7, 9])], [operand(dtype, [5, 9])]))).toBe('same')
      expect(
        compare(
          routine(
            'matmul',
            {},
            [operand(dtype, [5, 7], [1, 5]), operand(dtype, [7, 9], [1, 7]), operand(dtype, [9])],
            [operand(dtype, [5, 9])],
          ),
        ),
      ).toBe('same')
    }
    expect(
      compare(
        routine(
          'matmul',
          {},
          [operand('float32', [2, 3, 4, 5], [0, 20, 5, 1]), operand('float32', [2, 3, 5, 6], [30, 0, 6, 1]), operand('float32', [6], [2])],
          [operand('float32', [2, 3, 4, 6])],
        ),
      ),
    ).toBe('same')
    expect(
      compare(
        routine(
          'matmul',
          {},
          [operand('float32', [200, 300]), operand('float32', [300, 257]), operand('float32', [257], [0])],
          [operand('float32', [200, 257])],
        ),
      ),
    ).toBe('same')
    expect(
      compare(
        routine(
          'matmul',
          {},
          [operand('float32', [4, 0]), operand('float32', [0, 3]), operand('float32', [3])],
          [operand('float32', [4, 3])],
        ),
      ),
    ).toBe('same')
    expect(compare(routine('matmul', {}, [operand('float32', [0, 4]), operand('float32', [4, 3])], [operand('float32', [0, 3])]))).toBe(
      'same',
    )
  })

  const window = (n: number, more: Partial<RoutineAttrs['conv']> = {}): RoutineAttrs['conv'] => ({
    kernel: new Array<number>(n).fill(3),
    stride: new Array<number>(n).fill(1),
    padding: Array.from({ length: n }, () => [1, 1] as const),
    dilation: new Array<number>(n).fill(1),
    groups: 1,
    ...more,
  })

  it('convolves, with both gradients', () => {
    for (const dtype of ['float32', 'bfloat16', 'float64', 'int32'] as const) {
      const [x, w, y, bias] = [
        operand(dtype, [2, 8, 9, 6]),
        operand(dtype, [3, 3, 6, 5]),
        operand(dtype, [2, 8, 9, 5]),
        operand(dtype, [5]),
      ]
      expect(compare(routine('conv', window(2), [x, w, bias], [y]))).toBe('same')
      expect(compare(routine('convGradInput', window(2), [y, w], [x]))).toBe('same')
      expect(compare(routine('convGradWeight', window(2), [x, y], [w]))).toBe('same')
    }
    // Channels first, as views.
    const x = operand('float32', [2, 8, 9, 6], [432, 9, 1, 72])
    const y = operand('float32', [2, 4, 5, 8], [160, 5, 1, 20])
    const w = operand('float32', [3, 3, 3, 8])
    const attrs = window(2, { stride: [2, 2], groups: 2 })
    expect(compare(routine('conv', attrs, [x, w], [operand('float32', y.shape)]))).toBe('same')
    expect(compare(routine('convGradInput', attrs, [y, w], [operand('float32', x.shape)]))).toBe('same')
    expect(compare(routine('convGradWeight', attrs, [x, y], [w]))).toBe('same')
    // Depthwise, and other ranks.
    const depthwise = window(1, { groups: 12 })
    expect(
      compare(
        routine(
          'conv',
          depthwise,
          [operand('float32', [3, 20, 12]), operand('float32', [3, 1, 12]), operand('float32', [12])],
          [operand('float32', [3, 20, 12])],
        ),
      ),
    ).toBe('same')
    expect(
      compare(
        routine(
          'convGradWeight',
          depthwise,
          [operand('float32', [3, 20, 12]), operand('float32', [3, 20, 12])],
          [operand('float32', [3, 1, 12])],
        ),
      ),
    ).toBe('same')
    expect(
      compare(
        routine(
          'conv',
          window(3),
          [operand('float32', [1, 4, 5, 6, 3]), operand('float32', [3, 3, 3, 3, 4])],
          [operand('float32', [1, 4, 5, 6, 4])],
        ),
      ),
    ).toBe('same')
  })

  it('leaves the others to the fallback', () => {
    expect(
      compare(routine('sort', { descending: false }, [operand('float32', [3, 7])], [operand('float32', [3, 7]), operand('int32', [3, 7])])),
    ).toBe('same')
  })
})

describe('memory', () => {
  it('reports pressure before it gives up, and counts what lives', () => {
    const engine = new WasmEngine({ threads: 1, maximumBytes: 128 * 2 ** 20, fallback: referenceRoutine })
    const before = engine.memoryUse().inUse
    const blocks = [engine.allocate(64 * 2 ** 20)]
    engine.onPressure = () => {
      const block = blocks.shift()
      if (block) engine.free(block)
      return block?.bytes ?? 0
    }
    blocks.push(engine.allocate(80 * 2 ** 20))
    expect(blocks.length).toBe(1)
    expect(engine.memoryUse().inUse - before).toBeGreaterThanOrEqual(80 * 2 ** 20)
    engine.free(blocks[0]!)
    expect(engine.memoryUse().inUse).toBe(before)
  })

  it('gives results that do not depend on the number of threads', () => {
    const kernels = [
      () => {
        const b = new KernelBuilder('sum', [], [300_001])
        b.output('float32', b.reduce('sum', b.load(b.input('float32'), [1])))
        return b.build()
      },
      () => {
        const b = new KernelBuilder('exp', [300_000])
        b.output('float32', b.exp(b.load(b.input('float32'), [1])))
        return b.build()
      },
      () => {
        const b = new KernelBuilder('softmax', [300], [1000])
        const e = b.exp(b.load(b.input('float32'), [1000, 1]))
        b.output('float32', b.div(e, b.reduce('sum', e)))
        return b.build()
      },
    ]
    const data = fill('float32', 300_001)
    for (const make of kernels) {
      const [one, two] = engines.map((engine) => {
        const [x, y] = [engine.allocate(data.byteLength), engine.allocate(data.byteLength)]
        engine.write(x, 'float32', 0, data)
        engine.write(y, 'float32', 0, new Float32Array(data.length))
        // Workers start with the first launch and join a later one.
        for (let i = 0; i < 20; i++) engine.prepare(make()).run([x, y], [0, 0], [])
        const result = engine.readSync(y, 'float32', 0, data.length)
        engine.free(x)
        engine.free(y)
        return result
      })
      expect(two).toEqual(one)
    }
  })
})

import { afterAll, describe, expect, it } from 'vitest'
import { type Operand, routine } from '../../core/src/engine/routine.ts'
import { rowMajor } from '../../core/src/layout.ts'
import { dense, runProgram } from '../../core/test/engine.ts'
import { defaults } from '../src/backend.ts'
import { both, generator, loaded, nativeEngine } from './engines.ts'

type DType = Operand['dtype']

const strided = (dtype: DType, shape: readonly number[], strides: readonly number[]): Operand => ({ dtype, shape, strides })

describe.skipIf(!loaded)('matrix products by oneDNN', () => {
  const { engine, backend } = loaded ? nativeEngine(2) : ({} as ReturnType<typeof nativeEngine>)
  afterAll(() => engine?.close())

  const expectAgreement = (inputs: Operand[], out: Operand, taken: boolean) => {
    const before = backend.taken
    const { expected, actual } = both(engine, routine('matmul', {}, inputs, [out]))
    expect(actual).toEqual(expected)
    expect(backend.taken > before).toBe(taken)
  }

  it.each<[string, Operand[], Operand]>([
    ['one number', [dense('float32', [1, 1]), dense('float32', [1, 1])], dense('float32', [1, 1])],
    ['dense', [dense('float32', [33, 70]), dense('float32', [70, 19])], dense('float32', [33, 19])],
    ['with bias', [dense('float32', [7, 12]), dense('float32', [12, 40]), dense('float32', [40])], dense('float32', [7, 40])],
    ['a row and a column', [dense('float32', [1, 300]), dense('float32', [300, 1])], dense('float32', [1, 1])],
    ['a transposed', [strided('float32', [17, 30], [1, 17]), dense('float32', [30, 8])], dense('float32', [17, 8])],
    ['b transposed', [dense('float32', [17, 30]), strided('float32', [30, 8], [1, 30])], dense('float32', [17, 8])],
    ['rows apart', [strided('float32', [9, 20], [33, 1]), strided('float32', [20, 11], [50, 1])], dense('float32', [9, 11])],
    ['every other column', [strided('float32', [9, 20], [40, 2]), strided('float32', [20, 11], [1, 60])], dense('float32', [9, 11])],
    ['a batch', [dense('float32', [3, 5, 6]), dense('float32', [3, 6, 7])], dense('float32', [3, 5, 7])],
    [
      'a batch with the same weights and bias',
      [dense('float32', [3, 5, 6]), strided('float32', [3, 6, 7], [0, 7, 1]), dense('float32', [7])],
      dense('float32', [3, 5, 7]),
    ],
    [
      'the same a for a batch, with bias',
      [strided('float32', [3, 5, 6], [0, 6, 1]), dense('float32', [3, 6, 7]), dense('float32', [7])],
      dense('float32', [3, 5, 7]),
    ],
    [
      'heads of attention',
      [strided('float32', [2, 4, 10, 8], [960, 8, 96, 1]), strided('float32', [2, 4, 8, 10], [960, 8, 1, 96])],
      dense('float32', [2, 4, 10, 10]),
    ],
    [
      'a batch of batches, each broadcast',
      [strided('float32', [2, 3, 4, 5], [20, 0, 5, 1]), strided('float32', [2, 3, 5, 6], [0, 30, 6, 1])],
      dense('float32', [2, 3, 4, 6]),
    ],
    ['bfloat16', [dense('bfloat16', [21, 16]), dense('bfloat16', [16, 9])], dense('bfloat16', [21, 9])],
    [
      'bfloat16 to float32, odd sizes',
      [dense('bfloat16', [5, 7]), strided('bfloat16', [7, 3], [1, 7]), dense('bfloat16', [3])],
      dense('float32', [5, 3]),
    ],
  ])('%s', (_, inputs, out) => expectAgreement(inputs, out, true))

  it.each<[string, Operand[], Operand]>([
    ['float64', [dense('float64', [4, 5]), dense('float64', [5, 6])], dense('float64', [4, 6])],
    ['int32', [dense('int32', [4, 5]), dense('int32', [5, 6])], dense('int32', [4, 6])],
    ['float16', [dense('float16', [4, 5]), dense('float16', [5, 6])], dense('float16', [4, 6])],
    ['operands of two dtypes', [dense('float32', [4, 5]), dense('bfloat16', [5, 6])], dense('float32', [4, 6])],
    ['sums over nothing', [dense('float32', [4, 0]), dense('float32', [0, 6])], dense('float32', [4, 6])],
    ['no rows', [dense('float32', [0, 5]), dense('float32', [5, 6])], dense('float32', [0, 6])],
    ['one element everywhere', [strided('float32', [9, 5], [0, 0]), dense('float32', [5, 6])], dense('float32', [9, 6])],
    ['overlapping rows', [strided('float32', [9, 5], [1, 1]), dense('float32', [5, 6])], dense('float32', [9, 6])],
  ])('%s: left to emitted code', (_, inputs, out) => expectAgreement(inputs, out, false))

  it('medium precision rounds operands to bfloat16 where the machine is faster with them', () => {
    const [m, k, n] = [160, 40, 200]
    const inputs = [strided('float32', [m, k], [1, m]), dense('float32', [k, n])]
    const fine = (precision?: 'medium') => {
      const program = routine('matmul', precision ? { precision } : {}, inputs, [dense('float32', [m, n])])
      const ones = (size: number, value: number) => Array.from({ length: size }, () => value)
      return Number(runProgram(engine, program, [ones(m * k, 1 + 2 ** -12), ones(k * n, 1)])[0]![m * n - 1])
    }
    expect(fine()).toBeCloseTo(40 * (1 + 2 ** -12), 5)
    const fast = loaded!.binding.info().instructionSet.match(/BF16|AMX|FP16/)
    expect(fine('medium')).toBeCloseTo(fast ? 40 : 40 * (1 + 2 ** -12), 5)
    const { expected, actual } = both(engine, routine('matmul', { precision: 'medium' }, inputs, [dense('float32', [m, n])]))
    expect(actual).toEqual(expected)
  })

  it.each<[boolean, string, Operand[], Operand]>([
    [true, 'large', [dense('float32', [64, 64]), dense('float32', [64, 64])], dense('float32', [64, 64])],
    [false, 'small', [dense('float32', [8, 8]), dense('float32', [8, 8])], dense('float32', [8, 8])],
    [false, 'a short row', [dense('float32', [1, 200]), dense('float32', [200, 200])], dense('float32', [1, 200])],
    [true, 'a row', [dense('float32', [1, 300]), dense('float32', [300, 300])], dense('float32', [1, 300])],
    [true, 'a column', [dense('float32', [300, 300]), dense('float32', [300, 1])], dense('float32', [300, 1])],
    [true, 'a row of bfloat16', [dense('bfloat16', [1, 300]), dense('bfloat16', [300, 300])], dense('float32', [1, 300])],
  ])('by default takes what pays: %s for %s', (taken, _, inputs, out) => {
    const own = nativeEngine(2, defaults)
    const { expected, actual } = both(own.engine, routine('matmul', {}, inputs, [out]))
    expect(actual).toEqual(expected)
    expect(own.backend.taken).toBe(Number(taken))
    own.engine.close()
  })

  it('random shapes and strides', () => {
    const random = generator(7)
    const before = backend.taken
    for (let trial = 0; trial < 150; trial++) {
      const batch = Array.from({ length: random(4) }, () => 1 + random(3))
      const [m, k, n] = [1 + random(40), 1 + random(70), 1 + random(40)]
      const dtype = random(4) === 0 ? 'bfloat16' : 'float32'
      // A permutation of a larger dense tensor, with some batch axes repeated.
      const layout = (rows: number, columns: number): Operand => {
        const shape = [...batch, rows, columns]
        const order = [...shape.keys()]
        for (let i = order.length - 1; i > 0; i--) {
          const j = random(i + 1)
          ;[order[i], order[j]] = [order[j]!, order[i]!]
        }
        const room = order.map((axis) => shape[axis]! + (random(4) === 0 ? random(5) : 0))
        const steps = rowMajor(room)
        const strides = shape.map((_, axis) => (axis < batch.length && random(4) === 0 ? 0 : steps[order.indexOf(axis)]!))
        return { dtype, shape, strides }
      }
      const inputs = [layout(m, k), layout(k, n), ...(random(2) ? [dense(dtype, [n])] : [])]
      const { expected, actual } = both(engine, routine('matmul', {}, inputs, [dense('float32', [...batch, m, n])]))
      expect(actual, JSON.stringify(inputs)).toEqual(expected)
    }
    expect(backend.taken - before).toBeGreaterThan(120)
  })
})

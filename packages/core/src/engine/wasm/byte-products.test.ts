import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { dense, runProgram } from '../../../test/engine.ts'
import { type DType, dtypeInfo } from '../../dtype.ts'
import { rowMajor, sizeOf } from '../../layout.ts'
import { KernelBuilder } from '../kernel.ts'
import { ReferenceEngine } from '../reference/engine.ts'
import { referenceRoutine } from '../reference/routine.ts'
import { type Operand, type Routine, routine, withEpilogue } from '../routine.ts'
import { WasmEngine } from './engine.ts'

const reference = new ReferenceEngine()
const engine = new WasmEngine({ threads: 2, fallback: referenceRoutine })
afterAll(() => engine.close())

const bytes = fc.constantFrom<DType>('int8', 'uint8')

/** Numbers of the whole range of a dtype, its ends more often than others. */
function numbers({ dtype, shape, strides }: Operand, seed: number): number[] {
  const { min, max } = dtypeInfo[dtype]
  const count = sizeOf(shape) === 0 ? 0 : shape.reduce((last, n, axis) => last + (n - 1) * strides[axis]!, 1)
  let state = seed
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const value = state >>> 16
    if (dtype === 'int32') return value - 32768
    return value % 3 === 0 ? (value % 2 === 0 ? min : max) : min + (value % 256)
  })
}

function expectAgreement(program: Routine, seed: number): void {
  const inputs = program.inputs.map((operand, i) => numbers(operand, seed + i))
  expect(runProgram(engine, program, inputs)).toEqual(runProgram(reference, program, inputs))
}

describe('products of bytes', () => {
  const sizes = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 20 }) }, fc.constantFrom(1, 2, 4, 8, 33, 70))

  it('matmul of any shape, strides, batch, bias and result', () => {
    fc.assert(
      fc.property(
        fc.record({ m: sizes, n: sizes, k: sizes, batch: fc.integer({ min: 1, max: 3 }), seed: fc.nat() }),
        fc.record({ a: bytes, b: bytes, out: fc.constantFrom<DType>('int32', 'int32', 'int8', 'uint8') }),
        fc.record({
          order: fc.constantFrom('row', 'column', 'apart'),
          other: fc.constantFrom('row', 'column', 'apart'),
          shared: fc.constantFrom('', 'a', 'b'),
          bias: fc.boolean(),
        }),
        ({ m, n, k, batch, seed }, { a, b, out }, { order, other, shared, bias }) => {
          const matrix = (dtype: DType, rows: number, columns: number, lie: string, repeated: boolean): Operand => {
            const [row, column] = lie === 'column' ? [1, rows] : lie === 'row' ? [columns, 1] : [columns * 2 + 1, 2]
            return { dtype, shape: [batch, rows, columns], strides: [repeated ? 0 : rows * columns * 3, row, column] }
          }
          const operands = [matrix(a, m, k, order, shared === 'a'), matrix(b, k, n, other, shared === 'b')]
          if (bias) operands.push(dense('int32', [n]))
          expectAgreement(routine('matmul', {}, operands, [dense(out, [batch, m, n])]), seed)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('a single row, of any size, in more than one column block', () => {
    for (const [k, n] of [
      [1, 1],
      [2, 33],
      [7, 4],
      [16, 31],
      [25, 70],
      [301, 5],
      [9, 4103],
    ] as const) {
      for (const [a, b] of [
        ['int8', 'uint8'],
        ['uint8', 'int8'],
      ] as const) {
        for (const strides of [
          [n, 1],
          [1, k],
        ]) {
          const bias = n % 2 ? [dense('int32', [n])] : []
          const weights: Operand = { dtype: b, shape: [k, n], strides }
          expectAgreement(routine('matmul', {}, [dense(a, [1, k]), weights, ...bias], [dense('int32', [1, n])]), k + n)
          const apart: Operand = { dtype: a, shape: [2, 1, k], strides: [k * 3, k, 3] }
          const batch: Operand = { dtype: b, shape: [2, k, n], strides: [0, ...strides] }
          expectAgreement(routine('matmul', {}, [apart, batch], [dense('int32', [2, 1, n])]), k * n)
        }
      }
    }
  })

  it('convolutions and transposed ones of any geometry', () => {
    const axis = fc.record({
      size: fc.integer({ min: 1, max: 7 }),
      kernel: fc.integer({ min: 1, max: 3 }),
      stride: fc.integer({ min: 1, max: 3 }),
      dilation: fc.integer({ min: 1, max: 2 }),
      before: fc.integer({ min: 0, max: 2 }),
      after: fc.integer({ min: 0, max: 2 }),
    })
    fc.assert(
      fc.property(
        fc.array(axis, { minLength: 1, maxLength: 3 }),
        fc.record({
          batch: fc.integer({ min: 1, max: 2 }),
          groups: fc.integer({ min: 1, max: 3 }),
          from: fc.constantFrom(1, 2, 3, 5, 8, 16, 17),
          to: fc.constantFrom(1, 2, 3, 8, 13),
          seed: fc.nat(),
        }),
        fc.record({ x: bytes, w: bytes, bias: fc.boolean(), transposed: fc.boolean(), turned: fc.boolean(), apart: fc.boolean() }),
        (axes, { batch, groups, from, to, seed }, { x, w, bias, transposed, turned, apart }) => {
          const out = axes.map((a) => Math.floor((a.size + a.before + a.after - a.dilation * (a.kernel - 1) - 1) / a.stride) + 1)
          fc.pre(out.every((n) => n >= 1))
          const pick = <K extends keyof (typeof axes)[number]>(key: K) => axes.map((a) => a[key])
          const attrs = {
            kernel: pick('kernel'),
            stride: pick('stride'),
            dilation: pick('dilation'),
            padding: axes.map((a) => [a.before, a.after] as const),
            groups,
          }
          const spread = (operand: Operand): Operand =>
            apart ? { ...operand, strides: rowMajor(operand.shape.map((n, i) => (i === operand.shape.length - 1 ? n + 3 : n))) } : operand
          const [small, large] = [spread(dense(x, [batch, ...pick('size'), from * groups])), spread(dense(x, [batch, ...out, to * groups]))]
          const weightShape = [...pick('kernel'), from, to * groups]
          const strides = rowMajor(weightShape)
          const last = strides.length - 1
          const weight: Operand = turned
            ? { dtype: w, shape: weightShape, strides: strides.map((s, i) => (i === last ? from : i === last - 1 ? 1 : s)) }
            : { dtype: w, shape: weightShape, strides }
          const program = transposed
            ? routine('convGradInput', attrs, [large, weight], [dense('int32', small.shape)])
            : routine('conv', attrs, [small, weight, ...(bias ? [dense('int32', [to * groups])] : [])], [dense('int32', large.shape)])
          expectAgreement(program, seed)
        },
      ),
      { numRuns: 150 },
    )
  })

  it('sums stay exact where float32 numbers or 16-bit sums would not: the ends of the range, many times', () => {
    for (const [a, b] of [
      ['int8', 'int8'],
      ['uint8', 'int8'],
      ['uint8', 'uint8'],
    ] as const) {
      const k = 5001
      const program = routine('matmul', {}, [dense(a, [5, k]), dense(b, [k, 9])], [dense('int32', [5, 9])])
      for (const end of ['min', 'max'] as const) {
        const values = program.inputs.map(({ dtype, shape }) => new Array<number>(sizeOf(shape)).fill(dtypeInfo[dtype][end]))
        const [sums] = runProgram(engine, program, values)
        expect(new Set(sums)).toEqual(new Set([k * dtypeInfo[a][end] * dtypeInfo[b][end]]))
      }
    }
  })

  it('sums are scaled to floats in the code of the product', () => {
    for (const [m, k, n] of [
      [1, 40, 30],
      [37, 900, 21],
      [8, 16, 8],
      [5, 0, 3],
    ] as const) {
      const plain = routine('matmul', {}, [dense('uint8', [m, k]), dense('int8', [k, n])], [dense('int32', [m, n])])
      const code = new KernelBuilder('scale', [m, n])
      const sum = code.sub(code.load(code.input('int32'), [n, 1]), code.load(code.input('int32'), [0, 1]))
      const value = code.mul(code.cast(sum, 'float32'), code.load(code.input('float32'), [0, 1]))
      code.output('float32', code.max(value, code.like(value, 0)))
      const program = withEpilogue(plain, code.build(), [dense('int32', [n]), dense('float32', [n])])
      const inputs = [...plain.inputs.map(numbers), numbers(dense('int32', [n]), 7), Array.from({ length: n }, (_, i) => 2 ** -i)]
      expect(runProgram(engine, program, inputs)).toEqual(runProgram(reference, program, inputs))
    }
  })

  it('operands of which only one is a byte are converted', () => {
    expectAgreement(routine('matmul', {}, [dense('int8', [5, 7]), dense('int32', [7, 6])], [dense('int32', [5, 6])]), 3)
    expectAgreement(routine('matmul', {}, [dense('int8', [5, 7]), dense('uint8', [7, 6])], [dense('float32', [5, 6])]), 4)
  })

  it('more than one block and task', () => {
    const program = routine('matmul', {}, [dense('uint8', [300, 700]), dense('int8', [700, 130])], [dense('int32', [300, 130])])
    expectAgreement(program, 5)
  })
})

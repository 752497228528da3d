import { afterAll, describe, expect, it } from 'vitest'
import { dtypeInfo } from '../../core/src/dtype.ts'
import { KernelBuilder } from '../../core/src/engine/kernel.ts'
import { ReferenceEngine } from '../../core/src/engine/reference/engine.ts'
import { type Operand, type Routine, routine, withEpilogue } from '../../core/src/engine/routine.ts'
import { rowMajor, sizeOf } from '../../core/src/layout.ts'
import { dense, runProgram } from '../../core/test/engine.ts'
import { byteDepthsOf } from '../src/bytes.ts'
import { generator, loaded, nativeEngine } from './engines.ts'

type DType = Operand['dtype']

const strided = (dtype: DType, shape: readonly number[], strides: readonly number[]): Operand => ({ dtype, shape, strides })
const reference = new ReferenceEngine()
const depths = byteDepthsOf(loaded?.binding.info().instructionSet ?? '')

/** Numbers near the upper end of each dtype, whose sums soon need more digits than a float32 has; with `whole`, of the whole range. */
function valuesFor(operands: readonly Operand[], whole: boolean): number[][] {
  const random = generator(3)
  return operands.map(({ dtype, shape, strides }) => {
    const { min, max } = dtypeInfo[dtype]
    const count = shape.reduce((last, n, axis) => last + (n - 1) * strides[axis]!, 1)
    const ends = () => (random(2) ? min : max)
    return Array.from({ length: count }, () => (dtype === 'int32' ? random(2 ** 20) : whole ? ends() : max - random(8)))
  })
}

describe('what oneDNN adds up exactly', () => {
  it('depends on the instruction set', () => {
    expect(byteDepthsOf('AVX-512-VNNI')).toEqual({ int8: 1024, uint8: 514 })
    expect(byteDepthsOf('AMX')).toEqual({ int8: 1024, uint8: 514 })
    expect(byteDepthsOf('AVX2-VNNI')).toEqual({ int8: 514, uint8: 514 })
    for (const without of ['AVX-512', 'AVX2', 'SSE4.1', '']) expect(byteDepthsOf(without)).toEqual({ int8: 0, uint8: 0 })
  })
})

describe.skipIf(!loaded || depths.int8 === 0)('products of bytes by oneDNN', () => {
  const { engine, backend } = loaded ? nativeEngine(2) : ({} as ReturnType<typeof nativeEngine>)
  afterAll(() => engine?.close())

  const expectAgreement = (program: Routine, taken: (times: number) => boolean) => {
    const before = backend.taken
    for (const whole of [false, true]) {
      const inputs = valuesFor(program.inputs, whole)
      expect(runProgram(engine, program, inputs)).toEqual(runProgram(reference, program, inputs))
    }
    expect(backend.taken - before).toSatisfy(taken)
  }
  const matmul = (a: Operand, b: Operand, ...bias: Operand[]) =>
    routine('matmul', {}, [a, b, ...bias], [dense('int32', [...a.shape.slice(0, -1), b.shape.at(-1)!])])
  const isTaken = (times: number) => times > 0

  it.each<[string, Operand, Operand]>([
    ['dense', dense('int8', [33, 70]), dense('int8', [70, 19])],
    ['uint8', dense('uint8', [33, 70]), dense('int8', [70, 19])],
    ['odd sizes', dense('int8', [5, 7]), dense('int8', [7, 3])],
    ['a row', dense('uint8', [1, 301]), dense('int8', [301, 30])],
    ['a column', dense('int8', [30, 301]), dense('int8', [301, 1])],
    ['a transposed', strided('int8', [17, 30], [1, 17]), dense('int8', [30, 8])],
    ['b transposed', dense('uint8', [17, 30]), strided('int8', [30, 8], [1, 30])],
    ['rows apart', strided('int8', [9, 20], [33, 1]), strided('int8', [20, 11], [50, 1])],
    ['every other column', strided('uint8', [9, 20], [40, 2]), strided('int8', [20, 11], [1, 60])],
    ['a batch', dense('int8', [3, 5, 6]), dense('int8', [3, 6, 7])],
    ['a batch with the same weights', dense('int8', [3, 5, 6]), strided('int8', [3, 6, 7], [0, 7, 1])],
    ['the same a for a batch', strided('uint8', [3, 5, 6], [0, 6, 1]), dense('int8', [3, 6, 7])],
    ['as deep as it is exact', dense('int8', [4, depths.int8]), dense('int8', [depths.int8, 20])],
    ['as deep as it is exact, uint8', dense('uint8', [4, depths.uint8]), dense('int8', [depths.uint8, 20])],
  ])('matmul: %s', (_, a, b) => expectAgreement(matmul(a, b), isTaken))

  it.each<[string, Operand, Operand, Operand[]]>([
    ['deeper', dense('int8', [6, 3001]), strided('int8', [3001, 20], [1, 3001]), []],
    ['deeper, uint8, a batch and bias', dense('uint8', [2, 6, 1100]), dense('int8', [2, 1100, 20]), [dense('int32', [20])]],
    ['one slice and bias', dense('uint8', [6, 100]), dense('int8', [100, 20]), [dense('int32', [20])]],
  ])('matmul in slices: %s', (_, a, b, bias) => expectAgreement(matmul(a, b, ...bias), isTaken))

  it.each<[string, Operand, Operand]>([
    ['weights of uint8', dense('int8', [33, 70]), dense('uint8', [70, 19])],
    ['sums over nothing', dense('int8', [4, 0]), dense('int8', [0, 6])],
    ['two kinds of operands', dense('int8', [33, 70]), dense('int32', [70, 19])],
  ])('matmul left to emitted code: %s', (_, a, b) => expectAgreement(matmul(a, b), (times) => times === 0))

  const conv = (x: Operand, w: Operand, padding: number, stride: number, groups = 1, dilation = 1, bias: Operand[] = []) => {
    const kernel = w.shape.slice(0, -2)
    const out = kernel.map((k, i) => Math.floor((x.shape[i + 1]! + 2 * padding - dilation * (k - 1) - 1) / stride) + 1)
    const all = <T>(value: T) => kernel.map(() => value)
    const attrs = { kernel, stride: all(stride), padding: all([padding, padding] as const), dilation: all(dilation), groups }
    return routine('conv', attrs, [x, w, ...bias], [dense('int32', [x.shape[0]!, ...out, w.shape.at(-1)!])])
  }

  it.each<[string, Routine]>([
    ['3x3', conv(dense('int8', [2, 9, 8, 16]), dense('int8', [3, 3, 16, 24]), 1, 1)],
    ['uint8, stride, odd channels', conv(dense('uint8', [1, 11, 11, 3]), dense('int8', [5, 5, 3, 7]), 2, 2)],
    ['one position', conv(dense('int8', [2, 5, 5, 32]), dense('int8', [1, 1, 32, 8]), 0, 1)],
    ['groups and dilation', conv(dense('uint8', [1, 9, 9, 32]), dense('int8', [3, 3, 16, 32]), 2, 1, 2, 2)],
    ['depthwise', conv(dense('int8', [1, 9, 9, 32]), dense('int8', [3, 3, 1, 32]), 1, 1, 32)],
    ['one axis', conv(dense('int8', [2, 40, 16]), dense('int8', [3, 16, 8]), 1, 1)],
    ['three axes', conv(dense('uint8', [1, 5, 6, 7, 16]), dense('int8', [3, 3, 3, 16, 16]), 1, 1)],
    ['apart', conv(strided('int8', [1, 6, 6, 16], [900, 150, 25, 1]), dense('int8', [3, 3, 16, 16]), 1, 1)],
    ['weights turned', conv(dense('int8', [1, 6, 6, 16]), strided('int8', [3, 3, 16, 8], [384, 128, 1, 16]), 1, 1)],
    ['in slices', conv(dense('int8', [1, 5, 5, 200]), dense('int8', [3, 3, 200, 16]), 1, 1)],
    ['in slices, uint8 and bias', conv(dense('uint8', [1, 5, 5, 130]), dense('int8', [3, 3, 130, 16]), 1, 2, 1, 1, [dense('int32', [16])])],
    ['in slices, one position', conv(dense('int8', [1, 5, 5, 2000]), dense('int8', [1, 1, 2000, 16]), 0, 1)],
  ])('conv: %s', (_, program) => expectAgreement(program, isTaken))

  it('what follows a product reads its exact sums', () => {
    const plain = matmul(dense('uint8', [40, 900]), dense('int8', [900, 30]))
    const k = new KernelBuilder('scale', [40, 30])
    const sum = k.cast(k.load(k.input('int32'), rowMajor([40, 30])), 'float32')
    k.output('float32', k.mul(sum, k.load(k.input('float32'), [0, 1])))
    const program = withEpilogue(plain, k.build(), [dense('float32', [30])])
    const inputs = [...valuesFor(plain.inputs, true), Array.from({ length: 30 }, (_, i) => 2 ** -i)]
    const before = backend.taken
    expect(runProgram(engine, program, inputs)).toEqual(runProgram(reference, program, inputs))
    expect(backend.taken).toBeGreaterThan(before)
  })

  it('random shapes and strides', () => {
    const random = generator(11)
    const before = backend.taken
    for (let trial = 0; trial < 80; trial++) {
      const batch = Array.from({ length: random(3) }, () => 1 + random(3))
      const [m, k, n] = [1 + random(40), 1 + random(90), 1 + random(40)]
      const layout = (dtype: DType, rows: number, columns: number): Operand => {
        const [size, gap] = [sizeOf([rows, columns]) + random(9), random(3)]
        const last = random(2) ? [columns + gap, 1] : [1, rows + gap]
        const reach = size + gap * (rows + columns)
        return strided(dtype, [...batch, rows, columns], [...rowMajor(batch).map((s) => (random(4) ? s * reach : 0)), ...last])
      }
      const program = matmul(layout(random(2) ? 'int8' : 'uint8', m, k), layout('int8', k, n))
      const inputs = valuesFor(program.inputs, true)
      expect(runProgram(engine, program, inputs), JSON.stringify(program.inputs)).toEqual(runProgram(reference, program, inputs))
    }
    expect(backend.taken - before).toBeGreaterThan(60)
  })
})

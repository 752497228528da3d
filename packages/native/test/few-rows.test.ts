import { describe, expect, test } from 'vitest'
import type { Operand, Routine } from '../../core/src/engine/routine.ts'
import { describeFewRows } from '../src/few-rows.ts'
import { rowMajor } from '../src/layout.ts'
import { both, generator, loaded, nativeEngine } from './engines.ts'

const dense = (shape: readonly number[], strides = rowMajor(shape)): Operand => ({ dtype: 'float32', shape, strides })
const turned = (rows: number, columns: number, apart = rows): Operand => dense([rows, columns], [1, apart])
const matmul = (inputs: readonly Operand[], y: readonly number[]): Routine => ({
  kind: 'routine',
  name: 'matmul',
  attrs: {},
  inputs,
  outputs: [dense(y)],
})

describe.skipIf(!loaded)('products of a few rows', () => {
  const engines = [1, 2, 3].map((threads) => ({ threads, ...nativeEngine(threads) }))

  function expectAgreement(routine: Routine): void {
    expect(describeFewRows(routine)).toBeDefined()
    for (const { engine, backend } of engines) {
      const before = backend.taken
      const { expected, actual } = both(engine, routine)
      expect(actual).toEqual(expected)
      expect(backend.taken).toBe(before + 1)
    }
  }

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('%i rows', (m) => {
    for (const [k, n] of [
      [1, 1],
      [3, 17],
      [64, 48],
      [70, 129],
      [301, 515],
    ] as const) {
      expectAgreement(matmul([dense([m, k]), dense([k, n])], [m, n]))
      if (k > 1) expectAgreement(matmul([dense([m, k]), turned(k, n)], [m, n]))
      expectAgreement(matmul([dense([m, k]), dense([k, n]), dense([n])], [m, n]))
      if (k > 1) expectAgreement(matmul([dense([m, k]), turned(k, n), dense([n])], [m, n]))
    }
  })

  test('wide matrices, whose columns are dealt out', () => {
    expectAgreement(matmul([dense([1, 20]), dense([20, 9001])], [1, 9001]))
    expectAgreement(matmul([dense([3, 20]), dense([20, 4096]), dense([4096])], [3, 4096]))
    expectAgreement(matmul([dense([2, 33]), turned(33, 9001)], [2, 9001]))
  })

  test('rows and columns that are further apart', () => {
    expectAgreement(matmul([dense([4, 30], [100, 1]), dense([30, 40], [64, 1])], [4, 40]))
    expectAgreement(matmul([dense([4, 30], [1, 9]), turned(30, 40, 47)], [4, 40]))
    expectAgreement(matmul([dense([4, 30], [0, 2]), dense([30, 40])], [4, 40]))
  })

  test('batches that share the matrix are more rows', () => {
    expectAgreement(matmul([dense([2, 3, 50]), dense([2, 50, 60], [0, 60, 1])], [2, 3, 60]))
    expectAgreement(matmul([dense([6, 1, 50]), dense([6, 50, 60], [0, 1, 50]), dense([60])], [6, 1, 60]))
    const apart = matmul([dense([2, 3, 50], [400, 50, 1]), dense([2, 50, 60], [0, 60, 1])], [2, 3, 60])
    expect(describeFewRows(apart)).toBeUndefined()
    expect(describeFewRows(matmul([dense([2, 3, 50]), dense([2, 50, 60])], [2, 3, 60]))).toBeUndefined()
  })

  test('a matrix times a column', () => {
    expectAgreement(matmul([dense([300, 70]), dense([70, 1])], [300, 1]))
    expectAgreement(matmul([turned(300, 70), dense([70, 1])], [300, 1]))
    expectAgreement(matmul([dense([5, 60, 70]), dense([5, 70, 1], [0, 1, 1])], [5, 60, 1]))
  })

  test('random shapes and strides', () => {
    const below = generator(5)
    for (let i = 0; i < 150; i++) {
      const [m, k, n] = [1 + below(8), 2 + below(150), 2 + below(300)]
      const gap = below(20)
      const a = below(2) ? dense([m, k], [k + gap, 1]) : dense([m, k], [1, m + gap])
      const b = below(2) ? dense([k, n], [n + gap, 1]) : turned(k, n, k + gap)
      expectAgreement(matmul(below(2) ? [a, b, dense([n])] : [a, b], [m, n]))
    }
  })

  test('what is small, or none of them, is left alone', () => {
    const [tiny, row, rows] = [
      [1, 50, 50],
      [1, 300, 300],
      [4, 300, 300],
    ].map(([m, k, n]) => describeFewRows(matmul([dense([m!, k!]), dense([k!, n!])], [m!, n!]))!)
    expect([tiny!.small, row!.small, rows!.small]).toEqual([true, false, true])
    expect(describeFewRows(matmul([dense([9, 50]), dense([50, 50])], [9, 50]))).toBeUndefined()
    expect(describeFewRows(matmul([dense([2, 50]), dense([50, 50], [2, 3])], [2, 50]))).toBeUndefined()
    expect(describeFewRows(matmul([dense([2, 0]), dense([0, 50])], [2, 50]))).toBeUndefined()
  })

  test('NaN and infinities stay where they belong, and operands off the heap are errors', () => {
    const { binding } = loaded!
    const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true })
    const heap = binding.attach(new Uint8Array(memory.buffer))
    for (const flip of [false, true]) {
      const [k, n] = [40, 50]
      const routine = matmul([dense([2, k]), flip ? turned(k, n) : dense([k, n])], [2, n])
      const { handle, scratchBytes } = binding.prepare(describeFewRows(routine)!.describe(1))!
      const at = { x: 1024, matrix: 8192, y: 65536, scratch: 131072 }
      const floats = new Float32Array(memory.buffer)
      floats.fill(1, at.x / 4, at.x / 4 + 2 * k)
      floats.fill(1, at.matrix / 4, at.matrix / 4 + k * n)
      floats[at.x / 4 + 3] = NaN
      const put = (word: number, address: number) => void (new Uint32Array(memory.buffer)[word] = address)
      Object.values(at).forEach((address, i) => put(i, address))
      binding.run(heap, handle, 0, memory.buffer.byteLength)
      expect(floats.slice(at.y / 4, at.y / 4 + n).every(Number.isNaN)).toBe(true)
      expect(floats.slice(at.y / 4 + n, at.y / 4 + 2 * n).every((v) => v === k)).toBe(true)
      expect(scratchBytes).toBeGreaterThan(0)
      for (const word of [0, 1, 2, 3]) {
        put(word, memory.buffer.byteLength - 64)
        expect(() => binding.run(heap, handle, 0, memory.buffer.byteLength)).toThrow(/heap/)
        put(word, Object.values(at)[word]!)
      }
    }
  })
})

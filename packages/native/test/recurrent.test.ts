import { afterAll, describe, expect, it } from 'vitest'
import { ReferenceEngine } from '../../core/src/engine/reference/engine.ts'
import type { Routine } from '../../core/src/engine/routine.ts'
import { runProgram } from '../../core/test/engine.ts'
import { cells, differenceOf, layerGradientOf, layerOf, type RecurrentCase, valuesFor } from '../../core/test/recurrent-routines.ts'
import type { NativeRecurrent } from '../src/binding.ts'
import { describeRecurrent } from '../src/recurrent.ts'
import { loaded, nativeEngine } from './engines.ts'

const reference = new ReferenceEngine()

describe.skipIf(!loaded)('recurrent layers by the addon', () => {
  const engines = loaded ? [nativeEngine(1), nativeEngine(3)] : []
  afterAll(() => engines.forEach(({ engine }) => engine.close()))

  /** How far the engines are from the reference; -1 where the addon did not take it as a whole. */
  function disagreement(routine: Routine, values = valuesFor(routine)): number {
    const expected = runProgram(reference, routine, values)
    return Math.max(
      ...engines.map(({ engine, backend }) => {
        const before = backend.taken
        const difference = differenceOf(runProgram(engine, routine, values), expected)
        return backend.names.slice(before).includes(routine.name) ? difference : -1
      }),
    )
  }

  const expectClose = (routine: Routine, limit: number) => {
    const difference = disagreement(routine)
    expect(difference).toBeGreaterThanOrEqual(0)
    expect(difference).toBeLessThan(limit)
  }

  describe.each(cells)('%s', (cell) => {
    it.each<[string, Omit<RecurrentCase, 'cell'>]>([
      ['plain', {}],
      ['reversed, without bias', { reverse: true, bias: false }],
      ['nothing kept', { keeps: false }],
      ['one step of one row', { time: 1, batch: 1, size: 9 }],
      ['one unit', { size: 1 }],
      ['batch-major shares, transposed weights', { strided: true, time: 3, batch: 2, size: 7 }],
      ['rows that do not go up in threads', { batch: 7, size: 16 }],
      ['reversed, strided, wide', { strided: true, reverse: true, time: 6, batch: 5, size: 67 }],
    ])('%s', (_, options) => {
      expectClose(layerOf({ cell, ...options }), 3e-6)
      expectClose(layerGradientOf({ cell, ...options }), 3e-5)
    })

    it('large numbers saturate; NaN in one row stays there, and stays', () => {
      const routine = layerOf({ cell, batch: 2, size: 3, keeps: false, bias: false })
      const values = valuesFor(routine)
      values[0] = values[0]!.map((x, i) => (i % 5 === 0 ? (cell === 'relu' ? 3 : 1e4) * x : x))
      expect(disagreement(routine, values)).toBeLessThan(cell === 'relu' ? 1e-4 : 3e-6)
      values[0]![0] = Number.NaN
      expect(disagreement(routine, values)).toBeLessThan(cell === 'relu' ? 1e-4 : 3e-6)
      const [hidden] = runProgram(engines[1]!.engine, routine, values)
      expect(hidden!.slice(-6).map(Number.isNaN)).toEqual([true, true, true, false, false, false])
    })

    it('other dtypes go step by step', () => {
      const routine = layerOf({ cell, dtype: 'bfloat16' })
      const values = valuesFor(routine)
      for (const { engine } of engines)
        expect(differenceOf(runProgram(engine, routine, values), runProgram(reference, routine, values))).toBeLessThan(0.05)
    })
  })
  it('operands that do not fit together, or do not lie on the heap', () => {
    const { binding } = loaded!
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true })
    const heap = binding.attach(new Uint8Array(memory.buffer))
    for (const routine of [layerOf({ cell: 'gru' }), layerGradientOf({ cell: 'lstm' })]) {
      const { recurrent } = describeRecurrent(routine)!.describe(2) as { recurrent: NativeRecurrent }
      const { operands } = recurrent
      const changed = (change: Partial<NativeRecurrent>) => () => binding.prepare({ recurrent: { ...recurrent, ...change } })
      expect(changed({ operands: operands.slice(1) })).toThrow(/do not fit together/)
      expect(changed({ operands: [] })).toThrow(/do not fit together/)
      expect(changed({ inputs: 1 })).toThrow(/do not fit together/)
      expect(changed({ gradient: !recurrent.gradient })).toThrow(/do not fit together/)
      expect(changed({ cell: 7 })).toThrow(/no such kind/)
      operands.forEach((operand, i) => {
        const dims = [...operand.dims]
        dims[0]! += 1
        expect(changed({ operands: operands.map((o, j) => (j === i ? { ...o, dims } : o)) }), `operand ${i}`).toThrow(/do not fit together/)
      })
      const prepared = changed({})()!
      const words = new Uint32Array(memory.buffer, 64, operands.length + 1)
      const bytes = memory.buffer.byteLength
      const good = [...operands, undefined].map((_, i) => 1024 + 2048 * i)
      words.set(good)
      expect(() => binding.run(heap, prepared.handle, 64, bytes)).not.toThrow()
      good.forEach((_, i) => {
        for (const bad of [bytes, bytes - 4, 2 ** 32 - 64, 1025]) {
          words.set(good)
          words[i] = bad
          expect(() => binding.run(heap, prepared.handle, 64, bytes), `word ${i} = ${bad}`).toThrow(/does not lie on the heap/)
        }
      })
      for (const block of [bytes - 4, 2 ** 32 - 8, 65])
        expect(() => binding.run(heap, prepared.handle, block, bytes)).toThrow(/argument block/)
    }
  })
})

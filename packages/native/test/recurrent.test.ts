import { afterAll, describe, expect, it } from 'vitest'
import { ReferenceEngine } from '../../core/src/engine/reference/engine.ts'
import type { Routine } from '../../core/src/engine/routine.ts'
import { runProgram } from '../../core/test/engine.ts'
import { cells, differenceOf, layerGradientOf, layerOf, type RecurrentCase, valuesFor } from '../../core/test/recurrent-routines.ts'
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
})

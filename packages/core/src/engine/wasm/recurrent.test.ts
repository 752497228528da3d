import { afterAll, describe, expect, it } from 'vitest'
import { runProgram } from '../../../test/engine.ts'
import { cells, differenceOf, layerGradientOf, layerOf, type RecurrentCase, valuesFor } from '../../../test/recurrent-routines.ts'
import { ReferenceEngine } from '../reference/engine.ts'
import { referenceRoutine } from '../reference/routine.ts'
import type { Routine } from '../routine.ts'
import { WasmEngine } from './engine.ts'

const reference = new ReferenceEngine()
const notices: string[] = []
const engine = new WasmEngine({ threads: 2, fallback: referenceRoutine, notice: (message) => notices.push(message) })
afterAll(() => engine.close())

const disagreement = (routine: Routine, values = valuesFor(routine)) =>
  differenceOf(runProgram(engine, routine, values), runProgram(reference, routine, values))

describe.each(cells)('%s as products and kernels', (cell) => {
  it.each<[string, Omit<RecurrentCase, 'cell'>]>([
    ['plain', {}],
    ['reversed, without bias', { reverse: true, bias: false }],
    ['nothing kept', { keeps: false }],
    ['one step of one row', { time: 1, batch: 1, size: 9 }],
    ['batch-major shares, transposed weights', { strided: true, time: 3, batch: 2, size: 7 }],
    ['reversed, strided, wide', { strided: true, reverse: true, time: 5, batch: 9, size: 33 }],
    ['float64', { dtype: 'float64' }],
  ])('%s', (_, options) => {
    expect(disagreement(layerOf({ cell, ...options }))).toBeLessThan(2e-6)
    expect(disagreement(layerGradientOf({ cell, ...options }))).toBeLessThan(2e-5)
  })

  it('rounds to half precision where it stores', () => {
    for (const dtype of ['bfloat16', 'float16'] as const) {
      expect(disagreement(layerOf({ cell, dtype }))).toBeLessThan(0.05)
      expect(disagreement(layerGradientOf({ cell, dtype }))).toBeLessThan(0.2)
    }
  })

  it('no rows, no units', () => {
    for (const empty of [{ batch: 0 }, { size: 0 }]) {
      expect(disagreement(layerOf({ cell, ...empty }))).toBe(0)
      expect(disagreement(layerGradientOf({ cell, ...empty }))).toBe(0)
    }
  })

  it('NaN in one row stays there, and stays', () => {
    const routine = layerOf({ cell, batch: 2, size: 3, keeps: false })
    const values = valuesFor(routine)
    values[0]![0] = Number.NaN
    const [hidden] = runProgram(engine, routine, values)
    expect(disagreement(routine, values)).toBeLessThan(2e-6)
    expect(hidden!.slice(-6).map(Number.isNaN)).toEqual([true, true, true, false, false, false])
  })

  it('gradients that arrive spread out', () => {
    const plain = layerGradientOf({ cell })
    const broadcast = { ...plain, inputs: plain.inputs.map((x, i) => (i === 0 ? { ...x, strides: [0, 0, 1] } : x)) }
    expect(disagreement(broadcast)).toBeLessThan(2e-5)
  })
})

it('none of it was left to the reference', () => {
  expect(notices).toEqual([])
})

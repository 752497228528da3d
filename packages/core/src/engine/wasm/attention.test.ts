import { afterAll, describe, expect, it } from 'vitest'
import { attentionCases, type AttentionCase, attentionGradOf, attentionOf, attentionValues } from '../../../test/attention-routines.ts'
import { runProgram } from '../../../test/engine.ts'
import { differenceOf } from '../../../test/recurrent-routines.ts'
import { ReferenceEngine } from '../reference/engine.ts'
import { referenceRoutine } from '../reference/routine.ts'
import type { Routine } from '../routine.ts'
import { WasmEngine } from './engine.ts'

const reference = new ReferenceEngine()
const engine = new WasmEngine({ threads: 2, fallback: referenceRoutine })
afterAll(() => engine.close())

/** The largest differences from the reference, forward and in the gradient; results and log-sums of the reference go into the latter. */
function differences(given: AttentionCase, values = attentionValues(attentionOf(given))): [forward: number, gradient: number] {
  const forward = attentionOf(given)
  const [result, logSums] = runProgram(reference, forward, values) as [number[], number[]]
  const backward = attentionGradOf(given)
  const above = attentionValues({ ...backward, inputs: backward.inputs.slice(0, 1) } as Routine)[0]!
  const [q, k, v, ...mask] = values
  const all = [above, q!, k!, v!, result, logSums, ...mask]
  return [
    differenceOf(runProgram(engine, forward, values), [result, logSums]),
    differenceOf(runProgram(engine, backward, all), runProgram(reference, backward, all)),
  ]
}

describe('attention as products and kernels', () => {
  it.each(attentionCases)('%s', (_, given) => {
    const [forward, gradient] = differences(given)
    expect(forward).toBeLessThan(2e-5)
    expect(gradient).toBeLessThan(2e-4)
  })

  it('in parts, with keys that parts share', () => {
    for (const given of [{ causal: true }, { mask: 'bool' }] as const) {
      const [forward, gradient] = differences({ batch: [1], queries: 90, keys: 20000, size: 1, ...given })
      expect(forward).toBeLessThan(2e-5)
      expect(gradient).toBeLessThan(2e-4)
    }
  })

  it('heads in several groups', () => {
    const [forward, gradient] = differences({ batch: [3], queries: 600, size: 1 })
    expect(forward).toBeLessThan(2e-5)
    expect(gradient).toBeLessThan(2e-4)
  })

  it('float64, and half floats rounded where they are stored', () => {
    const given = { batch: [2], queries: 20, keys: 33, size: 8, mask: 'bool', causal: true } as const
    expect(Math.max(...differences({ ...given, dtype: 'float64' }))).toBeLessThan(1e-12)
    for (const dtype of ['bfloat16', 'float16'] as const) expect(Math.max(...differences({ ...given, dtype }))).toBeLessThan(0.06)
  })

  it('nothing to attend to, nobody who attends', () => {
    for (const given of [{ queries: 0, keys: 3 }, { batch: [0] }, { queries: 3, size: 0, width: 2 }])
      expect(Math.max(...differences(given))).toBeLessThan(1e-6)
    expect(runProgram(engine, attentionOf({ batch: [], queries: 2, keys: 0, causal: true }), [[1, 2, 3, 4, 5, 6, 7, 8], [], []])).toEqual([
      [0, 0, 0, 0, 0, 0, 0, 0],
      [Infinity, Infinity],
    ])
  })

  it('NaN of one query stays there; minus infinity without a mask is NaN', () => {
    const given = { batch: [], queries: 4, size: 2, causal: true }
    const values = attentionValues(attentionOf(given))
    values[0]![2] = Number.NaN
    expect(differences(given, values)[0]).toBeLessThan(1e-6)
    const [result] = runProgram(engine, attentionOf(given), values)
    expect(result!.map(Number.isNaN)).toEqual([false, false, true, true, false, false, false, false])
    values[0]![2] = Number.NEGATIVE_INFINITY
    values[1]!.fill(1)
    const [plain] = runProgram(engine, attentionOf({ ...given, causal: false }), values)
    expect(plain!.map(Number.isNaN)).toEqual([false, false, true, true, false, false, false, false])
  })
})

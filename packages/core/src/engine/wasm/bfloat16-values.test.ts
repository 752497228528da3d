import { afterAll, describe, expect, it } from 'vitest'
import { runProgram } from '../../../test/engine.ts'
import { KernelBuilder, type Value } from '../kernel.ts'
import { ReferenceEngine } from '../reference/engine.ts'
import { referenceRoutine } from '../reference/routine.ts'
import { bfloat16Values } from './bfloat16-values.ts'
import { WasmEngine } from './engine.ts'

/** A kernel over 11 numbers of dtypes, with one output a case. */
function kernelOf(dtype: 'bfloat16' | 'float32', cases: (k: KernelBuilder, x: Value, y: Value) => Value[]) {
  const k = new KernelBuilder('cases', [11])
  const [x, y] = [k.load(k.input(dtype), [1]), k.load(k.input('bfloat16'), [1])]
  for (const value of cases(k, x, y)) k.output('bfloat16', value)
  return k.build()
}

describe('values that are bfloat16 already', () => {
  const chosen = (k: KernelBuilder, x: Value, y: Value) => [
    x,
    k.select(k.le(x, k.like(x, 0)), k.like(x, 0), x),
    k.max(x, y),
    k.min(k.neg(x), k.abs(y)),
    k.select(k.lt(x, y), k.like(x, 1.5), k.narrow(k.mul(x, y), 'bfloat16')),
  ]
  const computed = (k: KernelBuilder, x: Value, y: Value) => [
    k.mul(x, y),
    k.select(k.lt(x, y), x, k.like(x, 0.1)),
    k.max(x, k.add(x, y)),
    k.neg(k.div(x, y)),
  ]

  it('are told from those that have to be rounded', () => {
    const known = (kernel: ReturnType<typeof kernelOf>) => {
      const values = bfloat16Values(kernel.nodes, kernel.inputs)
      return kernel.outputs.map(({ node }) => values[node])
    }
    expect(known(kernelOf('bfloat16', chosen))).toEqual([true, true, true, true, true])
    expect(known(kernelOf('bfloat16', computed))).toEqual([false, false, false, false])
    expect(known(kernelOf('float32', (k, x, y) => [x, k.max(x, y), y]))).toEqual([false, false, true])
  })

  const engine = new WasmEngine({ threads: 1, fallback: referenceRoutine })
  const reference = new ReferenceEngine()
  afterAll(() => engine.close())

  it.each([
    ['chosen', chosen],
    ['computed', computed],
  ])('are stored as the reference does: %s', (_, cases) => {
    const special = [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3.389e38, 1.175e-38, -9.2e-41, 1.1, -2.3, 7]
    const program = kernelOf('bfloat16', cases)
    const inputs = [special, special.toReversed()]
    expect(runProgram(engine, program, inputs)).toEqual(runProgram(reference, program, inputs))
  })
})

import { setAutotune } from 'cotangent'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { ReferenceEngine } from '../../core/src/engine/reference/engine.ts'
import { referenceRoutine } from '../../core/src/engine/reference/routine.ts'
import { type Operand, type Routine, routine } from '../../core/src/engine/routine.ts'
import { attachBackends } from '../../core/src/engine/wasm/backend-launch.ts'
import { WasmEngine } from '../../core/src/engine/wasm/engine.ts'
import { tunedBy } from '../../core/src/engine/wasm/tuner.ts'
import { dense, runProgram } from '../../core/test/engine.ts'
import { defaults } from '../src/backend.ts'
import { CountingBackend, integersFor, loaded } from './engines.ts'

const matmul = (a: Operand, b: Operand, y: readonly number[]) => routine('matmul', {}, [a, b], [dense(a.dtype, y)])
const transposed = (rows: number, columns: number): Operand => ({ dtype: 'float32', shape: [rows, columns], strides: [1, rows] })

function convolution(name: 'conv' | 'convGradInput' | 'convGradWeight', size: number, from: number, to: number, kernel: number): Routine {
  const both = <T>(value: T) => [value, value]
  const [x, w, y] = [
    dense('float32', [2, size, size, from]),
    dense('float32', [kernel, kernel, from, to]),
    dense('float32', [2, size, size, to]),
  ]
  const padding = kernel >> 1
  const attrs = { kernel: both(kernel), stride: both(1), padding: both([padding, padding] as const), dilation: both(1), groups: 1 }
  const [first, second, result] = { conv: [x, w, y], convGradInput: [y, w, x], convGradWeight: [x, y, w] }[name] as [
    Operand,
    Operand,
    Operand,
  ]
  return routine(name, attrs, [first, second], [result])
}

const programs: readonly (readonly [string, Routine])[] = [
  ['a product', matmul(dense('float32', [40, 33]), dense('float32', [33, 50]), [40, 50])],
  ['a batch of products', matmul(dense('float32', [3, 20, 16]), dense('float32', [3, 16, 24]), [3, 20, 24])],
  ['a transposed product', matmul(transposed(30, 40), transposed(40, 20), [30, 20])],
  ['a product of bfloat16 numbers', matmul(dense('bfloat16', [32, 8]), dense('bfloat16', [8, 32]), [32, 32])],
  ['a product with a vector', matmul(dense('float32', [1, 64]), dense('float32', [64, 48]), [1, 48])],
  ...(['conv', 'convGradInput', 'convGradWeight'] as const).flatMap((name) => [
    [`${name} 3x3`, convolution(name, 9, 6, 17, 3)] as const,
    [`${name} 1x1`, convolution(name, 6, 16, 32, 1)] as const,
  ]),
]

describe.skipIf(!loaded)('ways that autotuning chooses from', () => {
  const reference = new ReferenceEngine()
  const engines: WasmEngine[] = []
  const engineWith = (tuning: Map<string, string>, threads = 2) => {
    const backend = new CountingBackend(defaults)
    const engine = new WasmEngine({ threads, fallback: referenceRoutine, backends: attachBackends([backend]), tuning: tunedBy(tuning) })
    engines.push(engine)
    return { engine, backend }
  }
  afterEach(() => setAutotune(false))
  afterAll(() => engines.forEach((engine) => engine.close()))

  it.each(programs)('all compute the same: %s', (what, program) => {
    const inputs = integersFor(program.inputs)
    const expected = runProgram(reference, program, inputs)
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
    const names = new CountingBackend().attach(memory).variants!(program, 2)
    expect(names.length).toBe(what.endsWith('1x1') ? 12 : 6)
    const record = new Map<string, string>()
    setAutotune(true)
    // This measures, and so there is a key to say the choice by.
    runProgram(engineWith(record).engine, program, inputs)
    const [key] = [...record.keys()] as [string]
    let ran = 0
    for (const name of names) {
      const { engine, backend } = engineWith(new Map([[key, `@cotangent/native: ${name}`]]))
      const actual = runProgram(engine, program, inputs)
      // Those that do not exist are measured anew, which tries them all.
      if (backend.taken === 1) ran++
      expect(actual, name).toEqual(expected)
    }
    expect(ran).toBeGreaterThanOrEqual(2)
  })

  it('offers none for what is none of its business, and says what its speed depends on', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })
    const backend = new CountingBackend()
    const { variants } = backend.attach(memory)
    expect(
      variants!(routine('cumulative', { axis: 0, combine: 'sum', reverse: false }, [dense('float32', [3])], [dense('float32', [3])]), 2),
    ).toEqual([])
    const product = programs[0]![1]
    expect(variants!(product, 1)).toEqual(variants!(product, 2).filter((name) => name.startsWith('one thread')))
    expect(backend.version).toMatch(/^\d+\.\d+\.\d+ with oneDNN \d+\.\d+\.\d+, \w+, ./)
  })
})

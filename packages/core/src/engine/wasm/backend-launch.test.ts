import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dense, runProgram, small } from '../../../test/engine.ts'
import { rowMajor, sizeOf } from '../../layout.ts'
import { KernelBuilder } from '../kernel.ts'
import { ReferenceEngine } from '../reference/engine.ts'
import { referenceRoutine } from '../reference/routine.ts'
import type { AttachedBackend, RoutineBackend } from '../routine-backend.ts'
import { type Routine, routine, withEpilogue } from '../routine.ts'
import { attachBackends } from './backend-launch.ts'
import { WasmEngine } from './engine.ts'

/** Plain matrix products of dense float32 operands, in JavaScript, with the rows of `a` packed into working memory. */
class TestBackend implements RoutineBackend {
  readonly name = 'the test backend'
  readonly seen: { routine: Routine; threads: number }[] = []
  runs = 0
  takesEpilogues = false
  scratchBytes = 64
  failure: Error | undefined

  attach(memory: WebAssembly.Memory): AttachedBackend {
    return {
      prepare: (program, threads) => {
        this.seen.push({ routine: program, threads })
        const { name, inputs, outputs, epilogue } = program
        if (name !== 'matmul' || inputs.some((o) => o.dtype !== 'float32') || (epilogue && !this.takesEpilogues)) return undefined
        const [m, k] = inputs[0]!.shape as [number, number]
        const n = outputs[0]!.shape[1]!
        return {
          scratchBytes: this.scratchBytes,
          run: (block) => {
            this.runs++
            if (this.failure) throw this.failure
            const words = new Uint32Array(memory.buffer, block, inputs.length + outputs.length + 1)
            const [a, b] = [...words].slice(0, 2).map((at) => new Float32Array(memory.buffer, at, memory.buffer.byteLength / 4 - at / 4))
            const y = new Float32Array(memory.buffer, words[inputs.length]!, m * n)
            const row = new Float32Array(memory.buffer, words.at(-1)!, this.scratchBytes / 4)
            for (let i = 0; i < m; i++) {
              row.set(a!.subarray(i * k, i * k + k))
              for (let j = 0; j < n; j++) {
                let sum = 0
                for (let p = 0; p < k; p++) sum += row[p]! * b![p * n + j]!
                y[i * n + j] = sum
              }
            }
          },
        }
      },
    }
  }
}

const backend = new TestBackend()
const engine = new WasmEngine({ threads: 1, fallback: referenceRoutine, backends: attachBackends([backend]) })
const reference = new ReferenceEngine()
afterAll(() => engine.close())

const shapes = [
  [3, 5],
  [5, 4],
] as const
const product = (dtype: 'float32' | 'float64' = 'float32') =>
  routine(
    'matmul',
    {},
    shapes.map((s) => dense(dtype, s)),
    [dense(dtype, [3, 4])],
  )
const numbers = shapes.map((s, i) => small(i, sizeOf(s)))

/** `raw * p + residual`, with a param. */
function scaled(): Routine {
  const shape = [3, 4]
  const k = new KernelBuilder('scaled', shape)
  const [raw, residual] = [k.input('float32'), k.input('float32')]
  k.output('float32', k.add(k.mul(k.load(raw, rowMajor(shape)), k.param('float32')), k.load(residual, rowMajor(shape))))
  return withEpilogue(product(), k.build(), [dense('float32', shape)])
}

describe('routines that a backend takes', () => {
  beforeAll(() => {
    backend.runs = 0
  })

  it('run on the heap, with working memory of any size', () => {
    for (const scratchBytes of [64, 2 ** 21]) {
      backend.scratchBytes = scratchBytes
      const before = engine.memoryUse().inUse
      expect(runProgram(engine, product(), numbers)).toEqual(runProgram(reference, product(), numbers))
      expect(engine.memoryUse().inUse - before).toBeLessThan(2 ** 20)
    }
    expect(backend.runs).toBe(2)
  })

  it('leave their epilogue to a kernel unless the backend takes it too', () => {
    backend.runs = 0
    const program = scaled()
    const inputs = [...numbers, small(7, 12)]
    expect(runProgram(engine, program, inputs, [3])).toEqual(runProgram(reference, program, inputs, [3]))
    expect(backend.runs).toBe(1)
    expect(backend.seen.slice(-2).map((s) => s.routine.epilogue !== undefined)).toEqual([true, false])
    backend.takesEpilogues = true
    backend.seen.length = 0
    engine.prepare(program)
    expect(backend.seen).toHaveLength(1)
    backend.takesEpilogues = false
  })

  it('keep what an epilogue reads where the output is to be', () => {
    const program = scaled()
    const inputs = [...numbers, small(7, 12)].map((values) => {
      const buffer = engine.allocate(4 * values.length)
      engine.write(buffer, 'float32', 0, Float32Array.from(values))
      return buffer
    })
    const expected = runProgram(reference, program, [...numbers, small(7, 12)], [3])[0]
    engine.prepare(program).run([...inputs, inputs[2]!], [0, 0, 0, 0], [3])
    expect([...engine.readSync(inputs[2]!, 'float32', 0, 12)]).toEqual(expected)
  })

  it('are steps of a sequence, after other threads too', async () => {
    const [a, b, c, d] = [15, 20, 12, 12].map((n) => engine.allocate(4 * n)) as [never, never, never, never]
    engine.write(a, 'float32', 0, Float32Array.from(numbers[0]!))
    engine.write(b, 'float32', 0, Float32Array.from(numbers[1]!))
    const k = new KernelBuilder('double', [12])
    k.output('float32', k.mul(k.load(k.input('float32'), [1]), k.param('float32')))
    const at = (buffer: number) => ({ buffer, offset: 0 })
    const sequence = engine.prepare({
      kind: 'sequence',
      steps: [
        { program: product(), operands: [at(0), at(1), at(2)], scalars: [] },
        { program: k.build(), operands: [at(2), at(3)], scalars: [0] },
      ],
    })
    const expected = runProgram(reference, product(), numbers)[0]!.map((n) => Number(n) * 2)
    for (const threads of [1, 2, 1]) {
      engine.pool.setThreads(threads)
      backend.seen.length = 0
      sequence.run([a, b, c, d], [0, 0, 0, 0], [2])
      expect([...engine.readSync(d, 'float32', 0, 12)]).toEqual(expected)
      if (threads === 2) expect(backend.seen.map((s) => s.threads)).toEqual([2])
    }
  })

  it('say who failed', () => {
    backend.failure = new Error('no such instruction')
    expect(() => runProgram(engine, product(), numbers)).toThrow(/the test backend failed: no such instruction/)
    backend.failure = undefined
  })
})

it('leaves to emitted code what no backend takes, and empty results to nobody', () => {
  backend.runs = 0
  expect(runProgram(engine, product('float64'), numbers)).toEqual(runProgram(reference, product('float64'), numbers))
  backend.seen.length = 0
  const empty = routine('matmul', {}, [dense('float32', [0, 5]), dense('float32', [5, 4])], [dense('float32', [0, 4])])
  expect(runProgram(engine, empty, [[], numbers[1]!])).toEqual([[]])
  expect(backend.seen).toEqual([])
  expect(backend.runs).toBe(0)
})

it('does without a backend that cannot work on its memory, and says so', () => {
  const notices: string[] = []
  const refusing: RoutineBackend = {
    name: 'refusing',
    attach() {
      throw new Error('the memory is not shared')
    },
  }
  const other = new WasmEngine({
    threads: 1,
    fallback: referenceRoutine,
    backends: attachBackends([refusing]),
    notice: (m) => notices.push(m),
  })
  expect(runProgram(other, product(), numbers)).toEqual(runProgram(reference, product(), numbers))
  expect(notices).toEqual(['Cotangent computes without refusing: the memory is not shared'])
  other.close()
})

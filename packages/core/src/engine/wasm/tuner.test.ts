import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { dense, runProgram, small } from '../../../test/engine.ts'
import { rowMajor, sizeOf } from '../../layout.ts'
import { setAutotune } from '../autotune.ts'
import { KernelBuilder } from '../kernel.ts'
import { ReferenceEngine } from '../reference/engine.ts'
import { referenceRoutine } from '../reference/routine.ts'
import { type Operand, type Routine, routine, withEpilogue } from '../routine.ts'
import { WasmEngine } from './engine.ts'
import { Heap } from './heap.ts'
import { Pool } from './pool.ts'
import { Tuner, type Way, tunedBy } from './tuner.ts'

const product = (a: Operand, b: Operand) => routine('matmul', {}, [a, b], [dense('float32', [a.shape[0]!, b.shape[1]!])])
const square = product(dense('float32', [4, 4]), dense('float32', [4, 4]))

describe('choosing', () => {
  const heap = new Heap()
  const pool = new Pool(heap, { threads: 1 })
  /** A clock that only moves when a way runs. */
  let clock = 0
  const ran: string[] = []
  const way = (name: string, ms: number, look?: (pointers: readonly number[], scalars: readonly number[]) => void): Way => ({
    name,
    prepare: () => (pointers, scalars) => {
      ran.push(name)
      look?.(pointers, scalars)
      clock += ms
    },
  })
  const tuner = (record = new Map<string, string>()) => new Tuner(heap, pool, record, { now: () => clock })
  /** Which way it is, by what runs. */
  const chosen = (subject: Tuner, ways: readonly Way[], of: Routine = square) => {
    const run = subject.choose(of, ways)
    ran.length = 0
    run?.([], [])
    return ran[0]
  }

  it('takes the fastest, and the first of those that are about equally fast', () => {
    expect(chosen(tuner(), [way('rules', 10), way('slow', 30), way('fast', 5)])).toBe('fast')
    expect(chosen(tuner(), [way('rules', 10), way('noise', 9.7)])).toBe('rules')
    expect(chosen(tuner(), [{ name: 'none', prepare: () => undefined }, way('other', 7)])).toBe('other')
  })

  it('is not misled by a moment that another program took', () => {
    let runs = 0
    const interrupted = () => {
      if (runs++ < 3) clock += 4
    }
    expect(chosen(tuner(), [way('rules', 2), way('fast', 1, interrupted), way('slow', 3)])).toBe('fast')
    runs = 0
    expect(chosen(tuner(), [way('rules', 1, interrupted), way('slow', 1.2)])).toBe('rules')
  })

  it('measures once a routine and number of threads, and not where it was measured before', () => {
    const record = new Map<string, string>()
    const ways = [way('rules', 10), way('fast', 5)]
    expect(chosen(tuner(record), ways)).toBe('fast')
    expect([...record.values()]).toEqual(['fast'])
    ran.length = 0
    const again = tuner(record)
    again.choose(square, ways)
    expect(ran).toEqual([])
    again.choose(product(dense('float32', [4, 3]), dense('float32', [3, 4])), ways)
    expect(ran).toContain('rules')
    expect(record.size).toBe(2)
    // What is remembered may be a way that there is no more.
    expect(chosen(tuner(new Map([...record].map(([key]) => [key, 'gone']))), ways)).toBe('fast')
  })

  it('leaves it to the rules where there is one way, and where trying would take too much memory', () => {
    expect(tuner().choose(square, [way('rules', 1)])).toBeUndefined()
    const large = product(dense('float32', [2 ** 15, 2 ** 15]), dense('float32', [2 ** 15, 2 ** 15]))
    ran.length = 0
    expect(tuner().choose(large, [way('rules', 2), way('fast', 1)])).toBeUndefined()
    expect(ran).toEqual([])
  })

  it('runs them on zeros of its own, which it gives back, wherever strides begin', () => {
    const before = heap.stats.bytesInUse
    const other = heap.alloc(4096)
    heap.u8.fill(255, other, other + 4096)
    heap.free(other)
    const k = new KernelBuilder('scaled', [4, 4])
    k.output('float32', k.mul(k.load(k.input('float32'), rowMajor([4, 4])), k.param('float32')))
    const backwards = { dtype: 'float32', shape: [4, 4], strides: [-4, 1] } as const
    const scaled = withEpilogue(product(backwards, dense('float32', [4, 4])), k.build(), [])
    const look = (pointers: readonly number[], scalars: readonly number[]) => {
      if (pointers.length === 0) return
      expect(pointers.length).toBe(3)
      expect(scalars).toEqual([1])
      // The first of its elements is in its last row.
      expect([...heap.view(pointers[0]! - 4 * 12, 'float32', 16)]).toEqual(new Array(16).fill(0))
    }
    chosen(tuner(), [way('rules', 2, look), way('fast', 1, look)], scaled)
    expect(heap.stats.bytesInUse).toBe(before)
    const failing = way('rules', 1, () => {
      throw new Error('cannot')
    })
    expect(() => tuner().choose(square, [failing, failing])).toThrow('cannot')
    expect(heap.stats.bytesInUse).toBe(before)
  })
})

describe('tuned engines', () => {
  const reference = new ReferenceEngine()
  const record = new Map<string, string>()
  const engines = [1, 2].map((threads) => new WasmEngine({ threads, fallback: referenceRoutine, tuning: tunedBy(record) }))
  afterAll(() => engines.forEach((engine) => engine.close()))
  afterEach(() => setAutotune(false))

  const transposed = (rows: number, columns: number): Operand => ({ dtype: 'float32', shape: [rows, columns], strides: [1, rows] })
  const programs = [
    product(dense('float32', [37, 19]), dense('float32', [19, 23])),
    product(dense('float32', [3, 19]), dense('float32', [19, 70])),
    product(transposed(9, 40), transposed(40, 33)),
    product(dense('float32', [1, 64]), transposed(64, 50)),
    product(dense('float32', [50, 64]), dense('float32', [64, 1])),
    routine('matmul', {}, [dense('int8', [5, 6]), dense('float32', [6, 7])], [dense('float32', [5, 7])]),
    routine('cumulative', { axis: 1, combine: 'sum', reverse: false }, [dense('float32', [3, 50])], [dense('float32', [3, 50])]),
  ]

  it.each(engines.map((engine) => [engine.threads, engine] as const))('compute the same on %i threads', (_, engine) => {
    for (const program of programs) {
      setAutotune(true)
      const inputs = program.inputs.map(({ shape }, i) => small(i, sizeOf(shape)))
      expect(runProgram(engine, program, inputs)).toEqual(runProgram(reference, program, inputs))
    }
  })

  it('have measured what can be computed in several ways, and every way computes the same', () => {
    expect(record.size).toBe(2 * 4)
    const [engine] = engines as [WasmEngine]
    for (const program of programs.slice(0, 4)) {
      const inputs = program.inputs.map(({ shape }, i) => small(i, sizeOf(shape)))
      for (const choice of ['packed', 'packedB', 'direct', 'rows', 'columns']) {
        // Choices that do not exist for a program are measured anew.
        for (const key of record.keys()) record.set(key, `emitted: ${choice}`)
        setAutotune(true)
        expect(runProgram(engine, program, inputs)).toEqual(runProgram(reference, program, inputs))
      }
    }
  })
})

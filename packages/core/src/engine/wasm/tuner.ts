import { dtypeInfo } from '../../dtype.ts'
import type { Operand, Routine } from '../routine.ts'
import type { TuningRecord } from '../tuning-record.ts'
import { awaitWorkers } from './await-workers.ts'
import type { WasmEngineOptions } from './engine.ts'
import type { Heap } from './heap.ts'
import type { KernelRun } from './launch.ts'
import type { Pool } from './pool.ts'

/** One of the ways in which a routine can be computed. */
export interface Way {
  /** The same in every process. */
  readonly name: string
  /** Undefined where this way does not exist for the routine after all. */
  prepare(): KernelRun | undefined
}

interface TunerOptions {
  /** Milliseconds, any origin. */
  readonly now?: () => number
  /** How long a routine's ways are measured, in milliseconds, beyond two runs of each. */
  readonly budgetMs?: number
}

/** How much faster than the rules' choice another way has to be: less is noise. */
const worthwhile = 0.95
/** Ways that take so many times as long as the fastest are out. */
const hopeless = 1.5
/** In the first rounds, another program may have had the core meanwhile. */
const timeSliceMs = 5
const firstRounds = 3
const samples = 9
/** Shorter runs are measured several at a time. */
const shortestSampleMs = 0.1
/** How long workers may take to start before the rules decide. */
const startMs = 2000

/** Chooses among ways to compute a routine by running them, and remembers what it found. */
export class Tuner {
  readonly #heap: Heap
  readonly #pool: Pool
  readonly #record: TuningRecord
  readonly #now: () => number
  readonly #budgetMs: number

  constructor(heap: Heap, pool: Pool, record: TuningRecord, { now = () => performance.now(), budgetMs = 100 }: TunerOptions = {}) {
    this.#heap = heap
    this.#pool = pool
    this.#record = record
    this.#now = now
    this.#budgetMs = budgetMs
  }

  /**
   * The fastest way. Undefined where it cannot be told: there is one way only, no memory to try them on, or workers are not up.
   * @param ways The one that the rules choose first: of ways that are equally fast it is taken.
   */
  choose(routine: Routine, ways: readonly Way[]): KernelRun | undefined {
    if (ways.length < 2) return undefined
    const key = JSON.stringify([routine, this.#pool.threads])
    const known = this.#record.get(key)
    const remembered = known === undefined ? undefined : ways.find((way) => way.name === known)?.prepare()
    if (remembered) return remembered
    if (!awaitWorkers(this.#pool, startMs)) return undefined
    const operands = [...routine.inputs, ...routine.outputs].map(extentOf)
    const { bytesLimit, bytesInUse } = this.#heap.stats
    // Working memory comes on top, so most of what is free stays so.
    if (operands.reduce((sum, { bytes }) => sum + bytes, 0) > (bytesLimit - bytesInUse) / 4) return undefined
    const blocks: number[] = []
    try {
      for (const { bytes } of operands) {
        const block = this.#heap.alloc(bytes)
        blocks.push(block)
        // What lies there from before may be numbers that take longer to compute with.
        this.#heap.u8.fill(0, block, block + bytes)
      }
      const pointers = operands.map(({ before }, i) => blocks[i]! + before)
      const scalars = (routine.epilogue?.params ?? []).map(() => 1)
      const best = this.#fastest(ways, (run) => run(pointers, scalars))
      if (best) this.#record.set(key, best.way.name)
      return best?.run
    } finally {
      for (const block of blocks) this.#heap.free(block)
    }
  }

  #fastest(ways: readonly Way[], once: (run: KernelRun) => void): Candidate | undefined {
    const time = (run: KernelRun, times: number) => {
      const start = this.#now()
      for (let i = 0; i < times; i++) once(run)
      return (this.#now() - start) / times
    }
    let candidates: Candidate[] = []
    for (const way of ways) {
      const run = way.prepare()
      if (!run) continue
      // The first run compiles.
      once(run)
      candidates.push({ way, run, ms: time(run, 1) })
    }
    const fastest = () => Math.min(...candidates.map(({ ms }) => ms))
    const start = this.#now()
    for (let round = 1; round < samples && candidates.length > 1 && this.#now() - start < this.#budgetMs; round++) {
      const limit = fastest() * hopeless + (round < firstRounds ? timeSliceMs : 0)
      candidates = candidates.filter(({ ms, way }) => ms <= limit || way === ways[0])
      // In turns, so that a busy moment of the machine hits all of them.
      for (const candidate of candidates) {
        const times = Math.ceil(shortestSampleMs / Math.max(candidate.ms, 1e-3))
        candidate.ms = Math.min(candidate.ms, time(candidate.run, times))
      }
    }
    const limit = fastest()
    const ruled = candidates.find(({ way }) => way === ways[0])
    return ruled && limit > ruled.ms * worthwhile ? ruled : candidates.find(({ ms }) => ms === limit)
  }
}

/** Autotuning that remembers what it finds in `record`. */
export const tunedBy =
  (record: TuningRecord): NonNullable<WasmEngineOptions['tuning']> =>
  (heap, pool) =>
    new Tuner(heap, pool, record)

interface Candidate {
  readonly way: Way
  readonly run: KernelRun
  ms: number
}

/** Bytes that an operand spans, and how many of them lie before its first element. */
function extentOf({ dtype, shape, strides }: Operand): { bytes: number; before: number } {
  const { size } = dtypeInfo[dtype]
  if (shape.includes(0)) return { bytes: size, before: 0 }
  const reach = strides.map((stride, axis) => (shape[axis]! - 1) * stride)
  const sum = (numbers: readonly number[]) => numbers.reduce((total, n) => total + n, 0)
  const before = -sum(reach.filter((n) => n < 0))
  return { bytes: (before + sum(reach.filter((n) => n > 0)) + 1) * size, before: before * size }
}

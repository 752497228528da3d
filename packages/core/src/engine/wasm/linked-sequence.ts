import { CotangentError } from '../../errors.ts'
import type { Buffer, ConstantBuffer, Engine, Executable, Step } from '../engine.ts'
import { failedAt } from '../sequence.ts'
import { type CallChain, chainOf } from './call-chain.ts'
import { HeapExecutable, type WasmBuffer } from './heap-executable.ts'
import type { Heap } from './heap.ts'
import type { Launch, LoneCall } from './launch.ts'
import { type PackedOperand, type PackedOperands, packedOperandsOf } from './packed-operand.ts'
import { failureOf, type Pool } from './pool.ts'

export interface PreparedStep extends Step {
  readonly executable: Executable
}

/** A word of the heap that holds the address of an element of a buffer. */
interface PointerUse {
  readonly word: number
  /** In elements, beyond the buffer's own. */
  readonly offset: number
  /** Bytes an element. */
  readonly size: number
}

/** The parts of the engine that a sequence needs. */
type Host = Pick<Engine, 'observer'> & { readonly heap: Heap; readonly pool: Pool }

type Run = (buffers: readonly Buffer[], offsets: readonly number[], scalars: readonly number[]) => void

/**
 * A sequence whose steps find their arguments on the heap, each in a block of its own. A run overwrites only what has changed
 * since the last one: the addresses of buffers that moved, and other numbers. What is left of a small step is one call.
 */
export class LinkedSequence implements Executable {
  readonly #engine: Host
  readonly #steps: readonly PreparedStep[]
  readonly #launches: readonly (Launch | undefined)[]
  /** The steps that are one call on the calling thread, for as many threads as `#threads`. */
  readonly #calls: (LoneCall | undefined)[]
  /** Those that follow one another, by the first of them; made when the sequence has run some times. */
  readonly #chains: (CallChain | undefined)[]
  /** Scratch memory for any one of the calls. */
  #scratchBytes = 0
  /** Runs until chains are made. */
  #runsLeft = RUNS_BEFORE_CHAINS
  /** What runs the others. */
  readonly #runs: readonly Run[]
  /** By buffer of the sequence. */
  readonly #pointerUses: readonly PointerUse[][]
  /** By scalar of the sequence: positions among the heap's float64 numbers. */
  readonly #scalarUses: readonly number[][]
  // What is written on the heap.
  readonly #pointers: number[]
  readonly #offsets: number[]
  readonly #scalars: (number | undefined)[]
  readonly #packed: readonly Packing[]
  /** The positions of all buffers. */
  readonly #all: readonly number[]
  #threads = 0

  /** @param prepared Each with an executable that nobody else runs. @param constants See `Sequence`. */
  constructor(engine: Host, prepared: readonly PreparedStep[], constants: readonly ConstantBuffer[] = []) {
    // Memory that is written has one buffer only.
    const steps = prepared.map((step) => {
      const { executable, operands } = step
      return executable instanceof HeapExecutable ? { ...step, executable: executable.at(operands) } : step
    })
    this.#engine = engine
    this.#steps = steps
    this.#launches = steps.map(({ executable }) => (executable instanceof HeapExecutable ? executable.code.launch : undefined))
    this.#calls = steps.map(() => undefined)
    this.#chains = steps.map(() => undefined)
    this.#runs = steps.map((step, i) => {
      const launch = this.#launches[i]
      return launch ? () => launch.run() : unlinked(step)
    })
    this.#pointerUses = listed(steps.flatMap(({ operands }) => operands.map((o) => o.buffer)))
    this.#scalarUses = listed(steps.flatMap((step) => step.scalars))
    steps.forEach(({ operands, scalars, executable }, i) => {
      const launch = this.#launches[i]
      if (!launch) return
      const { sizes } = executable as HeapExecutable
      for (const { word, buffer: operand } of launch.pointers) {
        const { buffer, offset } = operands[operand]!
        this.#pointerUses[buffer]!.push({ word, offset, size: sizes[operand]! })
      }
      scalars.forEach((scalar, param) => this.#scalarUses[scalar]!.push(launch.params + param))
    })
    const memories = new Map(constants.map(({ buffer, memory }) => [buffer, memory]))
    this.#packed = steps.flatMap(({ operands, executable }) => {
      if (!(executable instanceof HeapExecutable)) return []
      const { code, sizes } = executable
      return (code.packed ?? []).flatMap(({ buffer: at, operand }) => {
        // Operands behind those of the step are temporaries.
        const place = operands[at]
        const memory = place && memories.get(place.buffer)
        return memory ? [new Packing(memory, operand, place, sizes[at]!)] : []
      })
    })
    this.#all = this.#pointerUses.map((_, b) => b)
    this.#pointers = this.#pointerUses.map(() => -1)
    this.#offsets = this.#pointerUses.map(() => 0)
    this.#scalars = this.#scalarUses.map(() => undefined)
  }

  run(buffers: readonly Buffer[], offsets: readonly number[], scalars: readonly number[], moved = this.#all): void {
    this.#bind(buffers, offsets, scalars, moved)
    for (let i = 0; i < this.#packed.length; i++) this.#packed[i]!.check(packedOperandsOf(this.#engine.heap), buffers, offsets)
    if (this.#engine.observer) return this.#runObserved(buffers, offsets, scalars)
    if (this.#runsLeft > 0 && --this.#runsLeft === 0) this.#makeChains()
    const chains = this.#chains
    let i = 0
    try {
      while (i < chains.length) {
        const chain = chains[i]
        if (chain) {
          chain.run(this.#scratch())
          i += chain.length
        } else {
          this.#runStep(i, buffers, offsets, scalars)
          i++
        }
      }
    } catch (error) {
      throw this.#failure(i + (this.#chains[i]?.position() ?? 0), error)
    }
  }

  #runStep(i: number, buffers: readonly Buffer[], offsets: readonly number[], scalars: readonly number[]): void {
    const call = this.#calls[i]
    if (call) call.fn.call(0, call.tasks, 0, call.block, this.#scratch(), 0)
    else this.#runs[i]!(buffers, offsets, scalars)
  }

  #scratch(): number {
    return this.#scratchBytes === 0 ? 0 : this.#engine.pool.scratch(this.#scratchBytes).pointer
  }

  #makeChains(): void {
    const calls = this.#calls
    for (let first = 0; first < calls.length; first++) {
      const others = calls.findIndex((call, i) => i > first && !call)
      const chained = calls.slice(first, others < 0 ? calls.length : others) as LoneCall[]
      if (!calls[first] || chained.length < 2) continue
      this.#chains[first] = chainOf(chained)
      first += chained.length
    }
  }

  #runObserved(buffers: readonly Buffer[], offsets: readonly number[], scalars: readonly number[]): void {
    this.#steps.forEach(({ program }, i) => {
      const start = performance.now()
      try {
        this.#runStep(i, buffers, offsets, scalars)
      } catch (error) {
        throw this.#failure(i, error)
      }
      this.#engine.observer?.(program, performance.now() - start)
    })
  }

  /** Writes what differs from what is written. */
  #bind(buffers: readonly Buffer[], offsets: readonly number[], scalars: readonly number[], moved: readonly number[]): void {
    const { heap, pool } = this.#engine
    if (this.#threads !== pool.threads) {
      this.#fit()
      moved = this.#all
    }
    const pointers = this.#pointers
    for (let m = 0; m < moved.length; m++) {
      const b = moved[m]!
      // Steps of another part of the program use it.
      if (b >= pointers.length) continue
      const { pointer } = buffers[b] as WasmBuffer
      const offset = offsets[b]!
      if (pointer === pointers[b] && offset === this.#offsets[b]) continue
      const uses = this.#pointerUses[b]!
      const { i32 } = heap
      for (let i = 0; i < uses.length; i++) {
        const use = uses[i]!
        i32[use.word] = pointer + (offset + use.offset) * use.size
      }
      pointers[b] = pointer
      this.#offsets[b] = offset
    }
    for (let s = 0; s < this.#scalarUses.length; s++) {
      const scalar = scalars[s]!
      if (Object.is(scalar, this.#scalars[s])) continue
      const { f64 } = heap
      for (const at of this.#scalarUses[s]!) f64[at] = scalar
      this.#scalars[s] = scalar
    }
  }

  /** For another number of threads; nothing counts as written then. */
  #fit(): void {
    this.#launches.forEach((launch, i) => (this.#calls[i] = launch?.fit()))
    this.#scratchBytes = this.#calls.reduce((most, call) => Math.max(most, call?.scratchBytes ?? 0), 0)
    this.#chains.fill(undefined)
    this.#runsLeft = RUNS_BEFORE_CHAINS
    this.#pointers.fill(-1)
    this.#scalars.fill(undefined)
    this.#threads = this.#engine.pool.threads
  }

  #failure(step: number, error: unknown): unknown {
    const call = this.#calls[step]
    return failedAt(step, call && !(error instanceof CotangentError) ? failureOf(call.fn, error) : error)
  }
}

/** Runs after which the time that a chain takes to make, some hundred runs of small steps, counts as well spent. */
const RUNS_BEFORE_CHAINS = 64

/** Runs that memory has stayed as it is for before it is packed. */
const STEADY_RUNS = 1

/** An operand that is packed as long as its memory stays as it is. */
class Packing {
  readonly #memory: ConstantBuffer['memory']
  readonly #operand: PackedOperand
  readonly #place: { readonly buffer: number; readonly offset: number }
  /** Bytes an element. */
  readonly #size: number
  #version = Number.NaN
  /** Runs since it changed. */
  #runs = 0

  constructor(memory: ConstantBuffer['memory'], operand: PackedOperand, place: Step['operands'][number], size: number) {
    this.#memory = memory
    this.#operand = operand
    this.#place = place
    this.#size = size
  }

  check(packs: PackedOperands, buffers: readonly Buffer[], offsets: readonly number[]): void {
    const { version } = this.#memory
    if (version !== this.#version) {
      this.#version = version
      this.#runs = 0
      this.#operand.use(0)
    } else if (this.#runs < STEADY_RUNS && ++this.#runs === STEADY_RUNS) {
      const { buffer, offset } = this.#place
      const start = (offsets[buffer]! + offset) * this.#size
      this.#operand.use(packs.panels(this.#memory, this.#operand, (buffers[buffer] as WasmBuffer).pointer + start, start))
    }
  }
}

/** A step that is more than one launch, or none. */
function unlinked({ executable, operands, scalars: params }: PreparedStep): Run {
  const given: Buffer[] = []
  const starts: number[] = []
  const numbers: number[] = []
  return (buffers, offsets, scalars) => {
    for (let i = 0; i < operands.length; i++) {
      const { buffer, offset } = operands[i]!
      given[i] = buffers[buffer]!
      starts[i] = offsets[buffer]! + offset
    }
    for (let i = 0; i < params.length; i++) numbers[i] = scalars[params[i]!]!
    executable.run(given, starts, numbers)
  }
}

/** An empty list for each position up to the last one. */
function listed<T>(positions: readonly number[]): T[][] {
  return Array.from({ length: positions.reduce((last, at) => Math.max(last, at), -1) + 1 }, () => [])
}

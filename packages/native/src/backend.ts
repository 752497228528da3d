import type { AttachedBackend, BackendRoutine, Routine, RoutineBackend } from 'cotangent'
import type { Binding } from './binding.ts'
import { describe } from './describe.ts'

export interface NativeBackendOptions {
  /** Multiply-adds below which a routine is left to the engine: emitted code starts faster. */
  readonly minimumWork: number
  /** Multiply-adds that are worth a thread of their own: waking one takes some microseconds, and much longer on a busy machine. */
  readonly workPerThread: number
  /** Whether it takes products with vectors, too, of float32 numbers: emitted code is up to twice as fast there. */
  readonly vectors: boolean
}

export const defaults: NativeBackendOptions = { minimumWork: 2 ** 15, workPerThread: 2 ** 21, vectors: false }

/** For tests: whatever oneDNN can do, on all threads. */
export const everything: NativeBackendOptions = { minimumWork: 0, workPerThread: 1, vectors: true }

/** Computes routines with oneDNN. */
export class NativeBackend implements RoutineBackend {
  readonly name = '@cotangent/native'
  readonly #binding: Binding
  readonly #options: NativeBackendOptions
  readonly #fastBfloat16: boolean

  constructor(binding: Binding, options: NativeBackendOptions) {
    this.#binding = binding
    this.#options = options
    this.#fastBfloat16 = /BF16|AMX|FP16/.test(binding.info().instructionSet)
  }

  attach(memory: WebAssembly.Memory): AttachedBackend {
    if (!(memory.buffer instanceof SharedArrayBuffer)) throw new Error('the memory of this engine is not shared, so it may move')
    const heap = this.#binding.attach(new Uint8Array(memory.buffer))
    return { prepare: (routine, threads) => this.#prepare(memory, heap, routine, threads) }
  }

  #prepare(memory: WebAssembly.Memory, heap: object, routine: Routine, threads: number): BackendRoutine | undefined {
    const described = describe(routine, { fastBfloat16: this.#fastBfloat16 })
    const { minimumWork, workPerThread, vectors } = this.#options
    if (!described || described.work < minimumWork) return undefined
    if (described.vector && !vectors && routine.inputs[0]!.dtype === 'float32') return undefined
    const binding = this.#binding
    const prepared = binding.prepare(described.describe(Math.max(1, Math.min(threads, Math.round(described.work / workPerThread)))))
    if (!prepared) return undefined
    const { handle, scratchBytes } = prepared
    return { scratchBytes, run: (block) => binding.run(heap, handle, block, memory.buffer.byteLength) }
  }
}

import type { Heap } from './heap.ts'
import type { PackedOperand } from './packed-operand.ts'
import type { Pool, PoolFunction } from './pool.ts'

/** Runs a program once: byte addresses of its buffers' first elements, and its params. */
export interface KernelRun {
  (pointers: readonly number[], scalars: readonly number[]): void
  /** What it runs, for those who bind seldom and launch often; absent where a run is more than one launch. */
  readonly launch?: Launch
  /** What it may be given packed, and which of its buffers that is (temporaries come behind those of the program). */
  readonly packed?: readonly PackedBuffer[]
  /** The run that this one comes down to where it is known which of its buffers lie in one place. */
  readonly known?: (samePlace: (a: number, b: number) => boolean) => KernelRun
}

export interface PackedBuffer {
  readonly buffer: number
  readonly operand: PackedOperand
}

/** Code whose arguments lie on the heap and stay there from one run to the next. */
export interface Launch {
  /** The 32-bit words of the heap that take byte addresses, and which of the program's buffers they are the addresses of. */
  readonly pointers: readonly { readonly word: number; readonly buffer: number }[]
  /** Where params go: a position among the heap's float64 numbers. */
  readonly params: number
  /**
   * Fits the work to the pool's number of threads. Pointers and params have to be written after it.
   * Returns what a run comes down to if the calling thread does it alone and in one call.
   */
  fit(): LoneCall | undefined
  run(): void
}

/** All tasks of a function, as `fn(0, tasks, 0, block, scratch, 0)`, of which it may take the first four. */
export interface LoneCall {
  readonly fn: PoolFunction
  readonly tasks: number
  readonly block: number
  /** Bytes of scratch memory that it needs. */
  readonly scratchBytes: number
}

/** A run that writes pointers and params, then launches. */
export function runOf(heap: Heap, pool: Pool, launch: Launch): KernelRun {
  const words = launch.pointers.map((p) => p.word)
  const buffers = launch.pointers.map((p) => p.buffer)
  const { params } = launch
  let threads = 0
  const run = (pointers: readonly number[], scalars: readonly number[]) => {
    if (threads !== pool.threads) {
      launch.fit()
      threads = pool.threads
    }
    const { i32 } = heap
    for (let i = 0; i < words.length; i++) i32[words[i]!] = pointers[buffers[i]!]!
    if (scalars.length) {
      const { f64 } = heap
      for (let i = 0; i < scalars.length; i++) f64[params + i] = scalars[i]!
    }
    launch.run()
  }
  return Object.assign(run, { launch })
}

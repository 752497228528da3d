import type { DType, TypedArray } from '../dtype.ts'
import type { Kernel } from './kernel.ts'
import type { ObjectWatcher } from './object-watcher.ts'
import type { Routine } from './routine.ts'

/** The only thing that engines see. */
export type Program = Kernel | Routine

/**
 * Programs that run in order over one list of buffers: joins write each part into its place of one result, and a compiled
 * function is one sequence. Memory that is written comes as one buffer only.
 */
export interface Sequence {
  readonly kind: 'sequence'
  readonly steps: readonly Step[]
  /** Buffers that the sequence only reads, and that are changed only as their memory's version goes up. */
  readonly constants?: readonly ConstantBuffer[]
}

export interface ConstantBuffer {
  readonly buffer: number
  readonly memory: { readonly version: number }
}

export interface Step {
  readonly program: Program
  /** The program's inputs and outputs: positions among the sequence's buffers, and the elements to skip there. */
  readonly operands: readonly { readonly buffer: number; readonly offset: number }[]
  /** The program's params: positions among the sequence's scalars. */
  readonly scalars: readonly number[]
}

/** Memory on an engine; what stands behind it is the engine's own business. */
export interface Buffer {
  readonly bytes: number
}

/** A program made ready for one engine. */
export interface Executable {
  /**
   * Runs the program once. `buffers` and `offsets` (in elements of each buffer's dtype) list the inputs, then the outputs;
   * `scalars` the kernel's params. An output may share its buffer with an input of equal layout.
   *
   * @param moved The positions of all buffers and offsets that may differ from those of the run before, which went well. Default: any.
   */
  run(buffers: readonly Buffer[], offsets: readonly number[], scalars: readonly number[], moved?: readonly number[]): void
}

/** What an engine has of memory. */
export interface MemoryUse {
  /** Bytes in live buffers, now and at most. */
  inUse: number
  peak: number
  /** Bytes taken from the system. */
  reserved: number
  /** Bytes that can be taken at most; Infinity where only the machine limits it. */
  limit: number
}

/** What computes: memory for tensors, and programs made ready to run on it. All that the rest of the library knows of it. */
export interface Engine {
  readonly name: string
  /** Whether results can be read without waiting. */
  readonly synchronous: boolean
  /** Contents are undefined. Calls `onPressure` before it gives up. */
  allocate(bytes: number): Buffer
  free(buffer: Buffer): void
  /** Never refuses a well-formed program. Engines cache what is costly to prepare. */
  prepare(program: Program | Sequence): Executable
  /** Whether a routine that might as well be made of others runs in faster code of its own. Absent: none does. */
  takes?(routine: Routine): boolean
  /** A copy of `length` elements, in an array of just their number where it is given. */
  read(buffer: Buffer, dtype: DType, offset: number, length: number, into?: TypedArray): Promise<TypedArray>
  /** The same without waiting; only on synchronous engines. */
  readSync(buffer: Buffer, dtype: DType, offset: number, length: number, into?: TypedArray): TypedArray
  /** The 32 bits at a position; absent where they cannot be had at once. */
  readWord?(buffer: Buffer, word: number): number
  /** Where a buffer begins in memory that other threads can write; undefined where there is none. */
  locate?(buffer: Buffer): { readonly memory: SharedArrayBuffer; readonly at: number } | undefined
  write(buffer: Buffer, dtype: DType, offset: number, data: TypedArray): void
  memoryUse(): MemoryUse
  /** Threads that a program may run on, the calling one included. */
  readonly threads: number
  /** Resolves when the threads are up; until then programs run on those that are. */
  setThreads(count: number): Promise<void>
  /**
   * Set by the tensor layer: frees the buffers of tensors that nobody can reach any more. Called when an allocation would fail.
   * Returns how many bytes it freed.
   */
  onPressure: (() => number) | undefined
  /** By what the tensor layer sees which tensors can still be reached; default JavaScript's weak references. */
  readonly watcher?: ObjectWatcher | undefined
  /**
   * Set by those who measure: sees each kernel and routine after it has run, and for how many milliseconds; those of a sequence
   * too, which then runs step by step.
   */
  observer: ((program: Program, ms: number) => void) | undefined
}

import { copyOf, type DType, dtypeInfo, type TypedArray } from '../../dtype.ts'
import type { Buffer, Engine, Executable, MemoryUse, Program, Sequence } from '../engine.ts'
import { observable } from '../observe.ts'
import { operandDTypes } from '../operand-dtypes.ts'
import type { Routine } from '../routine.ts'
import { prepareSequence } from '../sequence.ts'
import type { BackendLauncher } from './backend-launch.ts'
import { HeapExecutable, type WasmBuffer } from './heap-executable.ts'
import { Heap } from './heap.ts'
import { KernelCompiler } from './kernel-program.ts'
import { Pool } from './pool.ts'
import { programCode } from './program-code.ts'
import { RoutineCompiler } from './routine-program.ts'
import type { Tuner } from './tuner.ts'

/** A routine on typed arrays that span whole buffers: inputs, then outputs, and at which of their elements operands start. */
export type RoutineFallback = (
  routine: Routine,
) => (arrays: readonly TypedArray[], offsets: readonly number[], scalars: readonly number[]) => void

/** Memory and threads of a Wasm engine, and who runs what has no emitted code. */
export interface WasmEngineOptions {
  /** Threads, the calling one included; default `COTANGENT_THREADS`, else the cores of this machine. */
  threads?: number
  /** Bytes that tensors may take in all; default and most 4 GiB. */
  maximumBytes?: number
  /** Runs the routines that have no emitted code. */
  fallback: RoutineFallback
  /** What computes routines in place of emitted code where it can: see `attachBackends`. */
  backends?: (heap: Heap, pool: Pool, notice?: (message: string) => void) => BackendLauncher
  /** What autotuning measures with, asked for when it is first on: see `tunedBy`. */
  tuning?: (heap: Heap, pool: Pool) => Tuner | undefined
  /** Receives, once each, the reasons for running slower than might be. */
  notice?: (message: string) => void
}

/** The engine of the CPU: kernels and routines become WebAssembly SIMD code over one shared memory, run by a pool of threads. */
export class WasmEngine implements Engine {
  readonly name = 'wasm'
  readonly synchronous = true
  readonly heap: Heap
  readonly pool: Pool
  readonly #kernels: KernelCompiler
  readonly #routines: RoutineCompiler
  readonly #fallback: RoutineFallback
  readonly #slow = new Set<string>()
  readonly #notice: ((message: string) => void) | undefined
  readonly watcher: Engine['watcher']
  onPressure: Engine['onPressure']
  observer: Engine['observer']

  constructor({ threads, maximumBytes, fallback, backends, tuning, notice }: WasmEngineOptions) {
    this.heap = new Heap({
      ...(maximumBytes !== undefined && { maximumBytes }),
      ...(notice && { notice }),
      onPressure: () => (this.onPressure?.() ?? 0) > 0,
    })
    this.pool = new Pool(this.heap, { ...(threads !== undefined && { threads }), ...(notice && { notice }) })
    this.#kernels = new KernelCompiler(this.heap, this.pool)
    const launcher = backends?.(this.heap, this.pool, notice)
    this.#routines = new RoutineCompiler(this.heap, this.pool, this.#kernels, {
      tuner: () => tuning?.(this.heap, this.pool),
      backends: launcher,
    })
    this.watcher = launcher?.watcher
    this.#fallback = fallback
    this.#notice = notice
  }

  allocate(bytes: number): WasmBuffer {
    return { bytes, pointer: this.heap.alloc(bytes) }
  }

  free(buffer: Buffer): void {
    this.heap.free((buffer as WasmBuffer).pointer)
  }

  prepare(program: Program | Sequence): Executable {
    if (program.kind !== 'sequence') return observable(this, program, this.#ready(program))
    const code = programCode()
    if (!code) return prepareSequence(this, program)
    const steps = program.steps.map((step) => ({ ...step, executable: this.#ready(step.program) }))
    return code.link(this, steps, program.constants)
  }

  takes(routine: Routine): boolean {
    return this.#routines.takes(routine)
  }

  async read(buffer: Buffer, dtype: DType, offset: number, length: number, into?: TypedArray): Promise<TypedArray> {
    return this.readSync(buffer, dtype, offset, length, into)
  }

  readWord(buffer: Buffer, word: number): number {
    return this.heap.i32[((buffer as WasmBuffer).pointer >>> 2) + word]!
  }

  readSync(buffer: Buffer, dtype: DType, offset: number, length: number, into?: TypedArray): TypedArray {
    return copyOf(this.heap.view((buffer as WasmBuffer).pointer + offset * dtypeInfo[dtype].size, dtype, length), into)
  }

  locate(buffer: Buffer): { memory: SharedArrayBuffer; at: number } | undefined {
    const { memory, shared } = this.heap
    return shared ? { memory: memory.buffer as unknown as SharedArrayBuffer, at: (buffer as WasmBuffer).pointer } : undefined
  }

  write(buffer: Buffer, dtype: DType, offset: number, data: TypedArray): void {
    this.heap.view((buffer as WasmBuffer).pointer + offset * dtypeInfo[dtype].size, dtype, data.length).set(data as never)
  }

  get threads(): number {
    return this.pool.threads
  }

  async setThreads(count: number): Promise<void> {
    this.pool.setThreads(count)
    await this.pool.ready()
  }

  memoryUse(): MemoryUse {
    const { bytesInUse, peakBytes, bytesReserved, bytesLimit } = this.heap.stats
    return { inUse: bytesInUse, peak: peakBytes, reserved: bytesReserved, limit: bytesLimit }
  }

  /** Ends the worker threads. Live buffers stay readable. */
  close(): void {
    this.pool.close()
  }

  #ready(program: Program): Executable {
    const dtypes = operandDTypes(program)
    const run = program.kind === 'kernel' ? this.#kernels.prepare(program) : this.#routines.prepare(program)
    const sizes = dtypes.map((d) => dtypeInfo[d].size)
    return run ? new HeapExecutable(run, sizes) : this.#withFallback(program as Routine, dtypes)
  }

  #withFallback(routine: Routine, dtypes: readonly DType[]): Executable {
    const { heap } = this
    const { name, inputs } = routine
    const run = this.#fallback(routine)
    if (!this.#slow.has(name))
      this.#notice?.(`Cotangent computes this slowly: ${name} of rank ${inputs[0]!.shape.length} has no compiled code.`)
    this.#slow.add(name)
    return {
      run(buffers, offsets, scalars) {
        const arrays = buffers.map((b, i) =>
          heap.view((b as WasmBuffer).pointer, dtypes[i]!, Math.floor(b.bytes / dtypeInfo[dtypes[i]!].size)),
        )
        run(arrays, offsets, scalars)
      },
    }
  }
}

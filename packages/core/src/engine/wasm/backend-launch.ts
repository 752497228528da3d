import { CotangentError } from '../../errors.ts'
import type { Kernel } from '../kernel.ts'
import type { AttachedBackend, BackendRoutine, BackendThreads, RoutineBackend } from '../routine-backend.ts'
import type { Routine } from '../routine.ts'
import type { WasmEngineOptions } from './engine.ts'
import type { Heap } from './heap.ts'
import { type KernelRun, type Launch, runOf } from './launch.ts'
import type { PackedOperand } from './packed-operand.ts'
import type { Pool } from './pool.ts'
import { prepareInSlices } from './sliced-product.ts'
import type { Way } from './tuner.ts'

/** Scratch memory a thread up to which it is kept between runs. */
export const KEPT_SCRATCH = 2 ** 20

/** Routines that backends compute on the heap, launched like emitted code. */
export class BackendLauncher {
  readonly #heap: Heap
  readonly #pool: Pool
  readonly #attached: { readonly name: string; readonly backend: AttachedBackend }[] = []
  /** Argument blocks go when the programs that they belong to are forgotten. */
  readonly #arguments: FinalizationRegistry<number>

  /** @param notice Receives the reason why a backend can't be used. */
  constructor(heap: Heap, pool: Pool, backends: readonly RoutineBackend[], notice?: (message: string) => void) {
    this.#heap = heap
    this.#pool = pool
    this.#arguments = new FinalizationRegistry((pointer) => heap.free(pointer))
    const threads: BackendThreads = {
      addon(file, name) {
        const fn = pool.loadAddon(file, name)
        return (args, body) => pool.alongside(fn, args, body)
      },
    }
    for (const backend of backends) {
      try {
        this.#attached.push({ name: backend.name, backend: backend.attach(heap.memory, threads) })
      } catch (error) {
        notice?.(`Cotangent computes without ${backend.name}: ${reasonOf(error)}`)
      }
    }
  }

  /** Of the first backend that has one. */
  get watcher(): AttachedBackend['watcher'] {
    return this.#attached.find(({ backend }) => backend.watcher)?.backend.watcher
  }

  /** Undefined where no backend takes it. */
  prepare(routine: Routine): KernelRun | undefined {
    for (const { name, backend } of this.#attached) {
      const prepared = backend.prepare(routine, this.#pool.threads)
      if (prepared) return this.#launcher(name, routine, backend, prepared)
    }
    return undefined
  }

  /** As products that backends do take; undefined where there are none. */
  prepareInSlices(routine: Routine, kernel: (kernel: Kernel) => KernelRun): KernelRun | undefined {
    return prepareInSlices(routine, { heap: this.#heap, kernel, product: (slice) => this.prepare(slice) })
  }

  takes(routine: Routine): boolean {
    return this.#attached.some(({ backend }) => backend.prepare(routine, this.#pool.threads) !== undefined)
  }

  /** All ways that backends offer. */
  ways(routine: Routine): Way[] {
    return this.#attached.flatMap(({ name, backend }) =>
      (backend.variants?.(routine, this.#pool.threads) ?? []).map((variant) => ({
        name: `${name}: ${variant}`,
        prepare: () => {
          const prepared = backend.prepare(routine, this.#pool.threads, variant)
          return prepared && this.#launcher(name, routine, backend, prepared, variant)
        },
      })),
    )
  }

  #launcher(name: string, routine: Routine, backend: AttachedBackend, first: BackendRoutine, variant?: string): KernelRun {
    const heap = this.#heap
    const pool = this.#pool
    const buffers = routine.inputs.length + routine.outputs.length
    const { packed } = first
    const words = buffers + (packed ? 2 : 1)
    const paramsAt = Math.ceil((4 * words) / 8)
    const block = heap.alloc(8 * (paramsAt + (routine.epilogue?.params.length ?? 0)))
    const word = block >>> 2
    const current = { prepared: first, threads: pool.threads }
    if (packed) heap.i32[word + words - 1] = 0
    const launch: Launch = {
      pointers: Array.from({ length: buffers }, (_, buffer) => ({ word: word + buffer, buffer })),
      params: (block >>> 3) + paramsAt,
      fit() {
        if (current.threads === pool.threads) return undefined
        current.prepared = backend.prepare(routine, pool.threads, variant) ?? current.prepared
        current.threads = pool.threads
        return undefined
      },
      run() {
        const { prepared } = current
        const { scratchBytes } = prepared.packed && heap.i32[word + words - 1] !== 0 ? prepared.packed : prepared
        const large = scratchBytes > KEPT_SCRATCH ? heap.alloc(scratchBytes) : 0
        try {
          heap.i32[word + buffers] = large || (scratchBytes > 0 ? pool.scratch(scratchBytes).pointer : 0)
          prepared.run(block)
        } catch (cause) {
          throw cause instanceof CotangentError ? cause : failureOf(name, routine, cause)
        } finally {
          if (large) heap.free(large)
        }
      },
    }
    // Lives as long as what launches the block.
    this.#arguments.register(current, block)
    const run = runOf(heap, pool, launch)
    if (!packed) return run
    const operand: PackedOperand = {
      key: `${name} ${packed.key}`,
      bytes: packed.bytes,
      use: (address) => (heap.i32[word + words - 1] = address),
      pack: (source, target) => current.prepared.packed!.pack(source, target),
    }
    return Object.assign(run, { packed: [{ buffer: packed.input, operand }] })
  }
}

/** Attaches backends to an engine, of which the first one that takes a routine computes it. */
export const attachBackends =
  (backends: readonly RoutineBackend[]): NonNullable<WasmEngineOptions['backends']> =>
  (heap, pool, notice) =>
    new BackendLauncher(heap, pool, backends, notice)

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function failureOf(backend: string, { name, inputs }: Routine, cause: unknown): CotangentError {
  return new CotangentError('engine-failure', {
    op: name,
    message: `${backend} failed: ${reasonOf(cause)}`,
    shapes: inputs.map((o) => o.shape),
    dtypes: inputs.map((o) => o.dtype),
    hint: 'COTANGENT_NATIVE=0 runs without it. Please report this with the op, its shapes and dtypes.',
    cause,
  })
}

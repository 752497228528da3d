import { createRequire } from 'node:module'
import type { AttachedBackend, BackendRoutine, BackendThreads, Routine, RoutineBackend } from 'cotangent'
import type { Binding, LoadedBinding, NativeDescription } from './binding.ts'
import { byteDepthsOf } from './bytes.ts'
import { describeConvolution, describeProduct } from './convolution.ts'
import { describe, type DescribeOptions } from './describe.ts'
import { describeFewRows } from './few-rows.ts'
import { RoutineCache } from './routine-cache.ts'
import { describeVariant, variantNames } from './variants.ts'

/** What is left to emitted code, and how work is cut. Measured; for tests and tuning. */
export interface NativeBackendOptions {
  /** Multiply-adds below which a routine is left to the engine: emitted code starts faster. */
  readonly minimumWork: number
  /** Multiply-adds that are worth a thread of their own: one that is awake begins a third of a microsecond later, waking one takes much longer. */
  readonly workPerThread: number
  /** Whether it takes products of a few rows, or with vectors, and attention of few scores where other code is as fast. */
  readonly vectors: boolean
  /** How many different routines are kept ready. */
  readonly routines: number
}

const { version: packageVersion } = createRequire(import.meta.url)('@cotangent/native/package.json') as { version: string }

export const defaults: NativeBackendOptions = { minimumWork: 2 ** 15, workPerThread: 2 ** 20, vectors: false, routines: 512 }

/** For tests: whatever oneDNN can do, on all threads. */
export const everything: NativeBackendOptions = { minimumWork: 0, workPerThread: 1, vectors: true, routines: 64 }

/** Computes routines with oneDNN. */
export class NativeBackend implements RoutineBackend {
  readonly name = '@cotangent/native'
  readonly version: string
  readonly #binding: Binding
  readonly #file: string
  readonly #options: NativeBackendOptions
  readonly #cache: RoutineCache
  readonly #machine: DescribeOptions

  /** @param file Of the addon: the engine's threads load it, too, to help. */
  constructor({ binding, file }: LoadedBinding, options: NativeBackendOptions) {
    this.#binding = binding
    this.#file = file
    this.#options = options
    this.#cache = new RoutineCache(binding, options.routines)
    const { version, threading, instructionSet } = binding.info()
    this.version = `${packageVersion} with oneDNN ${version}, ${threading}, ${instructionSet}`
    this.#machine = { fastBfloat16: /BF16|AMX|FP16/.test(instructionSet), byteDepths: byteDepthsOf(instructionSet) }
  }

  attach(memory: WebAssembly.Memory, threads?: BackendThreads): AttachedBackend {
    if (!(memory.buffer instanceof SharedArrayBuffer)) throw new Error('the memory of this engine is not shared, so it may move')
    const heap = this.#binding.attach(new Uint8Array(memory.buffer))
    const binding = this.#binding
    const assist = binding.info().threadsShared ? threads?.addon(this.#file, 'assist') : undefined
    const team = binding.team(heap)
    const watcher = binding.watcher()
    let session = 0
    const ready = (description: NativeDescription | undefined): BackendRoutine | undefined => {
      const cached = description && this.#cache.get(description)
      if (!cached) return undefined
      const { scratchBytes } = cached
      const packed = cached.packed && {
        ...cached.packed,
        key: weightsOf(description),
        pack: (source: number, target: number) => binding.pack(heap, cached.handle(), source, target, memory.buffer.byteLength),
      }
      if (!assist || threadsOf(description) === 1)
        return { scratchBytes, packed, run: (block) => binding.run(heap, cached.handle(), block, memory.buffer.byteLength) }
      return {
        scratchBytes,
        packed,
        run(block) {
          // Before anybody comes to help, as this may throw.
          const handle = cached.handle()
          session = (session + 1) >>> 0
          assist([team, session], (helpers) => binding.run(heap, handle, block, memory.buffer.byteLength, session, helpers))
        },
      }
    }
    return {
      prepare: (routine, threads, variant) =>
        ready(variant === undefined ? this.#byRules(routine, threads) : describeVariant(variant, routine, this.#machine, threads)),
      variants: (routine, threads) => variantNames(routine, this.#machine, threads),
      watcher: {
        seesYoung: true,
        watch: (object) => binding.watch(watcher, object),
        forget: (number) => binding.forget(watcher, number),
        gone: () => binding.gone(watcher),
      },
    }
  }

  #byRules(routine: Routine, threads: number): NativeDescription | undefined {
    const { minimumWork, workPerThread, vectors } = this.#options
    const rows = describeFewRows(routine)
    if (rows && (vectors || !rows.small)) return rows.describe(threads)
    const own = describeConvolution(routine) ?? describeProduct(routine)
    const described = own?.preferred ? { ...own, vector: false, small: false } : describe(routine, this.#machine)
    if (!described || described.work < minimumWork) return undefined
    if (described.small && !vectors) return undefined
    if (described.vector && !vectors && routine.inputs[0]!.dtype === 'float32') return undefined
    return described.describe(Math.max(1, Math.min(threads, Math.round(described.work / workPerThread))))
  }
}

function threadsOf(description: NativeDescription): number {
  if ('attention' in description) return description.attention.threads
  if ('recurrent' in description) return description.recurrent.threads
  if ('convolution' in description) return description.convolution.threads
  return ('fewRows' in description ? description.fewRows : description).threads
}

/** Weights of equal shapes are packed alike. */
function weightsOf(description: NativeDescription): string {
  if (!('convolution' in description)) return ''
  const { kernel, channels } = description.convolution
  return [...kernel, ...channels.slice(1)].join()
}

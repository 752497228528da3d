import { environment } from '../../environment.ts'
import { CotangentError } from '../../errors.ts'
import { Crew, type Launch, maxArgs, maxThreads } from './crew.ts'
import type { Heap } from './heap.ts'
import { hardwareThreads, reasonAgainstThreads } from './thread.ts'
import type { KernelFunction } from './worker.ts'

/** Threads of a pool, how work is cut for them, and when they sleep or count as dead. */
export interface PoolOptions {
  /** Threads, the calling one included; default `COTANGENT_THREADS`, else the cores of this machine. */
  threads?: number
  /** How long an idle worker keeps its core before it sleeps, in milliseconds. */
  spinMs?: number
  /** Chunks a thread that a launch is cut into; more even out better, fewer cost less. */
  chunksPerThread?: number
  /** In browsers, time without progress after which a worker counts as dead, in milliseconds. */
  stallMs?: number
  /** Receives, once each, the reasons for running on fewer threads than asked for. */
  notice?: (message: string) => void
}

/** A compiled and instantiated module. */
interface PoolModule {
  readonly id: number
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly functions: Readonly<Record<string, PoolFunction>>
}

/** An exported function `(begin: i32, end: i32, thread: i32, ...args)` that does the tasks `begin <= i < end`. */
export interface PoolFunction {
  readonly module: PoolModule
  readonly name: string
  /** Place among the module's exports. */
  readonly index: number
  /** The calling thread's own instance of it. */
  readonly call: KernelFunction
}

interface Scratch {
  /** Address of the calling thread's area (thread 0). */
  readonly pointer: number
  /** Bytes from one thread's area to the next; multiple of 64. */
  readonly stride: number
}

/** A quick worker death now and then is repaired; a host that kills them all the time gets no more. */
const maxLosses = 8

/**
 * Runs functions of emitted modules over ranges of tasks, on the calling thread and on workers. Launches are synchronous.
 * Workers start with the first launch that is big enough and take part as soon as they have booted; an idle pool uses no CPU,
 * and its workers do not keep a Node process alive.
 */
export class Pool {
  readonly #heap: Heap
  readonly #notice: (message: string) => void
  readonly #options: Required<Pick<PoolOptions, 'chunksPerThread' | 'stallMs'>> & { spinMs: number | undefined }
  readonly #modules = new Map<number, { pointer: number }>()
  #threads = 1
  #crew: Crew | undefined
  #lastModule = 0
  #losses = 0
  #scratch: Scratch = { pointer: 0, stride: 0 }
  #scratchThreads = 0

  constructor(heap: Heap, options: PoolOptions = {}) {
    this.#heap = heap
    const said = new Set<string>()
    this.#notice = (message) => {
      if (!said.has(message)) options.notice?.(message)
      said.add(message)
    }
    this.#options = { chunksPerThread: options.chunksPerThread ?? 4, stallMs: options.stallMs ?? 60_000, spinMs: options.spinMs }
    if (options.threads !== undefined) this.setThreads(options.threads)
    else if (heap.shared && !reasonAgainstThreads()) this.#threads = defaultThreads()
  }

  /** Threads that a launch is cut for, the calling one included. */
  get threads(): number {
    return this.#threads
  }

  /** Threads that would take part now. */
  get readyThreads(): number {
    return 1 + (this.#crew?.ready ?? 0)
  }

  /** Sets the number of threads, 1 to 128; more than one only where the heap is shared and the host has threads. */
  setThreads(threads: number): void {
    checkThreads(threads, 'setThreads')
    const reason = this.#heap.shared ? reasonAgainstThreads() : 'Cotangent runs on one thread: its memory is not shared.'
    if (threads > 1 && reason) this.#notice(reason)
    this.#threads = reason ? 1 : threads
    this.#losses = 0
    if (this.#crew && this.#crew.size > this.#threads - 1) this.#crew.resize(this.#threads - 1)
  }

  /** Compiles a module and instantiates it here; workers do so when they first need it. Imports: memories and functions of `Math`. */
  load(bytes: Uint8Array<ArrayBuffer>): PoolModule {
    const compiled = new WebAssembly.Module(bytes)
    const imports: Record<string, Record<string, WebAssembly.ImportValue>> = {}
    for (const { module, name, kind } of WebAssembly.Module.imports(compiled)) {
      imports[module] ??= {}
      imports[module][name] = kind === 'memory' ? this.#heap.memory : (Math as unknown as Record<string, KernelFunction>)[name]!
    }
    const { exports } = new WebAssembly.Instance(compiled, imports)
    const functions: Record<string, PoolFunction> = {}
    const loaded: PoolModule = { id: ++this.#lastModule, bytes, functions }
    WebAssembly.Module.exports(compiled).forEach(({ name, kind }, index) => {
      if (kind === 'function') functions[name] = { module: loaded, name, index, call: exports[name] as KernelFunction }
    })
    this.#modules.set(loaded.id, { pointer: 0 })
    return loaded
  }

  /** A function of a Node addon, for `alongside`. Workers load the file when they first need it. */
  loadAddon(file: string, name: string): PoolFunction {
    const functions: Record<string, PoolFunction> = {}
    const loaded: PoolModule = { id: ++this.#lastModule, bytes: new TextEncoder().encode(`${name}\n${file}`), functions }
    functions[name] = { module: loaded, name, index: 0, call: () => {} }
    this.#modules.set(loaded.id, { pointer: 0 })
    return functions[name]
  }

  /**
   * Runs `body` here while workers that are awake in time call `fn(begin, end, thread, open, wait, ...args)`, where they may stay, and wait for the next
   * time that they are wanted there. `body` is given how many are on their way, besides those that are there. They have to return when the
   * lowest bit of the word at the address `open` is cleared, or, between one `body` and the next, when they have waited for so many microseconds.
   */
  alongside(fn: PoolFunction, args: readonly number[], body: (workers: number) => void): void {
    const crew = this.#threads > 1 ? this.#muster() : undefined
    const workers = crew?.ready ?? 0
    if (!crew || workers === 0 || crew.has(fn.module.id)) return body(0)
    crew.lend(this.#job(fn, { tasks: workers, step: 1, chunks: workers, args }))
    body(workers)
  }

  /**
   * Calls `fn(begin, end, thread, ...args)` on ranges that cover the tasks 0 to `tasks - 1` once, and returns when all are done.
   * Every range starts at a multiple of `grain` and all but the last hold whole grains; no more than `grain` tasks run on the
   * calling thread alone. So a grain should be worth at least a few microseconds.
   * Throws `engine-failure` when the function traps or a worker dies; some of the tasks are done then.
   */
  run(fn: PoolFunction, tasks: number, grain: number, args: readonly number[]): void {
    if (tasks <= grain || this.#threads === 1) {
      if (tasks > 0) callAll(fn, tasks, args)
    } else {
      this.#runParallel(fn, tasks, grain, args)
    }
  }

  /**
   * Working memory for kernels: thread `t` owns `bytes` bytes from `pointer + t * stride`. Contents are undefined.
   * The area is shared by all launches and moves when a call asks for more, so ask before each launch.
   */
  scratch(bytes: number): Scratch {
    if (bytes > this.#scratch.stride || this.#threads > this.#scratchThreads) {
      const stride = Math.ceil(Math.max(bytes, this.#scratch.stride, 64) / 64) * 64
      const old = this.#scratch.pointer
      this.#scratch = { pointer: 0, stride: 0 }
      this.#scratchThreads = 0
      if (old !== 0) this.#heap.free(old)
      this.#scratch = { pointer: this.#heap.alloc(stride * this.#threads), stride }
      this.#scratchThreads = this.#threads
    }
    return this.#scratch
  }

  /** Starts the workers now. Launches never need it. */
  start(): void {
    this.#muster()
  }

  /** Starts the workers now and resolves to the number of threads once they have booted. Launches never need it. */
  async ready(): Promise<number> {
    this.start()
    while (this.#crew && this.readyThreads < 1 + this.#crew.size) await new Promise((resolve) => setTimeout(resolve, 1))
    return this.readyThreads
  }

  /** Ends the workers and gives the pool's memory back. A later launch starts anew. */
  close(): void {
    this.#crew?.dismiss()
    this.#crew = undefined
    for (const known of this.#modules.values()) {
      if (known.pointer !== 0) this.#heap.free(known.pointer)
      known.pointer = 0
    }
    if (this.#scratch.pointer !== 0) this.#heap.free(this.#scratch.pointer)
    this.#scratch = { pointer: 0, stride: 0 }
    this.#scratchThreads = 0
  }

  #runParallel(fn: PoolFunction, tasks: number, grain: number, args: readonly number[]): void {
    const crew = this.#muster()
    if (!crew || crew.ready === 0) return callAll(fn, tasks, args)
    if (args.length > maxArgs) {
      throw new CotangentError('engine-failure', {
        op: fn.name,
        message: `${args.length} arguments, ${maxArgs} are the most a launch takes`,
      })
    }
    const grains = Math.ceil(tasks / grain)
    const step = Math.ceil(grains / (this.#threads * this.#options.chunksPerThread)) * grain
    crew.launch(
      (begin, end, values) => callRange(fn, begin, end, values),
      this.#job(fn, { tasks, step, chunks: Math.ceil(tasks / step), args }),
    )
  }

  #job(fn: PoolFunction, work: Pick<Launch, 'tasks' | 'step' | 'chunks' | 'args'>): Launch {
    const { module, index, name } = fn
    const known = this.#modules.get(module.id)!
    const { length } = module.bytes
    if (known.pointer === 0) {
      known.pointer = this.#heap.alloc(length)
      this.#heap.u8.set(module.bytes, known.pointer)
    }
    return { ...work, module: module.id, pointer: known.pointer, length, index, name }
  }

  /** The crew at its right size, as far as the host allows. */
  #muster(): Crew | undefined {
    const size = this.#threads - 1
    if (this.#crew?.broken) this.#crew = undefined
    if (this.#crew?.size === size) return this.#crew
    if (size === 0 || this.#losses > maxLosses) return this.#crew
    const spinMs = this.#options.spinMs ?? (this.#threads > hardwareThreads() ? 0 : 0.05)
    this.#crew ??= new Crew(this.#heap, { spinMs, stallMs: this.#options.stallMs, lost: (error) => this.#lost(error) })
    try {
      this.#crew.resize(size)
    } catch (error) {
      this.#threads = this.#crew.size + 1
      this.#notice(`Cotangent runs on ${this.#threads} threads: the host refused to start more workers (${String(error)}).`)
    }
    return this.#crew
  }

  #lost(error: unknown): void {
    this.#losses++
    if (this.#losses <= maxLosses) return
    this.#threads = 1 + (this.#crew?.size ?? 0)
    this.#notice(
      `Cotangent runs on ${this.#threads} threads: its workers keep ending (${error === undefined ? 'terminated' : String(error)}).`,
    )
  }
}

const callAll = (fn: PoolFunction, tasks: number, args: readonly number[]): void => callRange(fn, 0, tasks, args)

/** The calling thread's share. */
function callRange(fn: PoolFunction, begin: number, end: number, args: readonly number[]): void {
  try {
    const caller = callers[args.length]
    if (caller) caller(fn.call, begin, end, args)
    else fn.call(begin, end, 0, ...args)
  } catch (cause) {
    throw failureOf(fn, cause)
  }
}

/** What to throw when a call of the function threw. */
export function failureOf(fn: PoolFunction, cause: unknown): CotangentError {
  return new CotangentError('engine-failure', {
    op: fn.name,
    message: `failed: ${String(cause)}`,
    hint: 'This is a fault of the library: please report it with the op, its shapes and dtypes.',
    cause,
  })
}

// By number of arguments; spreading them costs ten times the call.
const callers: readonly ((f: KernelFunction, begin: number, end: number, a: readonly number[]) => void)[] = [
  (f, begin, end) => f(begin, end, 0),
  (f, begin, end, a) => f(begin, end, 0, a[0]!),
  (f, begin, end, a) => f(begin, end, 0, a[0]!, a[1]!),
  (f, begin, end, a) => f(begin, end, 0, a[0]!, a[1]!, a[2]!),
  (f, begin, end, a) => f(begin, end, 0, a[0]!, a[1]!, a[2]!, a[3]!),
  (f, begin, end, a) => f(begin, end, 0, a[0]!, a[1]!, a[2]!, a[3]!, a[4]!),
  (f, begin, end, a) => f(begin, end, 0, a[0]!, a[1]!, a[2]!, a[3]!, a[4]!, a[5]!),
  (f, begin, end, a) => f(begin, end, 0, a[0]!, a[1]!, a[2]!, a[3]!, a[4]!, a[5]!, a[6]!),
  (f, begin, end, a) => f(begin, end, 0, a[0]!, a[1]!, a[2]!, a[3]!, a[4]!, a[5]!, a[6]!, a[7]!),
  (f, begin, end, a) => f(begin, end, 0, a[0]!, a[1]!, a[2]!, a[3]!, a[4]!, a[5]!, a[6]!, a[7]!, a[8]!),
  (f, begin, end, a) => f(begin, end, 0, a[0]!, a[1]!, a[2]!, a[3]!, a[4]!, a[5]!, a[6]!, a[7]!, a[8]!, a[9]!),
]

function checkThreads(threads: number, op: string): void {
  if (Number.isInteger(threads) && threads >= 1 && threads <= maxThreads) return
  throw new CotangentError('invalid-argument', {
    op,
    message: `cannot run on ${threads} threads`,
    hint: `Give a whole number from 1 to ${maxThreads}.`,
  })
}

function defaultThreads(): number {
  const wanted = environment('COTANGENT_THREADS')
  if (wanted === undefined || wanted === '') return Math.max(1, Math.min(maxThreads, hardwareThreads()))
  checkThreads(Number(wanted), 'COTANGENT_THREADS')
  return Number(wanted)
}

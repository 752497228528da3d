import { CotangentError } from '../errors.ts'
import { type Spec, spec } from '../layout.ts'
import { checkCount } from './check.ts'
import type { ElementContext } from './element-context.ts'
import type { Key } from './key.ts'
import { Pending } from './later.ts'
import { ResultSlots } from './result-slots.ts'
import { type AnyWorker, type Line, lineTo, startWorker } from './worker-line.ts'
import { pack, type PackedValue, transfersOf, unpack, unpackError, type WorkerReply } from './worker-message.ts'

/**
 * What workers run: a module, or a function that starts a worker on it. Bundlers find the module when it is written in one go:
 * `() => new Worker(new URL('./augment.ts', import.meta.url), { type: 'module' })`.
 */
export type WorkerModule = URL | (() => AnyWorker)

/** How many threads a pool has. */
export interface WorkerPoolOptions {
  /** Default: one less than there are cores. */
  readonly workers?: number
}

interface Member {
  readonly line: Line
  readonly calls: Map<number, Call>
  readonly ready: Promise<void>
}

interface Call {
  readonly index: number
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** Errors of the function itself, as opposed to those of the worker. */
export class WorkerFunctionError extends Error {
  override readonly cause: Error

  constructor(cause: Error) {
    super(cause.message)
    this.cause = cause
  }
}

/**
 * Workers that run a function of a module: see `inWorker`. A pipeline starts and ends its own; make a pool to keep them from one epoch
 * to the next, or to share them.
 *
 *     using pool = new WorkerPool<typeof augment>(new URL('./augment.ts', import.meta.url), { workers: 4 })
 */
export class WorkerPool<F extends (value: never, context: ElementContext) => unknown> {
  readonly #module: WorkerModule
  readonly #options: WorkerPoolOptions
  #members: Member[] | undefined
  #calls = 0
  /** The last result's tensors: the next one's are mostly the same. */
  #expected: readonly Spec[] = []
  /** Only for types. */
  declare readonly runs: F

  constructor(module: WorkerModule, options: WorkerPoolOptions = {}) {
    if (options.workers !== undefined) checkCount('WorkerPool', 'workers', options.workers)
    if (!(module instanceof URL) && typeof module !== 'function')
      throw noModule(`the module is ${typeof module === 'string' ? `the text '${String(module)}'` : typeof module}`)
    this.#module = module
    this.#options = options
  }

  /** How many threads it has, or will have once it is used. */
  get workers(): number {
    return this.#options.workers ?? Math.max(1, (globalThis.navigator?.hardwareConcurrency ?? 2) - 1)
  }

  /** Has a worker change an element. Workers start with the first. */
  async run(value: Parameters<F>[0], index: number, key: Key): Promise<Awaited<ReturnType<F>>> {
    this.#members ??= Array.from({ length: this.workers }, () => this.#start())
    const members = this.#members
    const member = members.reduce((least, other) => (other.calls.size < least.calls.size ? other : least))
    const id = this.#calls++
    const result = new Promise<unknown>((resolve, reject) => member.calls.set(id, { index, resolve, reject }))
    // Whoever fails below says so.
    result.catch(() => {})
    member.line.hold(true)
    let room: ResultSlots | undefined
    try {
      const [element] = await Promise.all([pack(value), member.ready])
      if (member.calls.has(id)) {
        room = new ResultSlots(this.#expected)
        const { slots } = room
        try {
          member.line.post({ cotangent: 'call', id, element, index, key, slots }, transfersOf(element, { arrays: false }))
        } catch (error) {
          throw unsendable(index, error)
        }
      }
      const packed = (await result) as PackedValue
      this.#expected = packed.tensors.map(({ dtype, shape }) => spec(dtype, shape))
      return unpack(packed, (record) => room?.take(record)) as Awaited<ReturnType<F>>
    } finally {
      room?.release()
      member.calls.delete(id)
      if (member.calls.size === 0 && this.#members === members) member.line.hold(false)
    }
  }

  /** Ends the workers; elements that are being made are given up. A later `run` starts new ones. */
  async close(): Promise<void> {
    const members = this.#members ?? []
    this.#members = undefined
    await Promise.all(members.map(({ line }) => line.close()))
  }

  [Symbol.dispose](): void {
    void this.close()
  }

  #start(): Member {
    const calls = new Map<number, Call>()
    const state = new Pending<void>()
    const ready = Promise.resolve(state)
    ready.catch(() => {})
    const fail = (error: CotangentError) => {
      state.reject(error)
      for (const call of calls.values()) call.reject(error)
      calls.clear()
    }
    const worker = this.#module instanceof URL ? startWorker(this.#module) : ownWorker(this.#module)
    const line = lineTo(worker, {
      reply: (reply: WorkerReply) => {
        if (reply.cotangent === 'ready') state.resolve()
        else if (reply.cotangent === 'unusable') fail(this.#unusable(unpackError(reply.error)))
        else if (reply.cotangent === 'done') calls.get(reply.id)?.resolve(reply.element)
        else if (reply.cotangent === 'failed') calls.get(reply.id)?.reject(new WorkerFunctionError(unpackError(reply.error)))
      },
      ended: (cause) => {
        const made = [...calls.values()].map(({ index }) => index)
        const closed = !this.#members?.some((member) => member.line === line)
        fail(closed ? closedWhile(made) : diedWhile(made, cause))
        // Those that are left go on; the next call without any starts new ones.
        this.#members = this.#members?.filter((member) => member.line !== line)
        if (this.#members?.length === 0) this.#members = undefined
      },
    })
    return { line, calls, ready }
  }

  #unusable(cause: Error): CotangentError {
    return new CotangentError('invalid-argument', {
      op: 'mapInWorkers',
      message: `the workers' module${this.#module instanceof URL ? ` ${this.#module.href}` : ''} cannot be used: ${cause.message}`,
      cause,
      hint: 'It has to load, and to pass its function to inWorker().',
    })
  }
}

/** The worker of a function that starts one; functions of elements are easily passed in its place. */
function ownWorker(start: () => AnyWorker): AnyWorker {
  let worker: unknown
  try {
    worker = start()
  } catch (cause) {
    throw noModule(`the function that should start a worker failed: ${(cause as Error).message}`, cause)
  }
  if (typeof (worker as Partial<AnyWorker> | null | undefined)?.postMessage === 'function') return worker as AnyWorker
  throw noModule('the function gave no worker')
}

const noModule = (message: string, cause?: unknown): CotangentError =>
  new CotangentError('invalid-argument', {
    op: 'mapInWorkers',
    message,
    hint: "What workers do is in a module of its own, which passes it to inWorker(): mapInWorkers(new URL('./augment.ts', import.meta.url)).",
    cause,
  })

const making = (elements: readonly number[]): string => (elements.length > 0 ? ` while it made element ${elements.join(' and ')}` : '')

function diedWhile(elements: readonly number[], cause: Error): CotangentError {
  return new CotangentError('engine-failure', {
    op: 'mapInWorkers',
    message: `a worker died${making(elements)}: ${cause.message}`,
    cause,
    hint: 'It may have run out of memory, or its code ended the process.',
  })
}

function closedWhile(elements: readonly number[]): CotangentError {
  return new CotangentError('engine-failure', {
    op: 'mapInWorkers',
    message: `a worker was ended${making(elements)}: the pool was closed`,
    hint: 'Close the WorkerPool when no pass goes on any more; `using` does so at the end of its block.',
  })
}

function unsendable(index: number, cause: unknown): CotangentError {
  return new CotangentError('invalid-argument', {
    op: 'mapInWorkers',
    message: `element ${index} cannot be sent to a worker: ${(cause as Error).message.replace(/\.$/, '')}`,
    hint: 'Elements may hold tensors, typed arrays and what structuredClone() takes, but no functions.',
    cause,
  })
}

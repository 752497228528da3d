import { dtypeInfo } from '../dtype.ts'
import type { Buffer, Engine } from '../engine/engine.ts'
import { type ObjectWatcher, WeakReferences } from '../engine/object-watcher.ts'
import type { Spec } from '../layout.ts'
import { explainOutOfMemory } from './memory-report.ts'
import { modes } from './modes.ts'

/** A buffer and whether it still has to be given back. */
export interface Block {
  readonly buffer: Buffer
  /** What was first stored there, by which op, and the stack at the time while anomaly detection is on. */
  readonly spec: Spec
  readonly maker: string
  readonly trace: string | undefined
  released: boolean
}

/** What the storages of one group hold on to, so that its death tells of theirs. */
export type Token = object

const groupBytes = 64 * 1024
const groupBlocks = 32

/** How eagerly memory of tensors that nobody holds any more is looked for. */
export interface ReclaimOptions {
  /** Growth of memory in use, in bytes, after which a collection is worth its cost: adapted between these bounds. */
  readonly leastGrowth?: number
  readonly mostGrowth?: number
  /** Groups of blocks that may come up before their bookkeeping is looked through. */
  readonly groups?: number
}

/** The share of the running time that collections may take. */
const share = { least: 0.01, most: 0.05 }

/**
 * Frees the buffers of storages that the program can no longer reach. Nobody has to free by hand.
 *
 * JavaScript tells of dead objects only between tasks, which a synchronous training loop never leaves. So the reclaimer
 * asks: when memory in use has grown, it runs the garbage collector where the host lets it and looks which objects have
 * gone. How much growth it waits for follows from what a collection costs. Watching an object costs as much as a small
 * op; storages made one after the other therefore share one, and small buffers go back when their whole group is dead.
 * A large buffer is a group of its own.
 *
 * Where the engine's watcher sees young objects go, collections of these do nearly all of it, in a tenth of the time. Full ones are for what they leave:
 * what has become old before it died.
 */
export class Reclaimer {
  readonly #engine: Engine
  readonly #options: Required<ReclaimOptions>
  readonly #watcher: ObjectWatcher
  /** By the watcher's number. */
  readonly #groups = new Map<number, Block[]>()
  #token: Token | undefined
  #blocks: Block[] = []
  #bytes = 0
  /** Bytes in use, and at how many (or at how many groups) to collect. */
  #inUse = 0
  #growth: number
  #collectAt: number
  #collectAtGroups: number
  /** Bytes in use from which on those that collections of young objects have left are worth a full one. */
  #fullAt: number
  #lastCollection = performance.now()

  constructor(engine: Engine, options: ReclaimOptions = {}) {
    this.#engine = engine
    this.#watcher = engine.watcher ?? new WeakReferences()
    this.#options = { leastGrowth: 16 * 2 ** 20, mostGrowth: 256 * 2 ** 20, groups: 4096, ...options }
    this.#fullAt = this.#options.mostGrowth
    this.#growth = Math.min(2 * this.#options.leastGrowth, this.#fullAt)
    this.#collectAt = this.#growth
    this.#collectAtGroups = this.#options.groups
    engine.onPressure = () => this.collect('hard')
  }

  /** Allocates a block; its storage has to hold what `track` returns for as long as it needs it. */
  allocate(spec: Spec, maker: string): Block {
    const bytes = spec.size * dtypeInfo[spec.dtype].size
    if (this.#inUse + bytes > this.#collectAt || this.#groups.size > this.#collectAtGroups) this.collect('soft')
    const buffer = this.#obtain(spec, maker, bytes)
    this.#inUse += bytes
    return { buffer, spec, maker, trace: modes.anomaly ? new Error().stack : undefined, released: false }
  }

  #obtain(spec: Spec, maker: string, bytes: number): Buffer {
    try {
      return this.#engine.allocate(bytes)
    } catch (error) {
      throw explainOutOfMemory(error, { spec, maker, bytes, use: this.#engine.memoryUse(), live: this.#live() })
    }
  }

  #live(): Block[] {
    return [...this.#groups.values()].flatMap((blocks) => blocks.filter((b) => !b.released))
  }

  /** Registers a block of `allocate`; returns what its storage has to hold on to. */
  track(block: Block): Token {
    const { bytes } = block.buffer
    if (!this.#token || this.#blocks.length === groupBlocks || this.#bytes + bytes > groupBytes) {
      this.#token = {}
      this.#blocks = []
      this.#bytes = 0
      this.#groups.set(this.#watcher.watch(this.#token), this.#blocks)
    }
    this.#blocks.push(block)
    this.#bytes += bytes
    return this.#token
  }

  release(block: Block): void {
    if (block.released) return
    block.released = true
    this.#inUse -= block.buffer.bytes
    this.#engine.free(block.buffer)
  }

  /** Frees what is unreachable; returns the number of bytes. `soft` avoids the cost of a full collection where it can. */
  collect(level: 'soft' | 'hard'): number {
    const start = performance.now()
    const before = { bytes: this.#inUse, groups: this.#groups.size }
    const { seesYoung } = this.#watcher
    const enough = () => this.#inUse <= before.bytes - this.#growth / 2 && this.#groups.size <= before.groups / 2
    this.#token = undefined
    this.#blocks = []
    forgetRecentlyUsed()
    // The host may have collected by itself, and blocks may have been released by hand.
    if (level === 'soft') this.#sweep()
    if (level === 'soft' && seesYoung && !enough()) {
      host()?.gc({ type: 'minor' })
      this.#sweep()
    }
    const goesOn = seesYoung ? this.#inUse > this.#fullAt || this.#groups.size > this.#collectAtGroups : !enough()
    if (level === 'hard' || goesOn) {
      forgetRecentlyUsed()
      collectGarbage(level)
      this.#sweep()
      this.#fullAt = this.#inUse + this.#options.mostGrowth
    }
    forgetRecentlyUsed()
    this.#adapt(start)
    return before.bytes - this.#inUse
  }

  /** Sets when to collect next: rarely where collections are dear, often where they are cheap. */
  #adapt(start: number): void {
    const now = performance.now()
    const spent = (now - start) / (now - this.#lastCollection)
    this.#lastCollection = now
    const { leastGrowth, mostGrowth, groups } = this.#options
    if (spent > share.most) this.#growth = Math.min(2 * this.#growth, mostGrowth)
    else if (spent < share.least) this.#growth = Math.max(this.#growth / 2, leastGrowth)
    this.#collectAt = this.#inUse + this.#growth
    this.#collectAtGroups = 2 * this.#groups.size + groups
  }

  #sweep(): void {
    for (const number of this.#watcher.gone()) {
      for (const block of this.#groups.get(number)!) this.release(block)
      this.#groups.delete(number)
    }
    for (const [number, blocks] of this.#groups) {
      if (blocks.some((b) => !b.released)) continue
      this.#groups.delete(number)
      this.#watcher.forget(number)
    }
  }
}

interface Host {
  /** Default: all objects, not just young ones. */
  gc(options?: { type: 'minor' }): void
  /** Ends the grace that a weak reference gives its target until the end of the current task. */
  endTask(): void
}

let known: Host | null | undefined
const host = (): Host | null => (known === undefined ? (known = nodeHost()) : known)

function collectGarbage(level: 'soft' | 'hard'): void {
  const node = host()
  if (node) node.gc()
  else provokeGarbageCollection(level)
}

function forgetRecentlyUsed(): void {
  host()?.endTask()
}

/** Node lets a program run its collector and drain a microtask queue of its own, which is what ends a task. */
function nodeHost(): Host | null {
  const builtin = (globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }).process?.getBuiltinModule
  if (!builtin) return null
  const v8 = builtin('node:v8') as { setFlagsFromString(flags: string): void } | undefined
  const vm = builtin('node:vm') as
    | { createContext(o: object, options: object): object; runInContext(code: string, context: object): unknown }
    | undefined
  if (!v8?.setFlagsFromString || !vm) return null
  const context = vm.createContext({}, { microtaskMode: 'afterEvaluate' })
  v8.setFlagsFromString('--expose-gc')
  const gc = vm.runInContext('globalThis.gc', vm.createContext({}, {})) as Host['gc'] | undefined
  if (typeof gc !== 'function') return null
  return { gc, endTask: () => void vm.runInContext('0', context) }
}

/** Browsers collect when array buffers grow: make some garbage of the size that we know is there. */
function provokeGarbageCollection(level: 'soft' | 'hard'): void {
  for (let i = 0; i < (level === 'hard' ? 8 : 2); i++) new ArrayBuffer(64 * 2 ** 20)
}

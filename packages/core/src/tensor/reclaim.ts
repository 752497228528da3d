import type { Buffer, Engine } from '../engine/engine.ts'

/** A buffer and whether it still has to be given back. */
export interface Block {
  readonly buffer: Buffer
  released: boolean
}

/** What the storages of one group hold on to, so that its death tells of theirs. */
export type Token = object

interface Group {
  readonly token: WeakRef<Token>
  readonly blocks: Block[]
}

const groupBytes = 64 * 1024
const groupBlocks = 32

/**
 * Frees the buffers of storages that the program can no longer reach. Nobody has to free by hand.
 *
 * JavaScript tells of dead objects only between tasks, which a synchronous training loop never leaves. So the reclaimer
 * asks: under memory pressure it runs the garbage collector where the host lets it and looks which weak references went
 * dead. A weak reference costs as much as a small op; storages made one after the other therefore share one, and small
 * buffers go back when their whole group is dead. A large buffer is a group of its own.
 */
export class Reclaimer {
  readonly #engine: Engine
  #groups: Group[] = []
  #token: Token | undefined
  #blocks: Block[] = []
  #bytes = 0

  constructor(engine: Engine) {
    this.#engine = engine
    engine.onPressure = (level) => this.collect(level)
  }

  /** Registers a block; its storage must hold the token for as long as it needs the block. */
  track(block: Block): Token {
    const bytes = block.buffer.bytes
    if (!this.#token || this.#blocks.length === groupBlocks || this.#bytes + bytes > groupBytes) {
      this.#token = {}
      this.#blocks = []
      this.#bytes = 0
      this.#groups.push({ token: new WeakRef(this.#token), blocks: this.#blocks })
    }
    this.#blocks.push(block)
    this.#bytes += bytes
    return this.#token
  }

  /** Frees what is unreachable; returns the number of bytes. `soft` avoids the cost of a full collection where it can. */
  collect(level: 'soft' | 'hard'): number {
    this.#token = undefined
    this.#blocks = []
    forgetRecentlyUsed()
    collectGarbage(level)
    const freed = this.#sweep()
    forgetRecentlyUsed()
    return freed
  }

  #sweep(): number {
    let freed = 0
    const alive: Group[] = []
    for (const group of this.#groups) {
      if (group.token.deref() === undefined) {
        for (const block of group.blocks) {
          if (!block.released) {
            block.released = true
            freed += block.buffer.bytes
            this.#engine.free(block.buffer)
          }
        }
      } else if (group.blocks.some((b) => !b.released)) alive.push(group)
    }
    this.#groups = alive
    return freed
  }
}

interface Host {
  gc(options?: { type: 'major' | 'minor' }): void
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
  return { gc: () => gc(), endTask: () => void vm.runInContext('0', context) }
}

/** Browsers collect when array buffers grow: make some garbage of the size that we know is there. */
function provokeGarbageCollection(level: 'soft' | 'hard'): void {
  for (let i = 0; i < (level === 'hard' ? 8 : 2); i++) new ArrayBuffer(64 * 2 ** 20)
}

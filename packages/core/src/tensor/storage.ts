import type { Buffer, Engine } from '../engine/engine.ts'
import { CotangentError } from '../errors.ts'
import type { Spec } from '../layout.ts'
import { changes } from './changes.ts'
import { type Block, Reclaimer, type ReclaimOptions, type Token } from './reclaim.ts'

const reclaimers = new WeakMap<Engine, Reclaimer>()
/** The one asked for last: looking it up takes as long as all else that makes a small storage. */
let recent: { readonly engine: Engine; readonly reclaimer: Reclaimer } | null = null

/** @param options Hold from the first use of the engine on. */
export function reclaimerOf(engine: Engine, options?: ReclaimOptions): Reclaimer {
  if (recent?.engine === engine) return recent.reclaimer
  let reclaimer = reclaimers.get(engine)
  if (!reclaimer) {
    reclaimer = new Reclaimer(engine, options)
    reclaimers.set(engine, reclaimer)
  }
  recent = { engine, reclaimer }
  return reclaimer
}

/** Storages made while a scope is open; see `tidy`. */
let openScope: Storage[] | null = null

/** Stands for the memory of a tensor that is being traced. */
export class Placeholder {
  version = 0
  readonly released = false

  /** Whether it only stands for memory. */
  get isPlaceholder(): boolean {
    return true
  }

  /** What stands for the same value, cut off from gradients. */
  detached(): Placeholder {
    return this
  }

  /** Why it has no numbers, and what to do instead. */
  get refusal(): { readonly message: string; readonly hint: string } {
    return {
      message: 'this tensor is being traced, so it has no numbers yet',
      hint: 'Return it and read it outside, or choose with where(), cond() or whileLoop() instead of a JavaScript condition.',
    }
  }
}

/** Memory that one or more tensors read. */
export class Storage {
  readonly engine: Engine
  /** Goes up with every write in place, so that autograd notices when a value that it saved has changed. */
  version = 0
  /** Outlives the scopes that it was made in. */
  kept = false
  /** Whether a compiled function writes it as memory that it captured or owns, so that it may be no argument of that one. */
  isProgramState = false
  readonly #spec: Spec
  readonly #maker: string
  #block: Block | null = null
  /** The block's, as long as it is held. */
  #buffer: Buffer | null = null
  /** Holds what it is, as the reclaimer sees by it that this storage is still there. */
  token: Token | null = null
  /** Null where it lies in the buffer, and once it is released. */
  #word: number | null = null

  /**
   * @param maker The op that fills it; named when memory runs out.
   * @param word The 32 bits of its one element. They are on the engine only from when somebody asks for the buffer: most losses are
   *   looked at now and then, and objects without memory are the garbage collector's business alone.
   */
  constructor(engine: Engine, spec: Spec, maker: string, word?: number) {
    this.engine = engine
    this.#spec = spec
    this.#maker = maker
    if (word === undefined) this.#allocate()
    else this.#word = word
    if (openScope !== null) openScope.push(this)
  }

  /** Whether it only stands for memory: see `Placeholder`. */
  get isPlaceholder(): boolean {
    return false
  }

  get buffer(): Buffer {
    return this.#buffer ?? this.#bufferOfWord()
  }

  #bufferOfWord(): Buffer {
    this.checkHeld()
    const buffer = this.#allocate()
    this.engine.write(buffer, 'int32', 0, Int32Array.of(this.#word!))
    this.#word = null
    return buffer
  }

  #allocate(): Buffer {
    const reclaimer = reclaimerOf(this.engine)
    this.#block = reclaimer.allocate(this.#spec, this.#maker)
    this.token = reclaimer.track(this.#block)
    return (this.#buffer = this.#block.buffer)
  }

  /** Throws if it was released. */
  checkHeld(): void {
    if (this.released) {
      throw new CotangentError('released-tensor', {
        message: 'this tensor was released, so its values are gone',
        hint: 'It was disposed, or made inside a tidy() that did not return it: return it from there, or keep() it.',
      })
    }
  }

  /** How many it holds. */
  get elements(): number {
    return this.#spec.size
  }

  get released(): boolean {
    return this.#buffer === null && this.#word === null
  }

  release(): void {
    this.#word = this.#buffer = null
    if (this.#block === null) return
    reclaimerOf(this.engine).release(this.#block)
    changes.count++
  }
}

/** Runs `body` and returns its result with the storages that were made meanwhile. */
export function collectStorages<T>(body: () => T): { result: T; made: Storage[] } {
  const outer = openScope
  const made: Storage[] = []
  openScope = made
  try {
    return { result: body(), made }
  } catch (error) {
    for (const storage of made) storage.release()
    throw error
  } finally {
    openScope = outer
  }
}

/** Runs `body` as if no scope were open: what it makes is used at times that the scope knows nothing of. */
export function outsideScopes<T>(body: () => T): T {
  const outer = openScope
  openScope = null
  try {
    return body()
  } finally {
    openScope = outer
  }
}

/** Hands storages that outlive a scope to the scope around it. */
export function adoptStorages(storages: Iterable<Storage>): void {
  if (openScope) for (const storage of storages) openScope.push(storage)
}

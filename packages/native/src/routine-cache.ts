import type { Binding, Handle, NativeDescription, PreparedRoutine } from './binding.ts'

/** A routine that is made ready when it is needed. */
interface CachedRoutine {
  readonly scratchBytes: number
  readonly packed: PreparedRoutine['packed']
  /** Valid until another one is asked for. */
  handle(): Handle
}

/** JSON makes null of some numbers, and 0 of -0. */
const distinct = (_: string, value: unknown) =>
  typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)) ? (Object.is(value, -0) ? '-0' : String(value)) : value

class Entry implements CachedRoutine {
  readonly scratchBytes: number
  readonly packed: PreparedRoutine['packed']
  readonly key: string
  readonly description: NativeDescription
  readonly #cache: RoutineCache
  live: Handle | undefined
  used = 0

  constructor(cache: RoutineCache, key: string, description: NativeDescription, prepared: PreparedRoutine) {
    this.#cache = cache
    this.key = key
    this.description = description
    this.live = prepared.handle
    this.scratchBytes = prepared.scratchBytes
    this.packed = prepared.packed
  }

  handle(): Handle {
    return this.#cache.use(this)
  }
}

/**
 * The prepared routines of this thread, one for equal descriptions: layers of one shape share it. Each holds machine code of some
 * ten kilobytes, and the engine forgets none of its programs, so those that have not run for longest go, and come back when they
 * run again.
 */
export class RoutineCache {
  readonly #binding: Binding
  readonly #capacity: number
  readonly #live = new Map<string, Entry>()
  #clock = 0

  constructor(binding: Binding, capacity: number) {
    this.#binding = binding
    this.#capacity = capacity
  }

  /** How many are ready. */
  get size(): number {
    return this.#live.size
  }

  /** Undefined where oneDNN has nothing for it. */
  get(description: NativeDescription): CachedRoutine | undefined {
    const key = JSON.stringify(description, distinct)
    const known = this.#live.get(key)
    if (known) return known
    const prepared = this.#binding.prepare(description)
    if (!prepared) return undefined
    const entry = new Entry(this, key, description, prepared)
    this.#admit(entry)
    return entry
  }

  use(entry: Entry): Handle {
    entry.used = ++this.#clock
    if (!entry.live) {
      entry.live = this.#binding.prepare(entry.description)!.handle
      this.#admit(entry)
    }
    return entry.live
  }

  #admit(entry: Entry): void {
    entry.used = ++this.#clock
    // One that came back while an equal one was ready takes its place.
    this.#forget(this.#live.get(entry.key))
    this.#live.set(entry.key, entry)
    if (this.#live.size <= this.#capacity) return
    let oldest = entry
    for (const other of this.#live.values()) if (other.used < oldest.used) oldest = other
    this.#forget(oldest)
  }

  #forget(entry: Entry | undefined): void {
    if (!entry) return
    this.#live.delete(entry.key)
    this.#binding.release(entry.live!)
    entry.live = undefined
  }
}

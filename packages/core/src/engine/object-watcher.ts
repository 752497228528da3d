/** Tells which JavaScript objects nobody can reach any more. */
export interface ObjectWatcher {
  /** Whether a collection of young objects is enough for it. JavaScript's own weak references hold what they refer to until a full one, which takes ten times as long. */
  readonly seesYoung: boolean
  /** The number by which the object is known, until it is gone or forgotten; numbers are given out again. */
  watch(object: object): number
  forget(number: number): void
  /** The numbers of those that have gone since this was last asked. */
  gone(): readonly number[]
}

/** The watcher of hosts that have no better one. */
export class WeakReferences implements ObjectWatcher {
  readonly seesYoung = false
  readonly #references: (WeakRef<object> | undefined)[] = []
  readonly #free: number[] = []

  watch(object: object): number {
    const number = this.#free.pop() ?? this.#references.length
    this.#references[number] = new WeakRef(object)
    return number
  }

  forget(number: number): void {
    this.#references[number] = undefined
    this.#free.push(number)
  }

  gone(): number[] {
    const gone = [...this.#references.keys()].filter((number) => this.#references[number] && !this.#references[number].deref())
    for (const number of gone) this.forget(number)
    return gone
  }
}

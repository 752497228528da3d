/**
 * A list of moments that holds a limited number of them: when full, every second one goes, but never the first or the latest. What is left
 * is spread over the whole time. Deterministic, unlike TensorBoard's reservoir, so that two looks at a run show the same.
 */
export class Thinned<T extends { step: number }> {
  readonly #limit: number
  #items: T[] = []
  #stride = 1
  #seen = 0
  #latestIsExtra = false

  /** @param limit at least 2. */
  constructor(limit: number) {
    this.#limit = limit
  }

  get items(): readonly T[] {
    return this.#items
  }
  /** How many were added, those that went included. */
  get seen(): number {
    return this.#seen
  }

  add(item: T): void {
    const last = this.#items.at(-1)
    if (last && item.step < last.step) {
      // The run went on from a checkpoint: what it writes again takes the place of what was there.
      this.#items = this.#items.filter(({ step }) => step < item.step)
      this.#seen = this.#items.length * this.#stride
      this.#latestIsExtra = false
    }
    if (this.#latestIsExtra) this.#items.pop()
    if (this.#items.length >= this.#limit) {
      this.#items = this.#items.filter((_, i) => i % 2 === 0)
      this.#stride *= 2
    }
    this.#latestIsExtra = this.#seen % this.#stride !== 0
    this.#seen++
    this.#items.push(item)
  }
}

/** The share of the time that reading logs for a display may take. */
const readingShare = 0.02

/** When to look at a training again: every so often, and less often where looking takes long. */
export class Refresh {
  readonly #everyMs: number
  #next: number
  #readMs = 0

  constructor(everySeconds: number) {
    this.#everyMs = 1000 * everySeconds
    this.#next = performance.now() + this.#everyMs
  }

  get due(): boolean {
    return performance.now() >= this.#next
  }

  /** Runs what looks. */
  async run<T>(look: () => Promise<T>): Promise<T> {
    const start = performance.now()
    const result = await look()
    const end = performance.now()
    this.#readMs = end - start
    this.#next = end + Math.max(this.#everyMs, this.#readMs / readingShare)
    return result
  }
}

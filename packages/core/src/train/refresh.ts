/** The share of the time that reading logs for a display may take. */
const readingShare = 0.02

/** When to look at a training again: every so often, and less often where looking takes long. 0 seconds: always. */
export class Refresh {
  readonly #everyMs: number
  #next: number

  constructor(everySeconds: number) {
    this.#everyMs = 1000 * everySeconds
    this.#next = performance.now() + this.#everyMs
  }

  get due(): boolean {
    return this.#everyMs === 0 || performance.now() >= this.#next
  }

  /** Runs what looks. */
  async run<T>(look: () => Promise<T>): Promise<T> {
    const start = performance.now()
    const result = await look()
    const end = performance.now()
    this.#next = end + Math.max(this.#everyMs, (end - start) / readingShare)
    return result
  }
}

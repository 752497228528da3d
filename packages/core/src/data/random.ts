/**
 * Random numbers for choices among elements: sfc32 of PractRand (Doty-Humphrey 2010), whose state is four numbers.
 * Numbers in tensors come from `Generator`.
 */
export class Random {
  readonly #state: Uint32Array

  /** @param state What `state` was: it goes on there. */
  constructor(state: readonly number[]) {
    this.#state = Uint32Array.from(state)
  }

  static seeded(a: number, b: number): Random {
    const random = new Random([0, a, b, 1])
    // What its author prescribes until the seed has reached all of the state.
    for (let i = 0; i < 12; i++) random.word()
    return random
  }

  get state(): number[] {
    return [...this.#state]
  }

  /** 32 random bits, as an unsigned number. */
  word(): number {
    const s = this.#state
    const [a, b, c, counter] = s as unknown as [number, number, number, number]
    const word = (a + b + counter) >>> 0
    s[3] = counter + 1
    s[0] = b ^ (b >>> 9)
    s[1] = c + (c << 3)
    s[2] = ((c << 21) | (c >>> 11)) + word
    return word
  }

  /** 0 <= x < 1, with 53 random bits. */
  uniform(): number {
    return ((this.word() >>> 5) * 2 ** 26 + (this.word() >>> 6)) * 2 ** -53
  }

  /** A whole number 0 <= x < n, each equally likely; n up to 2^53. */
  below(n: number): number {
    if (n > 2 ** 32) return Math.floor(this.uniform() * n)
    // What is left over beyond the last whole multiple of n would favour small numbers.
    const limit = 2 ** 32 - (2 ** 32 % n)
    let word = this.word()
    while (word >= limit) word = this.word()
    return word % n
  }

  /** Puts values in a random order (Fisher and Yates, as Durstenfeld 1964 has it). */
  shuffle(values: Int32Array | unknown[]): void {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const value = values[i]!
      values[i] = values[j]!
      values[j] = value
    }
  }
}

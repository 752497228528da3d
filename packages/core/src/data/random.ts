/**
 * Random numbers for choices among elements: sfc32 of PractRand (Doty-Humphrey 2010), whose state is four numbers.
 * Numbers in tensors come from `Generator`.
 */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter: number

  /** @param state What `state` was: it goes on there. */
  constructor([a = 0, b = 0, c = 0, counter = 0]: readonly number[]) {
    this.#a = a | 0
    this.#b = b | 0
    this.#c = c | 0
    this.#counter = counter | 0
  }

  static seeded(a: number, b: number): Random {
    const random = new Random([0, a, b, 1])
    // What its author prescribes until the seed has reached all of the state.
    for (let i = 0; i < 12; i++) random.word()
    return random
  }

  get state(): number[] {
    return [this.#a, this.#b, this.#c, this.#counter]
  }

  /** 32 random bits, as an unsigned number. */
  word(): number {
    const word = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + word) | 0
    return word >>> 0
  }

  /** 0 <= x < 1, with 53 random bits. */
  uniform(): number {
    return ((this.word() >>> 5) * 2 ** 26 + (this.word() >>> 6)) * 2 ** -53
  }

  /** A whole number 0 <= x < n, each equally likely; n up to 2^53. */
  below(n: number): number {
    if (n > 2 ** 32) return Math.floor(this.uniform() * n)
    if (n === 1) return 0
    // As many bits as n has; numbers beyond it are drawn again, which keeps all equally likely.
    const unused = Math.clz32(n - 1)
    let word = this.word() >>> unused
    while (word >= n) word = this.word() >>> unused
    return word
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

/** The numbers below `size` in a random order. */
export function permuted(size: number, random: Random): Int32Array {
  const order = Int32Array.from({ length: size }, (_, i) => i)
  random.shuffle(order)
  return order
}

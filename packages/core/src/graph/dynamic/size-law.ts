import { Misfit } from './size-fit.ts'

/** Axes of size 0 and 1 are code of their own: what repeats, vanishes, or is left out. */
export const LEAST = 2
/** Samples without which no law is believed. */
const ENOUGH = 3
/** Samples that a law is held to. */
const KEPT = 5

/** What something is at each size. */
interface Law<T> {
  /** @throws {Misfit} */
  at(size: number): T
}

interface Sample<T> {
  readonly size: number
  readonly item: T
}

/**
 * Things that were made for several sizes of an axis, and the law by which those for further sizes follow.
 *
 * It is seen from at least three of them, and used between the smallest and the largest only: what was decided by comparing numbers
 * that are linear in the size, and came out alike at both ends, comes out alike between them.
 */
export class SizeLaw<T> {
  readonly #fit: (items: readonly T[], sizes: readonly number[]) => Law<T>
  #samples: readonly Sample<T>[]
  /** Null where nothing fits yet. */
  #law: Law<T> | null = null
  /** Sizes, going up and down, at which things are known to be of another structure. */
  readonly #limits = { up: Infinity, down: LEAST - 1 }

  /** @param fit Finds a law, or throws a `Misfit`. */
  constructor(fit: (items: readonly T[], sizes: readonly number[]) => Law<T>, size: number, item: T) {
    this.#fit = fit
    this.#samples = [{ size, item }]
  }

  /** What laws that follow have taken over what is not numbers from. */
  get base(): T {
    return this.#samples[0]!.item
  }

  get items(): T[] {
    return this.#samples.map(({ item }) => item)
  }

  /** Whether it is known what there is at a size. */
  covers(size: number): boolean {
    const { low, high } = this.#range
    return this.#law !== null && this.#samples.length >= ENOUGH && low <= size && size <= high
  }

  at(size: number): T | null {
    if (!this.covers(size)) return null
    try {
      return this.#law!.at(size)
    } catch (error) {
      if (error instanceof Misfit) return null
      throw error
    }
  }

  /** Takes note of what there is at a size; false if it is of another structure. */
  take(size: number, item: T): boolean {
    if (this.#samples.some((sample) => sample.size === size)) return false
    const samples = [...this.#samples, { size, item }]
    try {
      this.#law = this.#fit(
        samples.map((sample) => sample.item),
        samples.map((sample) => sample.size),
      )
    } catch (error) {
      if (!(error instanceof Misfit)) throw error
      // Numbers may follow a law of higher degree, which takes one more of them to tell.
      if (error.kind === 'structure' || samples.length > ENOUGH) return false
      this.#law = null
    }
    this.#samples = kept(samples)
    return true
  }

  /**
   * Looks at a size further out than `size`, so that not each step on the way there is another sample to be made.
   *
   * @param make Null where it cannot be made.
   * @returns Whether `size` is covered now.
   */
  widen(size: number, make: (size: number) => T | null): boolean {
    const { low, high } = this.#range
    if (!this.#law || (size >= low && size <= high)) return false
    const up = size > high
    const limits = this.#limits
    const known = up ? limits.up < Infinity : limits.down >= LEAST
    const outmost = up ? 2 * size + 1 : LEAST
    const between = up ? Math.floor((size + limits.up) / 2) : Math.ceil((size + limits.down) / 2)
    const target = known ? between : outmost
    if (up ? target < size || target >= limits.up : target > size || target <= limits.down) return false
    const item = make(target)
    if (item !== null && this.take(target, item)) return this.covers(size)
    limits[up ? 'up' : 'down'] = target
    return false
  }

  get #range(): { low: number; high: number } {
    const sizes = this.#samples.map(({ size }) => size)
    return { low: Math.min(...sizes), high: Math.max(...sizes) }
  }
}

/** Those that a law goes on being held to: the first, and those at the ends of its range among them. */
function kept<T>(samples: readonly Sample<T>[]): readonly Sample<T>[] {
  if (samples.length <= KEPT) return samples
  const sorted = samples.toSorted((a, b) => a.size - b.size)
  const spare = samples.find((sample, i) => i > 0 && sample !== sorted[0] && sample !== sorted.at(-1))
  return samples.filter((sample) => sample !== spare)
}

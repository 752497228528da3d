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
 * that are linear in the size, and came out alike at both ends, comes out alike between them. Their sizes are no multiples of
 * a step apart either, so that rounding up to multiples of anything shows.
 */
export class SizeLaw<T> {
  readonly #fit: (items: readonly T[], sizes: readonly number[]) => Law<T>
  #samples: readonly Sample<T>[]
  /** Null where nothing fits yet. */
  #law: Law<T> | null = null
  /** Sizes, going up and down, at which things are known to be of another structure. */
  readonly #limits = { up: Infinity, down: LEAST - 1 }
  /** The largest number that all sizes which agreed are multiples of apart. */
  #step = 0
  /** Whether something between the smallest and the largest size does not fit, so that nothing is believed. */
  #broken = false
  /** Whether there is nothing of this structure at a size between steps. */
  #stepStays = false

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
    const isLaw = this.#law !== null && !this.#broken && this.#samples.length >= ENOUGH && this.#step === 1
    return isLaw && low <= size && size <= high
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
      if (error.kind === 'structure' || samples.length > ENOUGH) {
        const { low, high } = this.#range
        if (low < size && size < high) this.#broken = true
        return false
      }
      this.#law = null
    }
    this.#step = samples.reduce((step, sample) => commonDivisor(step, Math.abs(sample.size - this.#samples[0]!.size)), this.#step)
    this.#samples = kept(samples)
    return true
  }

  /**
   * Looks at further sizes so that `size` is covered, and with it many that are asked for later.
   *
   * @param make Null where it cannot be made.
   * @returns Whether `size` is covered now.
   */
  widen(size: number, make: (size: number) => T | null): boolean {
    if (!this.#law || this.#broken) return false
    const { low, high } = this.#range
    if ((size < low || size > high) && !this.#reach(size, size > high ? 'up' : 'down', make)) return false
    if (this.#step > 1) this.#breakStep(make)
    return this.covers(size)
  }

  /** Takes a sample from further out than `size`, so that not each step on the way there is one to be made. */
  #reach(size: number, way: 'up' | 'down', make: (size: number) => T | null): boolean {
    const limits = this.#limits
    const up = way === 'up'
    const known = up ? limits.up < Infinity : limits.down >= LEAST
    const outmost = up ? 2 * size + 1 : LEAST
    const between = up ? Math.floor((size + limits.up) / 2) : Math.ceil((size + limits.down) / 2)
    const target = known ? between : outmost
    if (up ? target < size || target >= limits.up : target > size || target <= limits.down) return false
    const item = make(target)
    if (item !== null && this.take(target, item)) return true
    limits[way] = target
    return false
  }

  /** Takes a sample that lies no step from the others; tried once. */
  #breakStep(make: (size: number) => T | null): void {
    if (this.#stepStays) return
    const target = this.#range.low + 1
    const item = make(target)
    this.#stepStays = item === null || !this.take(target, item)
  }

  get #range(): { low: number; high: number } {
    const sizes = this.#samples.map(({ size }) => size)
    return { low: Math.min(...sizes), high: Math.max(...sizes) }
  }
}

const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b))

/** The samples that a law goes on being held to: the first, those at the ends of its range, and the latest. */
function kept<T>(samples: readonly Sample<T>[]): readonly Sample<T>[] {
  if (samples.length <= KEPT) return samples
  const sorted = samples.toSorted((a, b) => a.size - b.size)
  const spare = samples.find((sample, i) => i > 0 && sample !== sorted[0] && sample !== sorted.at(-1))
  return samples.filter((sample) => sample !== spare)
}

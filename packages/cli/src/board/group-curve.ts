import { lowerBound } from './series.ts'

export const bands = ['range', 'deviation', 'error', 'none'] as const

/**
 * What is drawn around the mean of a group: from the lowest to the highest value, one standard deviation (of a sample, n − 1) or one standard
 * error of the mean to either side, or nothing.
 */
export type Band = (typeof bands)[number]

interface Member {
  /** Ascending. */
  x: Float64Array
  y: Float64Array
}

interface GroupWindow {
  band: Band
  /** The range of x that is looked at; all of it without. */
  from?: number | undefined
  to?: number | undefined
  /** How many columns of pixels the range is drawn on. */
  columns: number
  /** The columns are even in log x. */
  logX?: boolean | undefined
}

/** `count` says how many members each mean is of. `low` and `high` are empty without a band. */
interface Aggregate {
  x: Float64Array
  mean: Float64Array
  low: Float64Array
  high: Float64Array
  count: Float64Array
}

/**
 * Many curves as one. Where members have few different x, each of those gets a point, at which members that lack it count with what lies
 * between their neighbours; else each column of pixels gets one, where a member counts with the mean of its points in the column, and with
 * all of them for the range, so that no spike gets lost. A member counts from its first to its last point, and not where it is not finite;
 * where none is finite, the mean is NaN.
 */
export function aggregate(members: readonly Member[], window: GroupWindow): Aggregate {
  const { from = -Infinity, to = Infinity, columns, logX = false, band } = window
  const inside = members.map(({ x, y }): Member => {
    // What lies at or below zero has no place on a log axis.
    let begin = logX ? upperBound(x, 0) : 0
    begin = Math.max(begin, lowerBound(x, from) - 1)
    const end = Math.min(x.length, upperBound(x, to) + 1)
    return { x: x.subarray(begin, end), y: y.subarray(begin, end) }
  })
  const known = distinct(inside, 2 * columns)
  const grid = known ? pointGrid(known) : columnGrid(inside, columns, logX)
  const tally = new Tally(grid.x.length)
  for (const member of inside) tally.add(member, grid)
  return tally.result(grid.x, band)
}

interface Grid {
  x: Float64Array
  /** Where each column ends and the next begins; undefined where every x of any member is one of the grid. */
  ends?: Float64Array
}

const pointGrid = (x: Float64Array): Grid => ({ x })

function columnGrid(members: readonly Member[], columns: number, logX: boolean): Grid {
  const [place, back] = logX ? [Math.log, Math.exp] : [(v: number) => v, (v: number) => v]
  const low = place(Math.min(...members.map(({ x }) => x[0] ?? Infinity)))
  const high = place(Math.max(...members.map(({ x }) => x.at(-1) ?? -Infinity)))
  const at = (i: number): number => back(low + (i * (high - low)) / columns)
  return {
    x: Float64Array.from({ length: columns }, (_, i) => at(i + 0.5)),
    // The last one holds the largest x, whatever rounding makes of it.
    ends: Float64Array.from({ length: columns }, (_, i) => (i === columns - 1 ? Infinity : at(i + 1))),
  }
}

/** All different x, ascending, or undefined when there are more than so many. */
function distinct(members: readonly Member[], most: number): Float64Array | undefined {
  const found = new Set<number>()
  for (const { x } of members) {
    for (const value of x) {
      found.add(value)
      if (found.size > most) return undefined
    }
  }
  return Float64Array.from(found).sort()
}

/** Sums over members, point by point of a grid. Mean and deviation as in Welford's "Note on a method for calculating corrected sums" (1962). */
class Tally {
  readonly #count: Float64Array
  /** Where any member has points, finite or not. */
  readonly #seen: Uint8Array
  readonly #mean: Float64Array
  readonly #squares: Float64Array
  readonly #low: Float64Array
  readonly #high: Float64Array

  constructor(length: number) {
    const column = (): Float64Array => new Float64Array(length)
    this.#count = column()
    this.#seen = new Uint8Array(length)
    this.#mean = column()
    this.#squares = column()
    this.#low = column().fill(Infinity)
    this.#high = column().fill(-Infinity)
  }

  add({ x, y }: Member, { x: grid, ends }: Grid): void {
    let next = 0
    for (let g = 0; g < grid.length; g++) {
      let sum = 0
      let count = 0
      let low = Infinity
      let high = -Infinity
      const first = next
      for (; next < x.length && (ends ? x[next]! < ends[g]! : x[next]! <= grid[g]!); next++) {
        const value = y[next]!
        if (!Number.isFinite(value) || (!ends && x[next]! !== grid[g]!)) continue
        sum += value
        count++
        if (value < low) low = value
        if (value > high) high = value
      }
      // Nothing of it lies here: it may pass through between two points.
      if (next === first && next > 0 && next < x.length) {
        const t = (grid[g]! - x[next - 1]!) / (x[next]! - x[next - 1]!)
        const between = y[next - 1]! + t * (y[next]! - y[next - 1]!)
        if (Number.isFinite(between)) [sum, count, low, high] = [between, 1, between, between]
      }
      if (next > first) this.#seen[g] = 1
      if (count > 0) this.#add(g, sum / count, low, high)
    }
  }

  #add(at: number, value: number, low: number, high: number): void {
    this.#count[at]!++
    const away = value - this.#mean[at]!
    this.#mean[at]! += away / this.#count[at]!
    this.#squares[at]! += away * (value - this.#mean[at]!)
    this.#low[at] = Math.min(this.#low[at]!, low)
    this.#high[at] = Math.max(this.#high[at]!, high)
  }

  result(grid: Float64Array, band: Band): Aggregate {
    const kept = Uint32Array.from(grid.keys()).filter((i) => this.#count[i]! > 0 || this.#seen[i]! > 0)
    const pick = (of: (i: number) => number): Float64Array => Float64Array.from(kept, of)
    const mean = (i: number): number => (this.#count[i]! > 0 ? this.#mean[i]! : NaN)
    const reach = (i: number): number => {
      const n = this.#count[i]!
      const deviation = n > 1 ? Math.sqrt(this.#squares[i]! / (n - 1)) : 0
      return band === 'error' ? deviation / Math.sqrt(n) : deviation
    }
    const none = new Float64Array()
    const low = band === 'none' ? none : pick((i) => (band === 'range' ? this.#low[i]! : mean(i) - reach(i)))
    const high = band === 'none' ? none : pick((i) => (band === 'range' ? this.#high[i]! : mean(i) + reach(i)))
    return { x: pick((i) => grid[i]!), mean: pick(mean), low, high, count: pick((i) => this.#count[i]!) }
  }
}

/** The index of the first number of an ascending column that is above `wanted`. */
function upperBound(column: Float64Array, wanted: number): number {
  let at = lowerBound(column, wanted)
  while (at < column.length && column[at]! <= wanted) at++
  return at
}

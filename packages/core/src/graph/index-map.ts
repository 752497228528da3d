import { sizeOf } from '../layout.ts'

/**
 * How positions in one index space follow from positions in another: position along axis j is
 * `shift[j] + Σ matrix[j][k] · position along axis k`.
 */
export interface IndexMap {
  /** Axes of the space that it maps from. */
  readonly axes: number
  readonly matrix: readonly (readonly number[])[]
  readonly shift: readonly number[]
}

/** A way through memory: extents, strides in elements and the first element's offset. */
export interface Walk {
  readonly extents: readonly number[]
  readonly strides: readonly number[]
  readonly offset: number
}

/** An axis of a walk that has to be cut into two, the inner one of extent `inner`, before there is a map. */
export interface Split {
  readonly axis: number
  readonly inner: number
}

export const identityMap = (rank: number): IndexMap => ({
  axes: rank,
  matrix: Array.from({ length: rank }, (_, j) => Array.from({ length: rank }, (__, k) => Number(j === k))),
  shift: new Array<number>(rank).fill(0),
})

/**
 * The map that takes positions of the walk `from` to positions of the walk `to` that lie at the same address. `to` must not
 * repeat elements: each of its axes steps over all that the axes of smaller stride cover.
 *
 * @returns The map; a `Split` of one of `from`'s axes without which there is none; or null where there is none at all.
 */
export function mapBetween(from: Walk, to: Walk): IndexMap | Split | null {
  const order = to.extents.map((_, j) => j).filter((j) => to.extents[j]! > 1)
  order.sort((a, b) => to.strides[b]! - to.strides[a]!)
  let covered = 1
  for (const j of order.toReversed()) {
    if (to.strides[j]! < covered) return null
    covered = to.strides[j]! * to.extents[j]!
  }
  const matrix = to.extents.map(() => from.extents.map(() => 0))
  for (const [k, extent] of from.extents.entries()) {
    const stride = from.strides[k]!
    if (stride === 0 || extent === 1) continue
    const step = Math.abs(stride)
    const j = order.find((axis) => to.strides[axis]! <= step)
    if (j === undefined || step % to.strides[j]! !== 0) return null
    const room = to.strides[j]! * to.extents[j]!
    if (step * (extent - 1) >= room) {
      const inner = room / step
      return Number.isInteger(inner) && inner > 1 && extent % inner === 0 ? { axis: k, inner } : null
    }
    matrix[j]![k] = stride / to.strides[j]!
  }
  const shift = to.extents.map(() => 0)
  let rest = from.offset - to.offset
  for (const j of order) {
    shift[j] = Math.min(to.extents[j]! - 1, Math.max(0, Math.floor(rest / to.strides[j]!)))
    rest -= shift[j]! * to.strides[j]!
  }
  if (rest !== 0) return null
  const inRange = matrix.every((row, j) => {
    let [low, high] = [shift[j]!, shift[j]!]
    row.forEach((factor, k) => {
      const reach = factor * (from.extents[k]! - 1)
      if (reach < 0) low += reach
      else high += reach
    })
    return low >= 0 && high < to.extents[j]!
  })
  return inRange ? { axes: from.extents.length, matrix, shift } : null
}

/** Whether two walks are known to have no element in common: their addresses are, or are modulo a stride. */
export function areApart(a: Walk, b: Walk): boolean {
  const moduli = [...a.strides, ...b.strides].filter((stride) => stride > 1)
  return [Number.POSITIVE_INFINITY, ...moduli].some((modulus) => {
    const [first, second] = [rangeOf(a, modulus), rangeOf(b, modulus)]
    return first !== null && second !== null && (first.end <= second.start || second.end <= first.start)
  })
}

/** Where a walk's addresses lie modulo a number; null where they go beyond it and start again. */
function rangeOf({ extents, strides, offset }: Walk, modulus: number): { start: number; end: number } | null {
  const start = modulus === Number.POSITIVE_INFINITY ? offset : offset % modulus
  let [low, high] = [start, start]
  for (const [axis, extent] of extents.entries()) {
    const reach = strides[axis]! * (extent - 1)
    if (modulus !== Number.POSITIVE_INFINITY && strides[axis]! % modulus === 0) continue
    if (reach < 0) low += reach
    else high += reach
  }
  return low >= 0 && high < modulus ? { start: low, end: high + 1 } : null
}

/** Strides and offset, in positions of `map`'s source, of a walk over the positions that it leads to. */
export function through(map: IndexMap, strides: readonly number[], offset = 0): { strides: number[]; offset: number } {
  const moved = new Array<number>(map.axes).fill(0)
  strides.forEach((stride, j) => {
    offset += stride * map.shift[j]!
    for (let k = 0; k < map.axes; k++) moved[k]! += stride * map.matrix[j]![k]!
  })
  return { strides: moved, offset }
}

/** Whether the map, from axes of these extents, hits every position of a space of `to` once. */
export function isBijective(map: IndexMap, from: readonly number[], to: readonly number[]): boolean {
  if (sizeOf(from) !== sizeOf(to)) return false
  const used = new Set<number>()
  for (const [j, row] of map.matrix.entries()) {
    const axes = row.flatMap((factor, k) => (factor !== 0 && from[k]! > 1 ? [k] : []))
    if (axes.some((k) => used.has(k))) return false
    for (const k of axes) used.add(k)
    // Mixed radix: each factor steps over all that the smaller ones cover.
    axes.sort((a, b) => Math.abs(row[a]!) - Math.abs(row[b]!))
    let covered = 1
    for (const k of axes) {
      if (Math.abs(row[k]!) !== covered) return false
      covered *= from[k]!
    }
    if (covered !== to[j]!) return false
  }
  return true
}

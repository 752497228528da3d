import { lowerBound } from './series.ts'

interface Window {
  /** The range of x that is looked at, in units of x; all of it without. */
  from?: number | undefined
  to?: number | undefined
  /** How many columns of pixels the range is drawn on. */
  columns: number
  /** The columns are even in log x. */
  logX?: boolean | undefined
}

/**
 * Which points to draw so that the picture is the one that all points would give: of each column of pixels the first, the last,
 * the lowest and the highest (M4: Jugel et al., "M4: a visualization-oriented time series data aggregation", VLDB 2014), and the first that
 * is not finite, so that gaps stay. One point on either side of the window is kept, so that lines reach its edges.
 * `x` ascends. Returns ascending indices, at most 5 a column and 2.
 */
export function downsample(x: ArrayLike<number>, y: ArrayLike<number>, window: Window): Uint32Array {
  const { from = -Infinity, to = Infinity, columns, logX = false } = window
  const place = logX ? Math.log : (v: number) => v
  let begin = lowerBound(x, from)
  // What lies at or below zero has no place on a log axis.
  if (logX) while (begin < x.length && !(x[begin]! > 0)) begin++
  let end = lowerBound(x, to)
  while (end < x.length && !(x[end]! > to)) end++
  const before = begin > 0 && (!logX || x[begin - 1]! > 0) ? begin - 1 : begin
  const after = Math.min(end + 1, x.length)
  if (after - before <= columns * 4) return Uint32Array.from({ length: after - before }, (_, i) => before + i)

  const low = place(x[begin]!)
  const width = (place(x[end - 1]!) - low) / columns || 1
  const kept: number[] = before < begin ? [before] : []
  for (let i = begin; i < end;) {
    const column = columnOf(place(x[i]!))
    const first = i
    let lowest = -1
    let highest = -1
    let strange = -1
    for (; i < end && columnOf(place(x[i]!)) === column; i++) {
      const value = y[i]!
      if (!Number.isFinite(value)) {
        if (strange < 0) strange = i
        continue
      }
      if (lowest < 0 || value < y[lowest]!) lowest = i
      if (highest < 0 || value > y[highest]!) highest = i
    }
    const picked = [first, lowest, highest, strange, i - 1].filter((at) => at >= 0).sort((a, b) => a - b)
    for (const at of picked) if (at !== kept.at(-1)) kept.push(at)
  }
  if (after > end) kept.push(end)
  return Uint32Array.from(kept)

  function columnOf(at: number): number {
    return Math.min(Math.floor((at - low) / width), columns - 1)
  }
}

import type { Buckets } from './run-event.ts'

/**
 * Histograms on edges of their own, put on `count` even buckets that span all of them, each bucket shared out in proportion to what it
 * overlaps, so that the total stays.
 */
export function commonBuckets(histograms: readonly Buckets[], count: number): { edges: number[]; counts: number[][] } {
  let low = Infinity
  let high = -Infinity
  for (const { left, right, count: counts } of histograms) {
    for (let i = 0; i < counts.length; i++) {
      if (!(counts[i]! > 0)) continue
      low = Math.min(low, left[i]!)
      high = Math.max(high, right[i]!)
    }
  }
  if (!(low < high)) [low, high] = Number.isFinite(low) ? [low - 0.5, low + 0.5] : [0, 1]
  const width = (high - low) / count
  const edges = Array.from({ length: count + 1 }, (_, i) => (i === count ? high : low + i * width))
  const clamp = (i: number): number => Math.min(Math.max(i, 0), count - 1)
  const rows = histograms.map((histogram) => {
    const row = new Array<number>(count).fill(0)
    for (let i = 0; i < histogram.count.length; i++) {
      const n = histogram.count[i]!
      if (!(n > 0)) continue
      const left = histogram.left[i]!
      const right = histogram.right[i]!
      const first = clamp(Math.floor((left - low) / width))
      if (!(right > left)) {
        row[first]! += n
        continue
      }
      const last = clamp(Math.ceil((right - low) / width) - 1)
      for (let b = first; b <= last; b++) {
        const share = Math.min(edges[b + 1]!, right) - Math.max(edges[b]!, left)
        row[b]! += (n * Math.max(0, share)) / (right - left)
      }
    }
    return row
  })
  return { edges, counts: rows }
}

import { isDrawn, type Line } from './line.ts'

export type Extent = [number, number]

interface ExtentOptions {
  logX: boolean
  logY: boolean
  /** Fits the y axis to what lies between the 1st and the 99th percentile. */
  skipsOutliers: boolean
  /** Fixed ranges, e.g. 0 to 1. */
  xRange?: readonly [number, number] | undefined
  yRange?: readonly [number, number] | undefined
}

/** A line of so few points is seen with all of its values before smoothing. */
const fewPoints = 64

/** What the axes have to hold: all x, and the y of what lies in view. */
export function extentOf(
  lines: readonly Line[],
  options: ExtentOptions,
  zoomX: readonly [number, number] | undefined,
): { x: Extent; y: Extent } {
  const { logX, logY, skipsOutliers, xRange, yRange } = options
  const x: Extent = [Infinity, -Infinity]
  const y: Extent = [Infinity, -Infinity]
  const all: number[] = []
  const [from, to] = zoomX ?? [-Infinity, Infinity]
  const add = (value: number): void => {
    if (!isDrawn(value, logY)) return
    if (skipsOutliers) all.push(value)
    if (value < y[0]) y[0] = value
    if (value > y[1]) y[1] = value
  }
  for (const line of lines) {
    for (let i = 0; i < line.x.length; i++) {
      const at = line.x[i]!
      if (logX && at <= 0) continue
      if (at < x[0]) x[0] = at
      if (at > x[1]) x[1] = at
      if (at < from || at > to) continue
      add(line.y[i]!)
      // The line itself is to be seen; what lies pale behind it may leave the plot where it is long and wild.
      if (line.raw && line.x.length <= fewPoints) add(line.raw[i]!)
      if (line.band) {
        add(line.band.low[i]!)
        add(line.band.high[i]!)
      }
    }
  }
  if (skipsOutliers && all.length > 10) {
    const sorted = Float64Array.from(all).sort()
    y[0] = sorted[Math.floor(0.01 * (sorted.length - 1))]!
    y[1] = sorted[Math.ceil(0.99 * (sorted.length - 1))]!
  }
  return { x: xRange ? [...xRange] : padded(x, 0, logX), y: yRange ? [...yRange] : padded(y, 0.06, logY) }
}

function padded([low, high]: Extent, share: number, log: boolean): Extent {
  if (!(low <= high)) return log ? [1, 10] : [0, 1]
  if (log) {
    const room = low === high ? 2 : (high / low) ** share
    return [low / room, high * room]
  }
  const room = low === high ? Math.max(Math.abs(low) * 0.1, 0.5) : (high - low) * share
  return [low - room, high + room]
}

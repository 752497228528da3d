export const smoothings = ['exponential', 'gaussian', 'mean'] as const

export type Smoothing = (typeof smoothings)[number]

/**
 * A smoothed copy of `values`. Numbers that are not finite stay as they are and do not touch their neighbours.
 *
 * @param weight 0 (as it is) up to, not including, 1.
 *  - `exponential`: the share of the past in a moving average, corrected for the start as in Adam (TensorBoard's smoothing).
 *  - `gaussian`: a bell whose standard deviation is `weight / (1 - weight)` points.
 *  - `mean`: of the points up to `weight / (1 - weight)` away, on both sides.
 */
export function smooth(values: Float64Array, method: Smoothing, weight: number): Float64Array {
  if (weight <= 0) return values
  const radius = weight / (1 - weight)
  if (method === 'exponential') return exponential(values, weight)
  if (method === 'mean') return runningMean(values, Math.round(radius))
  return gaussian(values, radius)
}

function exponential(values: Float64Array, weight: number): Float64Array {
  let average = 0
  let share = 1
  return values.map((value) => {
    if (!Number.isFinite(value)) return value
    average = average * weight + value * (1 - weight)
    share *= weight
    return average / (1 - share)
  })
}

/** By running sums, so that its cost does not depend on the radius. */
function runningMean(values: Float64Array, radius: number): Float64Array {
  const sums = new Float64Array(values.length + 1)
  const counts = new Uint32Array(values.length + 1)
  for (let i = 0; i < values.length; i++) {
    const finite = Number.isFinite(values[i])
    sums[i + 1] = sums[i]! + (finite ? values[i]! : 0)
    counts[i + 1] = counts[i]! + (finite ? 1 : 0)
  }
  return values.map((value, i) => {
    if (!Number.isFinite(value)) return value
    // The window shrinks towards the ends on both sides alike, or the ends would lean.
    const reach = Math.min(radius, i, values.length - 1 - i)
    return (sums[i + reach + 1]! - sums[i - reach]!) / (counts[i + reach + 1]! - counts[i - reach]!)
  })
}

/** Three running means are a bell to within 3% (the central limit theorem), at a cost that does not depend on its width. */
function gaussian(values: Float64Array, deviation: number): Float64Array {
  const radius = Math.round((Math.sqrt(4 * deviation * deviation + 1) - 1) / 2)
  let smoothed = values
  for (let pass = 0; pass < 3; pass++) smoothed = runningMean(smoothed, radius)
  return smoothed
}

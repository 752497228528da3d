import type { FieldsOf } from '../protobuf/message.ts'
import type { Histogram } from './schema.ts'
import { invalid, numbersOf, type Values } from './values.ts'

/**
 * How values are counted: `exponential` buckets grow by a tenth from 1e-12 on, on both sides of zero, and are the same for every
 * histogram (TensorFlow's and PyTorch's); a number is that many of equal width over the range of the values; an array lists the edges
 * between buckets.
 */
export type Bins = 'exponential' | number | readonly number[]

/** Right edges: -MAX, ..., -1e-12, 0, 1e-12, ..., 1e20, MAX. */
const exponentialLimits = makeExponentialLimits()

function makeExponentialLimits(): Float64Array {
  const positive: number[] = []
  for (let edge = 1e-12; edge < 1e20; edge *= 1.1) positive.push(edge)
  positive.push(Number.MAX_VALUE)
  return Float64Array.from([...positive.map((edge) => -edge).reverse(), 0, ...positive])
}

/** Counts values. NaN and infinities, which no bucket can hold, are left out: `num` says how many were counted. */
export function countHistogram(values: Values, bins: Bins = 'exponential'): FieldsOf<typeof Histogram> {
  const numbers = numbersOf(values)
  let [min, max, num, sum, sumSquares] = [Infinity, -Infinity, 0, 0, 0]
  for (let i = 0; i < numbers.length; i++) {
    const x = numbers[i]!
    if (!Number.isFinite(x)) continue
    num++
    sum += x
    sumSquares += x * x
    if (x < min) min = x
    if (x > max) max = x
  }
  if (num === 0) return { min: 0, max: 0, num, sum, sumSquares }
  const limits = limitsOf(bins, min, max)
  const counts = new Float64Array(limits.length)
  for (let i = 0; i < numbers.length; i++) {
    const x = numbers[i]!
    if (Number.isFinite(x)) counts[bucketOf(limits, x)]!++
  }
  // No empty bucket at either end: the range of the values bounds the outermost ones.
  const first = counts.findIndex((count) => count > 0)
  const end = counts.findLastIndex((count) => count > 0) + 1
  return { min, max, num, sum, sumSquares, bucketLimit: limits.subarray(first, end), bucket: counts.subarray(first, end) }
}

function limitsOf(bins: Bins, min: number, max: number): Float64Array {
  if (bins === 'exponential') return exponentialLimits
  if (typeof bins === 'number') {
    if (!Number.isInteger(bins) || bins < 1) throw invalid('histogram', `bins is ${bins}`, 'It must be a positive integer.')
    // A range of nothing gets a width, so that the edges differ.
    const [low, high] = min < max ? [min, max] : [min - 0.5, max + 0.5]
    return Float64Array.from({ length: bins + 1 }, (_, i) => (i === bins ? high : low + ((high - low) * i) / bins))
  }
  if (bins.length < 2 || bins.some((edge, i) => i > 0 && !(edge > bins[i - 1]!))) {
    throw invalid('histogram', 'the edges of the buckets do not grow', 'Give two edges or more, each greater than the one before.')
  }
  return Float64Array.from([...bins.filter((edge) => Number.isFinite(edge)), Number.MAX_VALUE])
}

/** The first bucket whose right edge is above x; the last one if there is none. */
function bucketOf(limits: Float64Array, x: number): number {
  let low = 0
  let high = limits.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if (x < limits[middle]!) high = middle
    else low = middle + 1
  }
  return low
}

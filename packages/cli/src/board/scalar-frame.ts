import type { ScalarCurve } from './protocol.ts'

/**
 * Curves as bytes: little-endian float64 throughout, the number of curves, then of each: run, total, length of x, length of smoothed
 * (0 without smoothing), x, y, smoothed. A tenth of the time that the same numbers take as JSON, and NaN and infinity arrive as they are.
 */
export function packCurves(curves: readonly ScalarCurve[]): Uint8Array {
  const size = curves.reduce((sum, { x, smoothed }) => sum + 4 + 2 * x.length + smoothed.length, 1)
  const numbers = new Float64Array(size)
  let at = 0
  numbers[at++] = curves.length
  for (const { run, total, x, y, smoothed } of curves) {
    for (const part of [[run, total, x.length, smoothed.length], x, y, smoothed]) {
      numbers.set(part, at)
      at += part.length
    }
  }
  return new Uint8Array(numbers.buffer)
}

export function unpackCurves(bytes: ArrayBuffer): ScalarCurve[] {
  const numbers = new Float64Array(bytes)
  let at = 1
  const next = (n: number): Float64Array => numbers.subarray(at, (at += n))
  return Array.from({ length: numbers[0] ?? 0 }, () => {
    const [run = 0, total = 0, points = 0, averaged = 0] = next(4)
    return { run, total, x: next(points), y: next(points), smoothed: next(averaged) }
  })
}

import { expect, test } from 'vitest'
import { smooth, smoothings } from './smoothing.ts'

test('exponential smoothing is the average that TensorBoard draws', () => {
  // By hand: m = 0.5 m + 0.5 v, over 1 - 0.5^n.
  const smoothed = smooth(Float64Array.of(1, 2, 4), 'exponential', 0.5)
  expect([...smoothed]).toEqual([1, (0.25 + 1) / 0.75, (0.125 + 0.5 + 2) / 0.875])
})

test('a running mean is that of the points around, fewer near the ends', () => {
  expect([...smooth(Float64Array.of(0, 3, 6, 0, 9), 'mean', 0.5)]).toEqual([0, 3, 3, 5, 9])
})

test('the bell has the width that was asked for', () => {
  const impulse = new Float64Array(401)
  impulse[200] = 1
  const bell = smooth(impulse, 'gaussian', 20 / 21)
  expect(bell.reduce((a, b) => a + b)).toBeCloseTo(1, 6)
  const variance = bell.reduce((sum, v, i) => sum + v * (i - 200) ** 2, 0)
  expect(Math.sqrt(variance)).toBeCloseTo(20, 0)
})

test.each(smoothings)('%s: constants stay, and what is not finite stays and spreads nowhere', (method) => {
  const values = Float64Array.of(2, 2, NaN, 2, Infinity, 2, 2)
  const smoothed = smooth(values, method, 0.7)
  values.forEach((value, i) => (Number.isFinite(value) ? expect(smoothed[i]).toBeCloseTo(2, 12) : expect(smoothed[i]).toBe(value)))
  expect(smooth(values, method, 0)).toBe(values)
  expect(smooth(new Float64Array(), method, 0.9)).toEqual(new Float64Array())
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { aggregate, type Band } from './group-curve.ts'

const curve = (x: readonly number[], y: readonly number[]) => ({ x: Float64Array.from(x), y: Float64Array.from(y) })
const plain = (
  members: ReturnType<typeof curve>[],
  band: Band,
  window: { from?: number; to?: number; columns?: number; logX?: boolean } = {},
) => Object.fromEntries(Object.entries(aggregate(members, { band, columns: 100, ...window })).map(([key, column]) => [key, [...column]]))

describe('a group of curves', () => {
  const members = [curve([0, 1, 2, 3], [1, 2, 3, 4]), curve([0, 1, 2, 3], [3, 2, 1, 0]), curve([0, 2], [5, 5])]

  test('is the mean at each x, with what lies between points, and only where members are', () => {
    expect(plain(members, 'range')).toEqual({
      x: [0, 1, 2, 3],
      mean: [3, 3, 3, 2],
      low: [1, 2, 1, 0],
      high: [5, 5, 5, 4],
      count: [3, 3, 3, 2],
    })
  })

  test('has the deviation of a sample or the standard error around it, and nothing around one alone', () => {
    const root = Math.sqrt(3)
    // 1, 3 and 5 are 2 apart from their mean: deviation 2.
    expect(plain(members, 'deviation')).toMatchObject({ low: [1, 3 - root, 1, 2 - Math.sqrt(8)] })
    expect(plain(members, 'error')['high']![0]).toBeCloseTo(3 + 2 / root, 12)
    expect(plain([members[0]!], 'deviation')).toMatchObject({ low: [1, 2, 3, 4], high: [1, 2, 3, 4], count: [1, 1, 1, 1] })
    expect(plain(members, 'none')).toMatchObject({ low: [], high: [], mean: [3, 3, 3, 2] })
  })

  test('leaves out what is not finite, and says so where nothing else is there', () => {
    const broken = [curve([0, 1, 2, 3], [1, NaN, NaN, 4]), curve([0, 1, 2, 3], [3, 5, Infinity, 0])]
    expect(plain(broken, 'range')).toMatchObject({ x: [0, 1, 2, 3], mean: [2, 5, NaN, 2], count: [2, 1, 0, 2] })
    expect(plain([], 'range')).toMatchObject({ x: [], mean: [] })
    expect(plain([curve([], [])], 'deviation')).toMatchObject({ x: [], mean: [] })
  })

  test('of a part of the axis reaches its edges', () => {
    expect(plain(members.slice(0, 2), 'range', { from: 1.5, to: 2.5 })['x']).toEqual([1, 2, 3])
    expect(plain([curve([0, 1, 10], [1, 2, 3])], 'none', { logX: true })['x']).toEqual([1, 10])
  })

  test('with more points than pixels keeps every spike in its range, and each column its mean', () => {
    const n = 5000
    const steps = Array.from({ length: n }, (_, i) => i)
    const [a, b] = [steps.map((i) => (i === 1234 ? 50 : 1)), steps.map((i) => (i === 4321 ? -50 : 3))]
    const wide = aggregate([curve(steps, a), curve(steps, b)], { band: 'range', columns: 50 })
    expect(wide.x.length).toBe(50)
    expect([Math.max(...wide.high), Math.min(...wide.low)]).toEqual([50, -50])
    expect(wide.mean[0]).toBe(2)
    expect(wide.mean.reduce((sum, v) => sum + v) / 50).toBeCloseTo((n * 4 + 49 - 53) / n / 2, 9)
  })

  test('agrees with all values at once, however they lie', () => {
    const values = fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.double({ min: -1e3, max: 1e3, noNaN: true })), { maxLength: 30 })
    fc.assert(
      fc.property(fc.array(values, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 40 }), (runs, columns) => {
        const group = runs.map((run) => {
          const sorted = [...new Map(run)].sort(([p], [q]) => p - q)
          return curve(
            sorted.map(([x]) => x),
            sorted.map(([, y]) => y),
          )
        })
        const { x, mean, low, high, count } = aggregate(group, { band: 'range', columns })
        const all = group.flatMap(({ y }) => [...y])
        expect(x.length > 0).toBe(all.length > 0)
        if (all.length === 0) return
        expect(Math.max(...high)).toBe(Math.max(...all))
        expect(Math.min(...low)).toBe(Math.min(...all))
        x.forEach((at, i) => {
          expect(i === 0 || at > x[i - 1]!).toBe(true)
          expect(low[i]! <= mean[i]! + 1e-9 && mean[i]! <= high[i]! + 1e-9).toBe(true)
          expect(count[i]).toBeGreaterThan(0)
        })
      }),
    )
  })
})

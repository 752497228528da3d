import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { downsample } from './downsample.ts'

const steps = (n: number): Float64Array => Float64Array.from({ length: n }, (_, i) => i)
const noise = (n: number): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898) * 43_758.5453 - Math.floor(Math.sin(i * 12.9898) * 43_758.5453))

describe('downsample', () => {
  test('few points all stay', () => {
    expect([...downsample(steps(5), noise(5), { columns: 2 })]).toEqual([0, 1, 2, 3, 4])
    expect([...downsample(steps(0), noise(0), { columns: 2 })]).toEqual([])
  })

  test('the extremes of every column of pixels stay, whatever the values', () => {
    const values = fc.array(fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(NaN, Infinity, -Infinity)), {
      minLength: 1,
      maxLength: 400,
    })
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 30 }), (list, columns) => {
        const x = steps(list.length)
        const kept = downsample(x, list, { columns })
        expect([...kept]).toEqual([...new Set(kept)].sort((a, b) => a - b))
        expect(kept.length).toBeLessThanOrEqual(Math.max(4, 5) * columns + 2)
        const width = (list.length - 1) / columns || 1
        const columnOf = (i: number): number => Math.min(Math.floor(i / width), columns - 1)
        const extremes = (indices: Iterable<number>): Map<number, [number, number]> => {
          const found = new Map<number, [number, number]>()
          for (const i of indices) {
            if (!Number.isFinite(list[i]!)) continue
            const [low, high] = found.get(columnOf(i)) ?? [Infinity, -Infinity]
            found.set(columnOf(i), [Math.min(low, list[i]!), Math.max(high, list[i]!)])
          }
          return found
        }
        expect(extremes(kept)).toEqual(extremes(list.keys()))
        expect([...kept].some((i) => !Number.isFinite(list[i]!))).toBe(list.some((value) => !Number.isFinite(value)))
      }),
    )
  })

  test('a single spike among a million points stays, and so do both ends', () => {
    const y = new Float64Array(1_000_000)
    y[654_321] = 9
    y[123_456] = -4
    const kept = downsample(steps(y.length), y, { columns: 500 })
    expect(kept.length).toBeLessThanOrEqual(2502)
    expect([...kept]).toEqual(expect.arrayContaining([0, 123_456, 654_321, 999_999]))
  })

  test('a window has its own columns, and a neighbour on either side', () => {
    const kept = downsample(steps(1000), noise(1000), { from: 100, to: 200, columns: 50 })
    expect([...kept]).toEqual(Array.from({ length: 103 }, (_, i) => 99 + i))
    const coarse = downsample(steps(100_000), noise(100_000), { from: 1000, to: 90_000, columns: 10 })
    expect([coarse[0], coarse.at(-1)]).toEqual([999, 90_001])
    expect(coarse.length).toBeLessThanOrEqual(42)
    expect([...downsample(steps(10), noise(10), { from: 4.2, to: 4.8, columns: 1 })]).toEqual([4, 5])
  })

  test('columns of a log axis are even in log x, and x at or below zero has no place there', () => {
    const kept = downsample(steps(100_000), noise(100_000), { columns: 20, logX: true })
    expect(kept[0]).toBe(1)
    const decades = [0, 1, 2, 3, 4].map((d) => [...kept].filter((i) => i >= 10 ** d && i < 10 ** (d + 1)).length)
    expect(Math.max(...decades.slice(1))).toBeLessThanOrEqual(2 * Math.min(...decades.slice(1)))
  })

  test('many points at one x', () => {
    const x = new Float64Array(100).fill(3)
    expect([...downsample(x, steps(100), { columns: 4 })]).toEqual([0, 99])
  })
})

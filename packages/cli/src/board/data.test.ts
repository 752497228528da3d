import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { commonBuckets } from './common-buckets.ts'
import { formatIds, parseIds } from './id-set.ts'
import { packCurves, packGroups, unpackCurves, unpackGroups } from './scalar-frame.ts'
import { Series } from './series.ts'
import { sniffMedia } from './sniff-media.ts'
import { Thinned } from './thinned.ts'

describe('a series', () => {
  test('grows', () => {
    const series = new Series()
    for (let i = 0; i < 1000; i++) series.add(i, 100 + i, i * i)
    expect(series.length).toBe(1000)
    expect([...series.steps.slice(-2), ...series.times.slice(-2), ...series.values.slice(-2)]).toEqual([
      998,
      999,
      1098,
      1099,
      998 ** 2,
      999 ** 2,
    ])
  })

  test('forgets what a run that goes on from a checkpoint writes again', () => {
    const series = new Series()
    for (const step of [0, 1, 2, 2, 3, 4]) series.add(step, step, step)
    series.add(2, 10, 20)
    expect([...series.steps]).toEqual([0, 1, 2])
    expect([...series.values]).toEqual([0, 1, 20])
  })
})

test('a thinned list keeps the first, the latest and even steps between', () => {
  const list = new Thinned<{ step: number }>(8)
  for (let step = 0; step <= 100; step++) list.add({ step })
  const kept = list.items.map(({ step }) => step)
  expect(kept.length).toBeLessThanOrEqual(9)
  expect([kept[0], kept.at(-1), list.seen]).toEqual([0, 100, 101])
  const gaps = new Set(kept.slice(1, -1).map((step, i) => step - kept[i]!))
  expect(gaps.size).toBe(1)
})

test('numbers of runs survive the address, whatever they are', () => {
  expect(formatIds([3, 1, 2, 9])).toBe('1-3,9')
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(5000)), (ids) => {
      expect([...parseIds(formatIds(ids))!]).toEqual([...ids].sort((a, b) => a - b))
    }),
  )
  expect(parseIds('0-999999999')!.size).toBe(100_000)
  for (const bad of ['-1', '1-', 'a', '1,,2', '1.5', ' 1']) expect(parseIds(bad)).toBeUndefined()
})

test('curves survive packing, NaN and infinities too', () => {
  const curves = [
    { run: 3, total: 10, x: Float64Array.of(1, 2), y: Float64Array.of(NaN, -Infinity), smoothed: new Float64Array() },
    { run: 4, total: 0, x: new Float64Array(), y: new Float64Array(), smoothed: new Float64Array() },
    { run: 5, total: 1, x: Float64Array.of(7), y: Float64Array.of(8), smoothed: Float64Array.of(9) },
  ]
  expect(unpackCurves(packCurves(curves).buffer as ArrayBuffer)).toEqual(curves)
  expect(unpackCurves(packCurves([]).buffer as ArrayBuffer)).toEqual([])
  const none = new Float64Array()
  const groups = [
    { group: 0, runs: 2, total: 9, x: Float64Array.of(1), mean: Float64Array.of(NaN), low: none, high: none, count: Float64Array.of(0) },
    { group: 1, runs: 0, total: 0, x: none, mean: none, low: none, high: none, count: none },
  ]
  expect(unpackGroups(packGroups(groups).buffer as ArrayBuffer)).toEqual(groups)
})

describe('common buckets', () => {
  test('share counts out in proportion and keep the total', () => {
    const { edges, counts } = commonBuckets(
      [
        { left: [0, 2], right: [2, 4], count: [4, 8] },
        { left: [1], right: [3], count: [2] },
      ],
      4,
    )
    expect(edges).toEqual([0, 1, 2, 3, 4])
    expect(counts).toEqual([
      [2, 2, 4, 4],
      [0, 1, 1, 0],
    ])
  })

  test('a single value, and none at all', () => {
    const single = commonBuckets([{ left: [5], right: [5], count: [7] }], 4)
    expect(single.counts[0]!.reduce((a, b) => a + b)).toBe(7)
    expect(single.edges[0]).toBeLessThan(5)
    expect(commonBuckets([{ left: [], right: [], count: [] }], 2)).toEqual({ edges: [0, 0.5, 1], counts: [[0, 0]] })
  })
})

test('media types are told by what files begin with; SVG and HTML are none', () => {
  const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0))
  expect(sniffMedia(bytes('\x89PNG\r\n\x1a\n...'))).toBe('image/png')
  expect(sniffMedia(bytes('RIFF\0\0\0\0WAVEfmt '))).toBe('audio/wav')
  for (const text of ['<svg xmlns="http://www.w3.org/2000/svg"/>', '<html>', '']) expect(sniffMedia(bytes(text))).toBeUndefined()
})

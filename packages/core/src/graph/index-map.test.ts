import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { rowMajor } from '../layout.ts'
import { areApart, identityMap, isBijective, mapBetween, through, type IndexMap, type Walk } from './index-map.ts'

const dense = (...extents: number[]): Walk => ({ extents, strides: rowMajor(extents), offset: 0 })

function positions(extents: readonly number[]): number[][] {
  return extents.reduce<number[][]>((all, n) => all.flatMap((p) => Array.from({ length: n }, (_, i) => [...p, i])), [[]])
}
const address = (walk: Walk, position: readonly number[]) => position.reduce((at, p, k) => at + p * walk.strides[k]!, walk.offset)
const apply = (map: IndexMap, position: readonly number[]) =>
  map.matrix.map((row, j) => row.reduce((at, factor, k) => at + factor * position[k]!, map.shift[j]!))

describe('mapBetween', () => {
  test('a transposed read of a dense walk', () => {
    const map = mapBetween({ extents: [3, 2], strides: [1, 3], offset: 0 }, dense(2, 3)) as IndexMap
    expect(map.matrix).toEqual([
      [0, 1],
      [1, 0],
    ])
    expect(isBijective(map, [3, 2], [2, 3])).toBe(true)
  })

  test('an axis that covers several of the other walk is to be split', () => {
    expect(mapBetween(dense(24), dense(2, 3, 4))).toEqual({ axis: 0, inner: 4 })
    expect(mapBetween(dense(6, 4), dense(2, 3, 4))).toEqual({ axis: 0, inner: 3 })
  })

  test('reads of a part, backwards or broadcast are maps but not bijective', () => {
    const reversed = mapBetween({ extents: [4], strides: [-1], offset: 3 }, dense(4)) as IndexMap
    expect(reversed).toEqual({ axes: 1, matrix: [[-1]], shift: [3] })
    expect(isBijective(reversed, [4], [4])).toBe(true)
    const part = mapBetween({ extents: [2, 2], strides: [4, 1], offset: 1 }, dense(3, 4)) as IndexMap
    expect(isBijective(part, [2, 2], [3, 4])).toBe(false)
    const repeated = mapBetween({ extents: [5, 4], strides: [0, 1], offset: 0 }, dense(4)) as IndexMap
    expect(isBijective(repeated, [5, 4], [4])).toBe(false)
    expect(through(repeated, [3], 2)).toEqual({ strides: [0, 3], offset: 2 })
    expect(through(mapBetween({ extents: [2], strides: [0], offset: 0 }, dense()) as IndexMap, [])).toEqual({ strides: [0], offset: 0 })
    expect(through(identityMap(2), [3, 1])).toEqual({ strides: [3, 1], offset: 0 })
  })

  test('no map where rows run into each other', () => {
    expect(mapBetween({ extents: [2, 5], strides: [4, 1], offset: 0 }, dense(3, 4))).toBeNull()
    expect(mapBetween({ extents: [2], strides: [1], offset: 3 }, dense(3, 4))).toBeNull()
  })

  test('whatever it finds leads to the same addresses', () => {
    const walk = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: -12, max: 12 })), { maxLength: 4 })
    const shape = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 })
    fc.assert(
      fc.property(walk, shape, fc.integer({ min: 0, max: 30 }), (axes, to, offset) => {
        const from = { extents: axes.map(([n]) => n), strides: axes.map(([, s]) => s), offset }
        const map = mapBetween(from, dense(...to))
        if (!map || 'axis' in map) return
        const seen = new Set<string>()
        for (const position of positions(from.extents)) {
          const mapped = apply(map, position)
          expect(mapped.every((p, j) => p >= 0 && p < to[j]!)).toBe(true)
          expect(address(dense(...to), mapped)).toBe(address(from, position))
          seen.add(mapped.join())
        }
        const count = (extents: readonly number[]) => extents.reduce((a, b) => a * b, 1)
        expect(isBijective(map, from.extents, to)).toBe(seen.size === count(to) && count(from.extents) === count(to))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('areApart', () => {
  const addresses = (walk: Walk) => positions(walk.extents).map((position) => address(walk, position))

  test('says so of parts along any axis of one tensor', () => {
    // [4, 6, 5] cut along each axis.
    const whole = { extents: [4, 6, 5], strides: [30, 5, 1] }
    for (const axis of [0, 1, 2]) {
      const part = (from: number, count: number): Walk => ({
        extents: whole.extents.map((n, i) => (i === axis ? count : n)),
        strides: whole.strides,
        offset: from * whole.strides[axis]!,
      })
      expect(areApart(part(0, 2), part(2, 2))).toBe(true)
      expect(areApart(part(0, 3), part(2, 2))).toBe(false)
    }
  })

  test('is never wrong', () => {
    const walk = fc
      .array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 12 })), { maxLength: 3 })
      .chain((axes) =>
        fc.integer({ min: 0, max: 40 }).map((offset): Walk => ({ extents: axes.map(([n]) => n), strides: axes.map(([, s]) => s), offset })),
      )
    fc.assert(
      fc.property(walk, walk, (a, b) => {
        const own = new Set(addresses(a))
        const meet = addresses(b).some((at) => own.has(at))
        expect(areApart(a, b) && meet).toBe(false)
      }),
      { numRuns: 2000 },
    )
  })
})

import { expect, test } from 'vitest'
import { attrsKey } from './attrs-key.ts'

test('contents that differ have keys that differ', () => {
  const all: unknown[] = [
    [undefined, null, true, false, 0, -0, 1, Number.NaN, Number.POSITIVE_INFINITY, 1n, '', '1', 'NaN', '-0', [], {}, [[]], [1], [1, 2]],
    [[[1], 2], [12], ['a', 'b'], ['a,b'], ["a,'1 b"], { a: 1 }, { a: '1' }, { a: 1, b: 2 }, { a: { b: 2 } }, { a: [1, 2] }],
  ].flat()
  expect(new Set(all.map(attrsKey)).size).toBe(all.length)
})

test('equal contents have equal keys', () => {
  const make = () => ({ axes: [0, -1], keepDims: false, padding: [[1, 2]], mode: 'same', value: Number.NaN })
  expect(attrsKey(make())).toBe(attrsKey(make()))
  expect(attrsKey({ axis: 1, keepDims: undefined })).toBe(attrsKey({ axis: 1 }))
})

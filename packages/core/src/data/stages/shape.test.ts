import fc from 'fast-check'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { arange, type Tensor, tensor } from '../../index.ts'
import { Dataset } from '../dataset.ts'
import { plain } from '../test/resume.ts'

const numbers = (n: number) => Array.from({ length: n }, (_, i) => i)
const count = fc.integer({ min: 0, max: 30 })
const size = fc.integer({ min: 1, max: 7 })
const stream = (n: number) => Dataset.from(() => numbers(n).values())
type ElementOf<D> = D extends Dataset<infer T> ? T : never

describe('batch and unbatch', () => {
  test('are slices of arrays', () => {
    fc.assert(
      fc.property(count, size, fc.boolean(), (n, batchSize, dropLast) => {
        const slices: number[][] = []
        for (let at = 0; at < n; at += batchSize) slices.push(numbers(n).slice(at, at + batchSize))
        const expected = slices.filter((slice) => !dropLast || slice.length === batchSize)
        const tensors = Dataset.fromTensors([arange(n)] as const).batch(batchSize, { dropLast })
        expect([...tensors].map(([x]) => x.toArray())).toEqual(expected)
        expect(tensors.length).toBe(expected.length)
        expect([...stream(n).batch(batchSize, { dropLast })].map((x) => x.toArray())).toEqual(expected)
        expect([...stream(n).batch(batchSize, { dropLast, collate: (xs) => xs })]).toEqual(expected)
        expect([...tensors.unbatch()].map(([x]) => x.item())).toEqual(expected.flat())
      }),
    )
  })

  test('elements of any structure, and what they become in types', () => {
    const dataset = Dataset.range(4).map((x) => ({
      image: tensor([x, x], { dtype: 'uint8' }),
      label: x,
      name: `n${x}`,
      even: x % 2 === 0,
      bytes: Float32Array.of(x, -x),
      pair: [x, { big: BigInt(x) }] as [number, { big: bigint }],
    }))
    const batches = dataset.batch(2)
    interface Batch {
      image: Tensor
      label: Tensor
      name: string[]
      even: Tensor
      bytes: Tensor
      pair: [Tensor, { big: Tensor }]
    }
    expectTypeOf<ElementOf<typeof batches>>().toExtend<Batch>()
    const [batch] = [...batches]
    expect(plain(batch)).toMatchObject({
      image: {
        dtype: 'uint8',
        values: [
          [0, 0],
          [1, 1],
        ],
      },
      label: { dtype: 'float32', values: [0, 1] },
      name: ['n0', 'n1'],
      even: { dtype: 'bool', values: [true, false] },
      bytes: {
        dtype: 'float32',
        values: [
          [0, -0],
          [1, -1],
        ],
      },
      pair: [{ values: [0, 1] }, { big: { dtype: 'int64' } }],
    })
    const parts = [...batches.map(({ image, name }) => ({ image, name })).unbatch()]
    expectTypeOf(parts[0]!.name).toEqualTypeOf<string>()
    expect(parts.map(({ image, name }) => [image.toArray(), name])).toEqual(numbers(4).map((x) => [[x, x], `n${x}`]))
  })

  test('says what does not fit', () => {
    expect(() => [
      ...Dataset.range(1, 3)
        .map((x) => ({ a: arange(x) }))
        .batch(2),
    ]).toThrow(/different shapes.*in a.*\[1\], \[2\].*paddedBatch/)
    const rows = Dataset.from([
      { text: 'good', label: 1, meta: { kind: 3 } },
      { text: 'bad', label: 0, meta: { kind: 2 } },
    ])
    const [typed] = [...rows.batch(2, { dtypes: { label: 'int32', 'meta.kind': 'uint8' } })]
    expect([typed!.text, typed!.label.dtype, typed!.meta.kind.dtype]).toEqual([['good', 'bad'], 'int32', 'uint8'])
    const [all] = [...rows.bucketBySequenceLength(({ text }) => text.length, { boundaries: [9], batchSizes: [2, 2], dtypes: 'int32' })]
    expect([all!.label.dtype, all!.meta.kind.dtype]).toEqual(['int32', 'int32'])
    expect([...Dataset.range(3).paddedBatch(3, { dtypes: 'int64' })].map((x) => x.dtype)).toEqual(['int64'])
    expect(() => [...rows.batch(2, { dtypes: { lable: 'int32' } })]).toThrow(
      /dtypes has lable, but no numbers are called so. There are label, meta.kind/,
    )
    expect(() => rows.batch(2, { dtypes: 'int32', collate: (x) => x })).toThrow(/both dtypes and a collate/)
    expect(() => [...Dataset.from([1, 'a']).batch(2)]).toThrow(/different kinds.*number and string/)
    expect(() => [...Dataset.from<object>([{ a: 1 }, { b: 1 }]).batch(2)]).toThrow(/\{ a \} and \{ b \}/)
    expect(() => Dataset.range(3).batch(0)).toThrow(/batchSize is 0/)
    expect(() => Dataset.fromTensors({ x: arange(3), y: arange(4) })).toThrow(/same first size/)
    expect(() => [...Dataset.from([{ a: arange(2), b: arange(3) }]).unbatch()]).toThrow(/different first sizes/)
  })
})

describe('paddedBatch and bucketBySequenceLength', () => {
  test('pad to the longest, to a size or to multiples', () => {
    const rows = Dataset.range(1, 4).map((x) => ({ x: arange(x), mask: Int32Array.from({ length: x }, () => 1), n: x }))
    const [batch] = [...rows.paddedBatch(3, { value: { x: -1 } })]
    expect(plain(batch)).toMatchObject({
      x: {
        values: [
          [0, -1, -1],
          [0, 1, -1],
          [0, 1, 2],
        ],
      },
      mask: {
        dtype: 'int32',
        values: [
          [1, 0, 0],
          [1, 1, 0],
          [1, 1, 1],
        ],
      },
      n: { values: [1, 2, 3] },
    })
    expect([...rows.paddedBatch(2, { multipleOf: 4 })].map(({ x }) => x.shape)).toEqual([
      [2, 4],
      [1, 4],
    ])
    expect([...rows.paddedBatch(2, { shape: { x: [5] }, dropLast: true })].map(({ x, mask }) => [x.shape, mask.shape])).toEqual([
      [
        [2, 5],
        [2, 2],
      ],
    ])
    expect(() => [...rows.paddedBatch(3, { shape: [2] })]).toThrow(/size 3 along axis 0.*padded to 2/)
  })

  test('buckets hold elements of like lengths', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 40 }), (lengths) => {
        const dataset = Dataset.from(lengths.map((length) => arange(length)))
        const options = { boundaries: [4, 8], batchSizes: [4, 3, 2] }
        const batches = [...dataset.bucketBySequenceLength((x) => x.size, options)]
        const bucket = (length: number) => (length < 4 ? 0 : length < 8 ? 1 : 2)
        expect(batches.reduce((sum, { shape }) => sum + shape[0]!, 0)).toBe(lengths.length)
        for (const b of numbers(3)) {
          const own = batches.filter(({ shape }) => bucket(shape[1]!) === b)
          expect(own.slice(0, -1).every(({ shape }) => shape[0] === options.batchSizes[b])).toBe(true)
          expect(own.reduce((sum, { shape }) => sum + shape[0]!, 0)).toBe(lengths.filter((n) => bucket(n) === b).length)
        }
      }),
      { numRuns: 25 },
    )
    const even = Dataset.range(1, 7)
      .map((x) => arange(x))
      .bucketBySequenceLength((x) => x.size, { boundaries: [4, 8], batchSizes: [3, 3, 1], padToBoundary: true })
    expect([...even].map(({ shape }) => shape)).toEqual([
      [3, 3],
      [3, 7],
    ])
    expect(() => Dataset.range(3).bucketBySequenceLength((x) => x, { boundaries: [4], batchSizes: [1] })).toThrow(
      /1 batchSizes for 2 buckets/,
    )
  })
})

describe('window, scan, enumerate, groups', () => {
  test('windows are those of tf.data', () => {
    fc.assert(
      fc.property(count, size, size, size, fc.boolean(), (n, width, shift, stride, dropLast) => {
        const expected: number[][] = []
        for (let at = 0; at < n; at += shift) {
          const window = numbers(width)
            .map((i) => at + i * stride)
            .filter((i) => i < n)
          if (!dropLast || window.length === width) expected.push(window)
        }
        for (const dataset of [Dataset.range(n), stream(n)]) {
          const windows = dataset.window(width, { shift, stride, dropLast })
          expect([...windows]).toEqual(expected)
          if (dataset.length !== undefined) expect(windows.length).toBe(expected.length)
        }
      }),
    )
  })

  test('scan and enumerate', () => {
    const sums = Dataset.range(1, 5).scan(10, (sum, x) => [sum + x, `${sum + x}`])
    expectTypeOf<ElementOf<typeof sums>>().toEqualTypeOf<string>()
    expect([...sums.enumerate(3)]).toEqual([
      [3, '11'],
      [4, '13'],
      [5, '16'],
      [6, '20'],
    ])
    expect([...sums]).toHaveLength(4)
  })

  test('groups are full, and hold what has their key', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20)), size, fc.boolean(), (values, windowSize, dropLast) => {
        const groups = [...Dataset.from(values).groupByWindow((x) => x % 3, windowSize, { dropLast })]
        for (const key of numbers(3)) {
          const own = values.filter((x) => x % 3 === key)
          const found = groups.filter((group) => group.key === key)
          expect(found.flatMap(({ elements }) => elements)).toEqual(
            own.slice(0, dropLast ? own.length - (own.length % windowSize) : undefined),
          )
          expect(found.slice(0, -1).every(({ elements }) => elements.length === windowSize)).toBe(true)
        }
      }),
    )
    expect([...Dataset.from(['b', 'a', 'b']).groupBy((x) => x)]).toEqual([
      { key: 'b', elements: ['b', 'b'] },
      { key: 'a', elements: ['a'] },
    ])
  })
})

describe('zip, flatMap and interleave', () => {
  test('zip is as long as the shortest', () => {
    fc.assert(
      fc.property(count, count, (n, m) => {
        const expected = numbers(Math.min(n, m)).map((i) => ({ a: i, b: i }))
        for (const b of [Dataset.range(m), stream(m)]) expect([...Dataset.zip({ a: Dataset.range(n), b })]).toEqual(expected)
      }),
    )
    const pairs = Dataset.range(3).zip(Dataset.from(['a', 'b']))
    expectTypeOf<ElementOf<typeof pairs>>().toEqualTypeOf<[number, string]>()
    expect([...pairs]).toEqual([
      [0, 'a'],
      [1, 'b'],
    ])
    const named = Dataset.zip({ x: Dataset.fromTensors(arange(2)), n: Dataset.range(2) })
    expectTypeOf<ElementOf<typeof named>>().toExtend<{ x: Tensor; n: number }>()
    expect(() => Dataset.zip([])).toThrow(/nothing to zip/)
  })

  test('interleave goes round as tf.data does', () => {
    // The example of its documentation.
    const repeated = Dataset.range(1, 6).interleave((x) => Dataset.from([x]).repeat(6), { cycleLength: 2, blockLength: 4 })
    expect([...repeated].join('')).toBe('111122221122333344443344555555')
    expect(Array.from(Dataset.range(4).flatMap((x) => numbers(x)))).toEqual([0, 0, 1, 0, 1, 2])
    expect(Array.from(Dataset.range(3).flatMap(() => []))).toEqual([])
    fc.assert(
      fc.property(fc.array(fc.nat(5), { maxLength: 8 }), size, size, (lengths, cycleLength, blockLength) => {
        const made = [
          ...Dataset.from(lengths)
            .enumerate()
            .interleave(([i, n]) => numbers(n).map((j) => [i, j]), { cycleLength, blockLength }),
        ]
        for (const [i, n] of lengths.entries()) expect(made.filter(([k]) => k === i).map(([, j]) => j)).toEqual(numbers(n))
        expect(made).toHaveLength(lengths.reduce((a, b) => a + b, 0))
      }),
    )
  })
})

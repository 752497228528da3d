import { describe, expect, test } from 'vitest'
import { arange, data, type Tensor } from '../index.ts'

const rows = (n: number) => ({ x: arange(n), y: arange(n).mul(10) })
const seen = (batches: Iterable<{ x: Tensor }>) => [...batches].map(({ x }) => [...x.dataSync()].map(Number))

describe('Batches', () => {
  test('cuts tensors that go together along their first axis', () => {
    const batches = new data.Batches(rows(5), { batchSize: 2 })
    expect(batches.length).toBe(3)
    expect([...batches].map(({ x, y }) => [x.toArray(), y.toArray()])).toEqual([
      [
        [0, 1],
        [0, 10],
      ],
      [
        [2, 3],
        [20, 30],
      ],
      [[4], [40]],
    ])
    expect(new data.Batches(rows(5), { batchSize: 2, dropLast: true }).length).toBe(2)
  })

  test('shuffles anew each pass, the same way for the same seed', () => {
    const make = () => new data.Batches(rows(20), { batchSize: 6, shuffle: true, seed: 7 })
    const [a, b] = [make(), make()]
    const first = seen(a)
    expect(seen(b)).toEqual(first)
    expect(first.flat().sort((x, y) => x - y)).toEqual(Array.from({ length: 20 }, (_, i) => i))
    expect(seen(a)).not.toEqual(first)
  })

  test('goes on at a position as the run that stopped there would have', async () => {
    const whole = new data.Batches(rows(20), { batchSize: 6, shuffle: true, seed: 7 })
    const expected = [...seen(whole), ...seen(whole)]
    const half = new data.Batches(rows(20), { batchSize: 6, shuffle: true, seed: 7 })
    half.position = 2
    const rest: number[][] = []
    for await (const { x } of half) rest.push([...x.dataSync()].map(Number))
    expect([...rest, ...seen(half)]).toEqual(expected.slice(2))
    expect(half.position).toBe(8)
  })

  test('an interrupted pass counts the batches that were dealt with', () => {
    const batches = new data.Batches(rows(10), { batchSize: 2 })
    for (const { x } of batches) if (x.at(0).item() === 4) break
    expect(batches.position).toBe(2)
  })

  test('refuses tensors of different lengths and odd batch sizes', () => {
    expect(() => new data.Batches({ x: arange(3), y: arange(4) }, { batchSize: 2 })).toThrow(/same first size/)
    expect(() => new data.Batches(rows(3), { batchSize: 0 })).toThrow(/batchSize is 0/)
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arange, manualSeed } from '../../index.ts'
import { Dataset } from '../dataset.ts'
import { distributedSampler, randomSampler, subsetRandomSampler, subsetSampler, weightedRandomSampler } from '../sampler.ts'

const numbers = (n: number) => Array.from({ length: n }, (_, i) => i)
const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b)
const count = fc.integer({ min: 0, max: 40 })
const size = fc.integer({ min: 1, max: 12 })
/** The same elements with indices and without. */
const both = (n: number) => [Dataset.range(n), Dataset.from(() => numbers(n).values())]

describe('shuffle', () => {
  test('is a permutation, in which no element comes before the buffer could have held it', () => {
    fc.assert(
      fc.property(count, size, fc.integer(), (n, bufferSize, seed) => {
        const [indexed, stream] = both(n).map((dataset) => [...dataset.shuffle({ bufferSize, seed })])
        expect(sorted(indexed!)).toEqual(numbers(n))
        indexed!.forEach((x, i) => expect(x).toBeLessThan(i + bufferSize))
        expect(stream).toEqual(indexed)
        expect([...both(n)[1]!.shuffle({ seed })]).toEqual([...both(n)[0]!.shuffle({ seed })])
      }),
    )
  })

  test('each order is equally likely', () => {
    const seen = new Map<string, number>()
    const dataset = Dataset.range(3).shuffle({ seed: 1 })
    for (let i = 0; i < 6000; i++) {
      const order = [...dataset].join('')
      seen.set(order, (seen.get(order) ?? 0) + 1)
    }
    expect(seen.size).toBe(6)
    // Five standard deviations of 1000.
    for (const times of seen.values()) expect(Math.abs(times - 1000)).toBeLessThan(145)
  })

  test('keeps its order if told to', () => {
    const dataset = Dataset.range(20).shuffle({ seed: 2, reshuffleEachEpoch: false })
    const first = [...dataset]
    expect([...dataset]).toEqual(first)
    expect([...dataset.repeat(2)].slice(20)).toEqual(first)
    const anew = [...Dataset.range(20).shuffle({ seed: 2 }).repeat(2)]
    expect(anew.slice(20)).not.toEqual(anew.slice(0, 20))
  })

  test('parts of a split do not overlap', () => {
    expect(() => Dataset.range(4).shuffle({ reshuffleEachEpoch: false })).toThrow(/needs a seed/)
    const dataset = Dataset.range(20).shuffle({ seed: 5, reshuffleEachEpoch: false })
    expect([...dataset.take(15), ...dataset.skip(15)].toSorted((a, b) => a - b)).toEqual([...Dataset.range(20)])
  })

  test('of tensors, batches are rows of the same order', () => {
    const x = arange(40).reshape([20, 2])
    const batches = [...Dataset.fromTensors({ x }).shuffle({ seed: 3 }).skip(1).take(16).shard(2, 1).batch(3)]
    const singles = [...Dataset.fromTensors({ x }).shuffle({ seed: 3 }).skip(1).take(16).shard(2, 1)]
    expect(batches.flatMap((batch) => batch.x.toArray())).toEqual(singles.map((row) => row.x.toArray()))
  })

  test('refuses what cannot be shuffled', () => {
    expect(() => Dataset.range(3).repeat().shuffle()).toThrow(/never end.*bufferSize/)
    expect(() => Dataset.range(3).shuffle({ bufferSize: 0 })).toThrow(/bufferSize is 0/)
    expect([...Dataset.range(3).repeat().shuffle({ bufferSize: 4 }).take(9)]).toHaveLength(9)
  })
})

describe('take, skip, shard, repeat, concatenate', () => {
  test('are those of arrays', () => {
    fc.assert(
      fc.property(count, count, count, size, fc.nat(11), fc.integer({ min: 0, max: 3 }), (n, skip, take, shards, shard, rounds) => {
        const index = shard % shards
        const chosen = numbers(n)
          .slice(skip)
          .slice(0, take)
          .filter((_, i) => i % shards === index)
        const expected = [...numbers(rounds).flatMap(() => chosen), ...numbers(n)]
        for (const dataset of both(n)) {
          const made = dataset.skip(skip).take(take).shard(shards, index).repeat(rounds).concatenate(dataset)
          expect([...made]).toEqual(expected)
          if (dataset.length !== undefined) expect(made.length).toBe(expected.length)
        }
      }),
    )
  })

  test('know their lengths', () => {
    const endless = Dataset.range(3).repeat()
    expect([endless.length, endless.take(7).length, endless.skip(2).length]).toEqual([Infinity, 7, Infinity])
    expect(Dataset.from(() => [1]).repeat().length).toBe(Infinity)
    expect([...Dataset.range(0).repeat()]).toEqual([])
    expect(() => Dataset.range(3).shard(2, 2)).toThrow(/no shard 2 of 2/)
    expect(() => Dataset.range(3).take(-1)).toThrow(/count is -1/)
  })
})

describe('samplers', () => {
  const sample = (n: number, sampler: Parameters<Dataset<number>['sample']>[0]) => Dataset.range(n).sample(sampler, { seed: 5 })

  test('randomSampler and subsets', () => {
    fc.assert(
      fc.property(size, count, (n, numSamples) => {
        const drawn = [...sample(n, randomSampler({ numSamples }))]
        // Whole rounds, then a part of one.
        for (let at = 0; at < numSamples; at += n) {
          const round = drawn.slice(at, at + n)
          expect(new Set(round).size).toBe(round.length)
        }
        expect(drawn).toHaveLength(numSamples)
        const twice = [...sample(n, randomSampler({ numSamples, replacement: true }))]
        expect([twice.length, twice.every((x) => x >= 0 && x < n)]).toEqual([numSamples, true])
      }),
    )
    expect([...sample(9, subsetSampler([4, 1, 4]))]).toEqual([4, 1, 4])
    expect(sorted([...sample(9, subsetRandomSampler([4, 1, 7]))])).toEqual([1, 4, 7])
    expect(() => [...sample(3, subsetSampler([3]))]).toThrow(/no element 3 of 3/)
    expect(() => Dataset.from(() => [1]).sample(randomSampler())).toThrow(/cannot be had by index/)
  })

  test('weightedRandomSampler draws as often as weights say', () => {
    const drawn = [...sample(4, weightedRandomSampler([1, 0, 3, 4], { numSamples: 8000 }))]
    const times = numbers(4).map((x) => drawn.filter((y) => y === x).length)
    expect(times[1]).toBe(0)
    for (const [i, expected] of [1000, 0, 3000, 4000].entries()) expect(Math.abs(times[i]! - expected)).toBeLessThan(230)
    // Without replacement the first is drawn by weight, and nothing twice.
    const firsts = numbers(2000).map((seed) => [
      ...Dataset.range(3).sample(weightedRandomSampler([1, 2, 1], { numSamples: 2, replacement: false }), { seed }),
    ])
    expect(firsts.every(([a, b]) => a !== b)).toBe(true)
    expect(Math.abs(firsts.filter(([a]) => a === 1).length - 1000)).toBeLessThan(115)
    expect(() => weightedRandomSampler([0, 1], { replacement: false })).toThrow(/2 samples without replacement of 1/)
    expect(() => weightedRandomSampler([Number.NaN])).toThrow(/a weight is NaN/)
  })

  test('distributedSampler gives each process its share', () => {
    fc.assert(
      fc.property(count, size, fc.boolean(), (n, numReplicas, dropLast) => {
        const shares = numbers(numReplicas).map((rank) => [...sample(n, distributedSampler({ numReplicas, rank, dropLast }))])
        const all = shares.flat()
        expect(new Set(shares.map((share) => share.length)).size).toBe(1)
        if (dropLast) expect(new Set(all).size).toBe(all.length)
        else expect(sorted([...new Set(all)])).toEqual(numbers(n))
      }),
    )
    expect([...sample(5, distributedSampler({ numReplicas: 2, rank: 1, shuffle: false }))]).toEqual([1, 3, 0])
  })
})

describe('sampleFrom and rejectionResample', () => {
  test('sampleFrom keeps the order of each, and all elements', () => {
    fc.assert(
      fc.property(count, count, fc.integer(), (a, b, seed) => {
        const drawn = [...Dataset.sampleFrom([Dataset.range(a), Dataset.range(100, 100 + b)], { seed, weights: [1, 2] })]
        expect(drawn.filter((x) => x < 100)).toEqual(numbers(a))
        expect(drawn.filter((x) => x >= 100)).toEqual(numbers(b).map((x) => x + 100))
      }),
    )
    const ones = [...Dataset.sampleFrom([Dataset.from([0]).repeat(), Dataset.from([1]).repeat()], { weights: [1, 3], seed: 1 }).take(4000)]
    expect(Math.abs(ones.reduce((x, y) => x + y) - 3000)).toBeLessThan(140)
    const stopped = [...Dataset.sampleFrom([Dataset.range(2), Dataset.range(10, 1000)], { stopOnEmpty: true, seed: 1 })]
    expect(stopped.filter((x) => x < 10)).toEqual([0, 1])
    expect(stopped.length).toBeLessThan(100)
    expect(() => Dataset.sampleFrom([Dataset.range(1)], { weights: [0] })).toThrow(/all weights are 0/)
  })

  test('rejectionResample makes classes as frequent as wanted', () => {
    manualSeed(4)
    const classOf = (x: number) => (x % 10 === 0 ? 1 : 0)
    for (const initial of [undefined, [9, 1]]) {
      const kept = [...Dataset.range(40_000).rejectionResample(classOf, { target: [1, 1], seed: 3, ...(initial && { initial }) })]
      const rare = kept.filter((x) => classOf(x) === 1).length
      expect(rare).toBe(4000)
      expect(Math.abs(kept.length - rare - 4000)).toBeLessThan(350)
    }
    expect(() => [...Dataset.range(3).rejectionResample(() => 2, { target: [1, 1] })]).toThrow(/an element has class 2/)
  })
})

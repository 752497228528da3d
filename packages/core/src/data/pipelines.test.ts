import fc from 'fast-check'
import { expect, test } from 'vitest'
import { arange, decodeCheckpoint, encodeCheckpoint, manualSeed, uniform } from '../index.ts'
import { Dataset } from './dataset.ts'
import { elementsOf, slowly } from './test/resume.ts'

type Any = Dataset<unknown>
const length = 13
const numbers = Array.from({ length }, (_, i) => i)

const sources: Readonly<Record<string, () => Any>> = {
  range: () => Dataset.range(length),
  generator: () => Dataset.from(() => numbers.values()),
  slowGenerator: () =>
    Dataset.from(async function* () {
      for (const i of numbers) yield i % 4 === 0 ? await slowly(i) : i
    }),
  array: () => Dataset.from(numbers),
  tensors: () => Dataset.fromTensors(arange(length)).map((x) => x.item()),
  slowIndexed: () => Dataset.fromIndexed({ length, get: (i) => slowly(i) }),
  empty: () => Dataset.range(0),
}

const classOf = (x: unknown) => JSON.stringify(x).length % 2

const links: Readonly<Record<string, (d: Any) => Any>> = {
  shuffle: (d) => d.shuffle(),
  shuffleBuffer: (d) => d.shuffle({ bufferSize: 4 }),
  shuffleOnce: (d) => d.shuffle({ bufferSize: 4, seed: 2, reshuffleEachEpoch: false }),
  parallel: (d) => d.map((x) => slowly(x, 1 + classOf(x)), { parallel: 3 }),
  random: (d) => d.map((x, { generator }) => [x, uniform([], { generator }).item()]),
  filter: (d) => d.filter((x) => JSON.stringify(x).length % 3 !== 0),
  window: (d) => d.window(3, { shift: 2, stride: 2 }),
  windowGaps: (d) => d.window(2, { shift: 3, dropLast: true }),
  repeat: (d) => d.repeat(2),
  take: (d) => d.take(9),
  skip: (d) => d.skip(3),
  shard: (d) => d.shard(2, 1),
  concatenate: (d) => d.concatenate(Dataset.from([100, 101])),
  zip: (d) => d.zip(Dataset.from(() => numbers.values()).repeat(2)),
  enumerate: (d) => d.enumerate(),
  scan: (d) => d.scan(0, (seen, x) => [seen + 1, [seen, x]]),
  flatMap: (d) => d.flatMap((x) => [x, x]),
  interleave: (d) => d.interleave((x) => Dataset.from([x, 'a', 'b']).shuffle(), { cycleLength: 3, blockLength: 2, prefetch: 1 }),
  group: (d) => d.groupByWindow(classOf, 3),
  prefetch: (d) => d.prefetch(3),
  prefetchAuto: (d) => d.prefetch(),
  cache: (d) => d.cache(),
  sampleFrom: (d) => Dataset.sampleFrom([d, Dataset.range(1000, 1010)], { weights: [2, 1] }),
  resample: (d) => d.rejectionResample(classOf, { target: [1, 1] }),
  batch: (d) => d.batch(3, { collate: (elements) => elements }),
  ignoreErrors: (d) =>
    d
      .map((x) => {
        if (JSON.stringify(x).includes('7')) throw new Error('no sevens')
        return x
      })
      .ignoreErrors(),
}

test('whatever a pipeline is made of, it has the length that it says and goes on where it was left', async () => {
  const chain = fc.tuple(fc.constantFrom(...Object.keys(sources)), fc.array(fc.constantFrom(...Object.keys(links)), { maxLength: 4 }))
  await fc.assert(
    fc.asyncProperty(chain, fc.nat(1), fc.double({ min: 0, max: 1, noNaN: true }), async ([source, names], epoch, share) => {
      const make = () => names.reduce((d, name) => links[name]!(d), sources[source]!())
      manualSeed(7)
      const whole = make()
      const seed = whole.stateDict().seed
      const epochs = [await elementsOf(whole), await elementsOf(whole)]
      if (whole.length !== undefined) expect(epochs[0]).toHaveLength(whole.length)

      const left = make()
      left.loadStateDict({ ...left.stateDict(), seed })
      if (epoch === 1) await elementsOf(left)
      const position = Math.floor(share * epochs[epoch]!.length)
      let seen = 0
      if (position > 0) for await (const _ of left) if (++seen === position) break
      const resumed = make()
      await decodeCheckpoint(await encodeCheckpoint({ left }), { left: resumed })
      expect(await elementsOf(resumed)).toEqual(epochs[epoch]!.slice(position))
    }),
    { numRuns: 400 },
  )
})

import { describe, expect, test } from 'vitest'
import { arange, manualSeed, tensor } from '../index.ts'
import { Dataset } from './dataset.ts'
import { elementsOf, expectResumes, plain, slowly } from './test/resume.ts'

const numbers = (n: number) => Array.from({ length: n }, (_, i) => i)
const isEven = (x: number) => x % 2 === 0

describe('resuming gives the uninterrupted rest', () => {
  const stream = (n: number) =>
    Dataset.from(async function* () {
      for (let i = 0; i < n; i++) yield await slowly(i, i % 3)
    })
  const pipelines: Record<string, () => Dataset<unknown>> = {
    tensors: () => Dataset.fromTensors({ x: arange(7), y: arange(14).reshape([7, 2]) }),
    'tensors, shuffled batches': () =>
      Dataset.fromTensors({ x: arange(11) })
        .shuffle()
        .batch(3),
    'an array': () => Dataset.from(['a', 'b', 'c']),
    'a stream': () => stream(5),
    map: () => stream(6).map((x, { generator }) => [x, generator.state.seed]),
    'map, several at once': () => stream(9).map((x, { index }) => slowly([x, index], x % 4), { parallel: 3 }),
    'map at once of what answers at once': () => Dataset.range(6).map((x) => slowly(x), { parallel: 2 }),
    'filter and batch': () => stream(12).filter(isEven).batch(2),
    'filter that waits': () => Dataset.range(8).filter((x) => slowly(isEven(x)), { parallel: 3 }),
    'shuffle with a buffer': () => stream(10).shuffle({ bufferSize: 4 }),
    'shuffle with a buffer of tensors': () =>
      stream(6)
        .map((x) => ({ x: tensor([x]), bytes: Uint8Array.of(x), at: new Date(x) }))
        .shuffle({ bufferSize: 3 }),
    'prefetch of slow maps': () =>
      stream(10)
        .map((x) => slowly(x, 3), { parallel: 4 })
        .prefetch(3),
    'prefetch, batch, prefetch': () => stream(10).shuffle({ bufferSize: 3 }).prefetch(2).batch(2).prefetch('auto'),
    repeat: () => stream(3).shuffle({ bufferSize: 2 }).repeat(3),
    'repeat of a shuffle with all': () => Dataset.range(4).shuffle().repeat(2).batch(3),
    'take, skip, shard of a stream': () => stream(20).skip(2).take(14).shard(3, 1),
    'take, skip, shard of numbers': () => Dataset.range(20).skip(2).take(14).shard(3, 1).shuffle(),
    flatMap: () => stream(5).flatMap((x) => numbers(x).map((y) => 10 * x + y)),
    interleave: () => stream(5).interleave((x) => Dataset.range(x).map((y) => slowly(10 * x + y)), { cycleLength: 2, blockLength: 2 }),
    'interleave, ahead': () =>
      stream(5).interleave(
        (x) =>
          stream(x)
            .shuffle()
            .map((y) => slowly(10 * x + y)),
        { cycleLength: 3, prefetch: 2 },
      ),
    unbatch: () => Dataset.range(7).batch(3).unbatch(),
    zip: () => Dataset.zip({ a: stream(6), b: Dataset.range(5).shuffle() }),
    'zip of tensors': () =>
      Dataset.zip([Dataset.fromTensors(arange(6)), Dataset.fromTensors(arange(6).neg())])
        .shuffle()
        .batch(4),
    concatenate: () =>
      stream(3).concatenate(
        Dataset.range(3).map((x) => -x),
        stream(2),
      ),
    window: () => stream(9).window(3, { shift: 2, stride: 2 }),
    'window with gaps': () => stream(11).window(2, { shift: 4 }),
    scan: () => stream(6).scan(0, (sum, x) => [sum + x, sum + x]),
    'scan that waits': () => stream(6).scan(tensor(0), (sum, x) => slowly([sum.add(x), sum.add(x)] as const)),
    enumerate: () => stream(4).shuffle({ bufferSize: 2 }).enumerate(5),
    groupBy: () => stream(7).groupBy((x) => x % 3),
    groupByWindow: () => stream(13).groupByWindow((x) => slowly(x % 3), 2),
    paddedBatch: () =>
      stream(7)
        .map((x) => ({ x: arange(x) }))
        .paddedBatch(3),
    bucketBySequenceLength: () =>
      stream(12)
        .map((x) => arange(1 + ((7 * x) % 5)))
        .bucketBySequenceLength((x) => x.size, { boundaries: [3], batchSizes: [3, 2] }),
    rejectionResample: () => stream(30).rejectionResample((x) => (x % 3 === 0 ? 1 : 0), { target: [1, 1] }),
    'cache of a stream': () =>
      stream(5)
        .shuffle({ bufferSize: 3 })
        .cache()
        .map((x) => x + 1),
    'cache of elements with indices': () => Dataset.from([1, 2, 3, 4]).cache().shuffle(),
    sampleFrom: () => Dataset.sampleFrom([stream(5), Dataset.range(100, 108)], { weights: [1, 3] }),
    'sampleFrom that stops': () => Dataset.sampleFrom([stream(5), Dataset.range(100, 108)], { stopOnEmpty: true }),
    ignoreErrors: () => stream(9).map(failing).ignoreErrors(),
    'ignoreErrors behind batch': () => stream(9).map(failing, { parallel: 2 }).batch(2).ignoreErrors().prefetch(2),
  }
  const failing = (x: number) => {
    if (x % 4 === 2) throw new Error('no')
    return x
  }
  test.each(Object.entries(pipelines))('%s', async (_, make) => {
    manualSeed(3)
    await expectResumes(make)
  })
})

describe('passes', () => {
  test('a plain for and for await see the same, where nothing waits', async () => {
    const make = () =>
      Dataset.range(20)
        .shuffle({ seed: 4 })
        .map((x) => 2 * x)
        .filter((x) => x % 3 !== 0)
        .batch(4)
    expect([...make()].map(plain)).toEqual(await elementsOf(make()))
  })

  test('a plain for refuses what waits', () => {
    const dataset = Dataset.range(3).map((x) => slowly(x))
    expect(() => [...dataset]).toThrow(/range > map has to wait.*for await/)
  })

  test('a pass that was left is over: the next one is the next epoch', async () => {
    const dataset = Dataset.range(10).shuffle({ seed: 1 })
    const epochs = [await elementsOf(dataset), await elementsOf(dataset)]
    const other = Dataset.range(10).shuffle({ seed: 1 })
    for await (const _ of other) if (other.position === 3) break
    expect([other.epoch, other.position]).toEqual([0, 3])
    expect(await elementsOf(other)).toEqual(epochs[1])
    expect([other.epoch, other.position]).toEqual([2, 0])
  })

  test('a pass that is ended is not gone on with by a state', async () => {
    const make = () => Dataset.range(8).shuffle({ seed: 1 })
    const whole = make()
    await elementsOf(whole)
    const second = await elementsOf(whole)
    const left = make()
    for await (const _ of left) if (left.position === 3) break
    expect(left.stateDict().position).toBe(3)
    left.endPass()
    left.endPass()
    expect([left.epoch, left.position]).toEqual([1, 0])
    const resumed = make()
    resumed.loadStateDict(left.stateDict())
    expect(await elementsOf(resumed)).toEqual(second)
    expect(await elementsOf(left)).toEqual(second)
    // So is one that is yet to be gone on with.
    const loaded = make()
    for await (const _ of resumed) break
    loaded.loadStateDict(resumed.stateDict())
    loaded.endPass()
    expect(loaded.epoch).toBe(3)
  })

  test('without a seed, manualSeed determines the order', async () => {
    const draw = async (seed: number) => {
      manualSeed(seed)
      return elementsOf(Dataset.range(100).shuffle())
    }
    expect(await draw(1)).toEqual(await draw(1))
    expect(await draw(1)).not.toEqual(await draw(2))
  })

  test('two shuffles of one pipeline choose differently', async () => {
    manualSeed(1)
    const rows = (await elementsOf(Dataset.zip([Dataset.range(50).shuffle(), Dataset.range(50).shuffle()]))) as [number, number][]
    expect(rows.filter(([a, b]) => a === b).length).toBeLessThan(10)
  })

  test('a state of another pipeline is refused', () => {
    const state = Dataset.range(3).stateDict()
    expect(() => Dataset.range(3).batch(2).loadStateDict(state)).toThrow(/that of range, not of range > batch/)
  })

  test('an element that cannot be saved is named', async () => {
    const dataset = Dataset.from(async function* () {
      yield new Map()
      yield new Map()
    }).shuffle({ bufferSize: 2 })
    for await (const _ of dataset) break
    expect(() => dataset.stateDict()).toThrow(/a Map, which cannot be saved/)
  })
})

import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arange, type CotangentError, currentEngine, zeros } from '../index.ts'
import { Dataset } from './dataset.ts'
import type { Source } from './source.ts'
import { elementsOf, slowly } from './test/resume.ts'

const numbers = (n: number) => Array.from({ length: n }, (_, i) => i)
const failureOf = (dataset: Dataset<unknown>): Promise<CotangentError> =>
  elementsOf(dataset).then(
    () => expect.unreachable(),
    (error) => error,
  )

describe('several at once', () => {
  test('parallel maps and prefetch change nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.nat(4), { maxLength: 25 }),
        async (parallel, depth, turns) => {
          const draw = (turns: number, { generator, index }: { generator: { state: { seed: bigint } }; index: number }) =>
            slowly([index, generator.state.seed], turns)
          const make = () => Dataset.from(() => turns.values()).shuffle({ seed: 1, bufferSize: 3 })
          const expected = await elementsOf(make().map(draw, { seed: 2 }))
          expect(await elementsOf(make().map(draw, { seed: 2, parallel }).prefetch(depth))).toEqual(expected)
          const unordered = (await elementsOf(make().map(draw, { seed: 2, parallel, ordered: false }))) as [number][]
          expect(unordered.sort(([a], [b]) => a - b)).toEqual(expected)
          const kept = await elementsOf(make().filter((x) => slowly(x > 1, x), { parallel }))
          expect(kept).toEqual(await elementsOf(make().filter((x) => x > 1)))
        },
      ),
      { numRuns: 20 },
    )
  })

  test('no more than asked for are under way, and as many as that', async () => {
    let [now, most] = [0, 0]
    const busy = async (x: number) => {
      most = Math.max(most, ++now)
      await slowly(x, 3)
      now--
      return x
    }
    await elementsOf(Dataset.range(20).map(busy, { parallel: 4 }))
    expect(most).toBe(4)
    most = 0
    await elementsOf(Dataset.range(5).map(busy))
    expect(most).toBe(1)
  })

  test('what is being made when a state is taken has not been handed out', async () => {
    const make = () => Dataset.fromIndexed({ length: 9, get: (i) => slowly(i) }).prefetch(3)
    const left = make()
    for await (const value of left) if (value === 2) break
    const resumed = make()
    resumed.loadStateDict(left.stateDict())
    expect(await elementsOf(resumed)).toEqual([3, 4, 5, 6, 7, 8])
  })

  test('nothing is read far ahead of a consumer that takes its time', async () => {
    let read = 0
    const source = async function* () {
      for (;;) yield await slowly(read++)
    }
    const dataset = Dataset.from(source)
      .map((x) => slowly(x), { parallel: 3 })
      .batch(2)
      .prefetch(2)
    let batches = 0
    for await (const _ of dataset) {
      await sleep(5)
      if (++batches === 5) break
      // Two batches that wait, one that is made, three elements in the map and one on its way.
      expect(read).toBeLessThanOrEqual(2 * (batches + 3) + 4)
    }
  })

  test('auto prefetch goes deeper for a consumer in bursts, and not without need', async () => {
    let made = 0
    const dataset = Dataset.range(400)
      .map((x) => slowly(made++ && x, 2))
      .prefetch()
    let [taken, ahead] = [0, 0]
    for await (const _ of dataset) {
      taken++
      if (taken % 40 === 0) await sleep(15)
      ahead = Math.max(ahead, made - taken)
    }
    expect(ahead).toBeGreaterThan(8)
    made = 0
    taken = 0
    ahead = 0
    for await (const _ of dataset.take(60)) {
      taken++
      await sleep(1)
      ahead = Math.max(ahead, made - taken)
    }
    expect(ahead).toBeLessThan(5)
  })
})

describe('ends', () => {
  const watched = (log: string[], n = Infinity) =>
    async function* () {
      try {
        for (let i = 0; i < n; i++) yield await slowly(i)
      } finally {
        log.push('closed')
      }
    }

  test('break closes generators, wherever they are', async () => {
    const log: string[] = []
    const make = () => Dataset.from(watched(log))
    const pipelines = [
      make(),
      make()
        .map((x) => slowly(x, 2), { parallel: 3 })
        .prefetch(4),
      Dataset.zip([make(), make()]),
      Dataset.range(3).interleave(() => make(), { cycleLength: 2, prefetch: 1 }),
      Dataset.sampleFrom([make()]).repeat().concatenate(make()),
      make().shuffle({ bufferSize: 3 }).batch(2).unbatch().window(2).cache(),
    ]
    for (const dataset of pipelines) {
      let left = 3
      for await (const _ of dataset) if (--left === 0) break
    }
    expect(log).toHaveLength(8)
  })

  test('the end and errors close, too', async () => {
    const log: string[] = []
    await elementsOf(Dataset.from(watched(log, 3)).repeat(2))
    expect(log).toHaveLength(2)
    await failureOf(
      Dataset.from(watched(log))
        .map(() => Promise.reject(new Error('no')), { parallel: 2 })
        .prefetch(2),
    )
    expect(log).toHaveLength(3)
  })

  test('a plain for closes its generator', () => {
    let closed = false
    const dataset = Dataset.from(function* () {
      try {
        for (;;) yield 1
      } finally {
        closed = true
      }
    })
    for (const _ of dataset.batch(2)) break
    expect(closed).toBe(true)
  })

  test('generators and streams are gone through once', async () => {
    const once = Dataset.from(numbers(3).values())
    expect(await elementsOf(once)).toEqual([0, 1, 2])
    await expect(elementsOf(once)).rejects.toThrow(/only once.*Pass a function/)
    const stream = new Blob(['abc']).stream()
    expect(await elementsOf(Dataset.from<Uint8Array>(stream).map((chunk) => chunk.length))).toEqual([3])
    for (const nothing of [5, 'text', null, undefined]) expect(() => Dataset.from(nothing as never)).toThrow(/has no elements/)
    await expect(elementsOf(Dataset.from(() => 5 as never))).rejects.toThrow(/5 has no elements/)
    expect(await elementsOf(Dataset.from(async () => [1, 2]))).toEqual([1, 2])
    expect(Dataset.from(new Set([1, 2])).length).toBe(2)
    const waiting = Dataset.range(3).map((x) => slowly(x))
    expect(await elementsOf(Dataset.from(waiting).concatenate(Dataset.from(() => waiting)))).toEqual([0, 1, 2, 0, 1, 2])
    expect([
      ...Dataset.range(3)
        .map((x) => x, { parallel: 2 })
        .prefetch(),
    ]).toEqual([0, 1, 2])
  })
})

describe('errors', () => {
  const broken = (x: number) => {
    if (x === 2) throw new TypeError('odd one')
    return x
  }

  test('say what failed on which element, with the first error as their cause', async () => {
    for (const dataset of [
      Dataset.range(5).map(broken),
      Dataset.range(5)
        .map(async (x) => broken(x), { parallel: 2 })
        .prefetch(2)
        .batch(2),
      Dataset.range(5).filter((x) => broken(x) > 0),
      Dataset.range(5).scan(0, (sum, x) => [sum, broken(x)]),
      Dataset.range(5).flatMap((x) => [broken(x)]),
      Dataset.range(5).groupBy((x) => broken(x)),
    ]) {
      const error = await failureOf(dataset)
      expect(error.code).toBe('bad-record')
      expect(error.message).toMatch(/^\w+: element 2 of range: odd one\./)
      expect(error.cause).toBeInstanceOf(TypeError)
    }
    const collated = await failureOf(Dataset.range(5).batch(2, { collate: (xs: number[]) => xs.map(broken) }))
    expect(collated.message).toMatch(/element 2 of range to element 3 of range: odd one/)
    const indexed = Dataset.fromIndexed({ length: 4, get: async (i) => broken(i) })
    expect((await failureOf(indexed.shuffle())).message).toMatch(/element 2 of fromIndexed/)
  })

  test('ignoreErrors leaves out what fails, says so, up to a limit', async () => {
    const log: string[] = []
    const make = (limit?: number) =>
      Dataset.range(6)
        .map((x) => (x % 2 ? broken(2) : x))
        .ignoreErrors({ log: ({ message }) => log.push(message), ...(limit !== undefined && { limit }) })
    expect(await elementsOf(make())).toEqual([0, 2, 4])
    expect(log.map((line) => line.slice(0, 23))).toEqual(['map: element 1 of range', 'map: element 3 of range', 'map: element 5 of range'])
    expect((await failureOf(make(2))).message).toMatch(/more than 2 elements failed; the last one: map: element 5 of range: odd one/)
  })

  test('what is no matter of one element is not ignored', async () => {
    const source: Source<number> = { name: 'disk', open: () => ({ next: () => Promise.reject(new Error('gone')) }) }
    await expect(elementsOf(Dataset.from(source).ignoreErrors())).rejects.toThrow('gone')
  })
})

test('a source is asked for its place, and begins there', async () => {
  const opened: unknown[] = []
  const source: Source<number> = {
    name: 'tape',
    length: 6,
    open: (position = 0) => {
      opened.push(position)
      let next = position as number
      return { next: () => (next < 6 ? { value: next++ } : undefined), position: () => next }
    },
  }
  const make = () =>
    Dataset.from(source)
      .filter((x) => x !== 1)
      .batch(2)
  const first = make()
  for await (const _ of first) break
  const second = make()
  second.loadStateDict(first.stateDict())
  expect((await elementsOf(second)).length).toBe(2)
  expect(opened).toEqual([0, 3])
})

test('memory stays flat over an epoch', async () => {
  const engine = currentEngine()
  const dataset = Dataset.range(1200)
    .map((x) => slowly({ x: zeros([64, 1024]), y: arange(x + 1) }), { parallel: 2 })
    .prefetch(4)
    .map(({ x }) => x.add(2))
    .batch(2)
  const before = engine.memoryUse().inUse
  let [most, batches] = [0, 0]
  for await (const x of dataset) {
    batches += x.shape[0]! / 2
    most = Math.max(most, engine.memoryUse().inUse - before)
  }
  expect(batches).toBe(600)
  // 1,200 elements of 256 KiB, three times, are 900 MiB. The reclaimer waits for 256 MiB at most.
  expect(most).toBeLessThan(400 * 2 ** 20)
})

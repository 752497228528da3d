import { describe, expect, test } from 'vitest'
import { batchesOf, points, relu, smallModel, smallTrainer } from '../../test/small-training.ts'
import * as data from '../data/index.ts'
import { CotangentError, defaultGenerator, nn, optim, type Tensor } from '../index.ts'
import * as train from './index.ts'

const batches = batchesOf(points())

/** Everything that training changes. */
function stateOf({ model, optimizer }: { model: nn.Module; optimizer: optim.Optimizer }): unknown {
  const numbers = (x: unknown): unknown =>
    typeof x === 'object' && x !== null
      ? 'dataSync' in x
        ? [...(x as Tensor).dataSync()]
        : Object.fromEntries(Object.entries(x).map(([k, v]) => [k, numbers(v)]))
      : x
  return [numbers(model.stateDict()), numbers(optimizer.stateDict()), defaultGenerator.state, model.modules().map((m) => m.training)]
}

describe('lrFind', () => {
  test('finds a rate that trains, and leaves everything as it was', async () => {
    const model = nn.sequential(new nn.Linear(4, 16), new nn.BatchNorm1d(16), relu, new nn.Dropout(0.1), new nn.Linear(16, 3)) as nn.Module
    const trainer = smallTrainer({ optimizer: new optim.AdamW(model, { lr: 1e-3 }) }, model)
    await trainer.fit(batches)
    const before = stateOf(trainer)
    const found = await train.lrFind(trainer, batches, { end: 100 })
    expect(stateOf(trainer)).toEqual(before)
    expect(found.lrs.length).toBeGreaterThan(50)
    expect(found.lrs.length).toBeLessThan(100)
    expect(found.lrs[0]).toBeCloseTo(1e-7, 12)
    for (const lr of [found.steepest, found.valley, found.minimum]) {
      expect(lr).toBeGreaterThan(1e-5)
      expect(lr).toBeLessThan(10)
    }
    const plot = found.plot({ color: false, width: 60, height: 10 })
    expect(plot.split('\n')).toHaveLength(10)
    expect(plot).toContain('suggestion')
    expect(Math.max(...plot.split('\n').map((line) => [...line].length))).toBeLessThanOrEqual(60)
  })

  test('keeps the ratios of groups, and the place in the data', async () => {
    const model = smallModel()
    const optimizer = new optim.SGD(
      [
        { params: model.parameters().slice(0, 2), lr: 0.1 },
        { params: model.parameters().slice(2), lr: 0.2 },
      ],
      { lr: 1 },
    )
    const set = data.Dataset.fromTensors(points()).shuffle({ seed: 1 }).batch(16)
    const before = set.stateDict()
    await train.lrFind(smallTrainer({ optimizer }, model), set, { steps: 5 })
    expect(optimizer.paramGroups.map(({ lr }) => lr)).toEqual([0.1, 0.2])
    expect(set.stateDict()).toEqual(before)
  })

  test('refuses what makes no sense', async () => {
    const trainer = smallTrainer()
    await expect(train.lrFind(trainer, batches, { start: 1, end: 0.1 })).rejects.toThrow(/from 1 to 0.1/)
    await expect(train.lrFind(trainer, batches, { steps: 1 })).rejects.toThrow(/1 steps/)
    const broken = batches.map(([x, y]) => [x.mul(Number.NaN), y])
    await expect(train.lrFind(trainer, broken)).rejects.toThrow(/not finite/)
  })
})

test('oneCycle rises and falls', async () => {
  const lrs: number[] = []
  const note: train.Callback = { onBatchStart: (t) => void lrs.push(t.optimizer.lr) }
  await train.oneCycle(smallTrainer(), batches, { epochs: 5, maxLr: 0.1, callbacks: [note] })
  const top = lrs.indexOf(Math.max(...lrs))
  expect(lrs).toHaveLength(30)
  expect([lrs[0], lrs[top]]).toEqual([expect.closeTo(0.1 / 25, 8), expect.closeTo(0.1, 6)])
  expect(top).toBe(8)
  expect(lrs.at(-1)).toBeLessThan(1e-6)
})

describe('fineTune', () => {
  test('trains the head alone, and then all of it at rates of their own', async () => {
    const model = nn.sequential(new nn.Linear(4, 16), relu, new nn.Linear(16, 8), relu, new nn.Linear(8, 3)) as nn.Module
    const parts = [0, 2, 4].map((i) => model.namedModules().get(String(i))!)
    const optimizer = new optim.AdamW(
      parts.map((params) => ({ params })),
      { lr: 1 },
    )
    const body = () => [...(parts[0]!.parameters()[0]!.dataSync() as Float32Array)]
    const start = body()
    const frozen: boolean[] = []
    const highest = [0, 0, 0]
    const note: train.Callback = {
      onEpochEnd: () => void frozen.push(body().every((w, i) => w === start[i])),
      onBatchStart: (t) => {
        if (t.plan.epochs === 2) t.optimizer.paramGroups.forEach(({ lr }, i) => (highest[i] = Math.max(highest[i]!, lr)))
      },
    }
    const { whole } = await train.fineTune(smallTrainer({ optimizer }, model), batches, { epochs: 2, baseLr: 2e-2, callbacks: [note] })
    expect(frozen).toEqual([true, false, false])
    ;[1e-4, 1e-3, 1e-2].forEach((lr, i) => expect(highest[i]! / lr).toBeCloseTo(1, 1))
    expect(whole.epochs).toBe(2)
    expect(model.parameters().every((p) => p.requiresGrad)).toBe(true)
    const at = await train.fineTune(smallTrainer({ optimizer }, model), batches, { epochs: 1, freezeEpochs: 0 })
    expect([at.frozen, at.whole.epochs]).toEqual([undefined, 1])
    // A failure leaves nothing frozen.
    const broken: train.Callback = { onEpochEnd: () => Promise.reject(new Error('broken')) }
    const failing = train.fineTune(smallTrainer({ optimizer }, model), batches, { epochs: 1, callbacks: [broken] })
    await expect(failing).rejects.toThrow('broken')
    expect(model.parameters().every((p) => p.requiresGrad)).toBe(true)
  })

  test('needs groups', async () => {
    await expect(train.fineTune(smallTrainer(), batches, { epochs: 1 })).rejects.toThrow(/one group/)
  })
})

describe('batchSizeFind', () => {
  const set = points(64)
  const fill = (rows: number) => [[set.x.narrow(0, 0, rows), set.y.narrow(0, 0, rows)]]
  const upTo = (limit: number) => (size: number) => {
    if (size > limit) throw new CotangentError('out-of-memory', { message: 'the heap is full' })
    return fill(size)
  }

  test('grows until memory is not enough, and leaves everything as it was', async () => {
    const trainer = smallTrainer()
    const before = stateOf(trainer)
    const { batchSize, fastest, trials } = await train.batchSizeFind(trainer, upTo(20), { steps: 1 })
    expect(batchSize).toBe(16)
    expect(trials.map((trial) => [trial.batchSize, trial.fits])).toEqual([
      [2, true],
      [4, true],
      [8, true],
      [16, true],
      [32, false],
    ])
    expect(trials.some((trial) => trial.batchSize === fastest)).toBe(true)
    expect(stateOf(trainer)).toEqual(before)
    expect((await train.batchSizeFind(smallTrainer(), upTo(23), { start: 16, steps: 1, mode: 'binary' })).batchSize).toBe(23)
    expect((await train.batchSizeFind(smallTrainer(), upTo(64), { start: 8, max: 20, steps: 1 })).batchSize).toBe(16)
  })

  test('ends where the data has no full batch', async () => {
    const rows = data.Dataset.fromTensors(points(50))
    const sizes = async (options: train.BatchSizeFindOptions, dropLast = false) =>
      (await train.batchSizeFind(smallTrainer(), (size) => rows.batch(size, { dropLast }), { steps: 2, ...options })).trials.map(
        (trial) => trial.batchSize,
      )
    expect(await sizes({})).toEqual([2, 4, 8, 16, 32])
    expect(await sizes({}, true)).toEqual([2, 4, 8, 16, 32])
    expect((await sizes({ start: 32, mode: 'binary' })).at(-1)).toBe(50)
    await expect(sizes({ start: 64 })).rejects.toThrow(/no full batch of 64/)
    await expect(sizes({ mode: 'linear' as never })).rejects.toThrow(/mode is linear/)
  })

  test('lets other errors and too large a beginning through', async () => {
    await expect(train.batchSizeFind(smallTrainer(), upTo(1))).rejects.toMatchObject({ code: 'out-of-memory' })
    await expect(train.batchSizeFind(smallTrainer(), () => Promise.reject(new Error('no such file')))).rejects.toThrow('no such file')
    await expect(train.batchSizeFind(smallTrainer(), upTo(9), { steps: 0 })).rejects.toThrow(/steps is 0/)
  })
})

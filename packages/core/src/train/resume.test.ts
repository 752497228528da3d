import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { points } from '../../test/small-training.ts'
import * as data from '../data/index.ts'
import { crossEntropy, manualSeed, nn, normal, optim, relu } from '../index.ts'
import { CheckpointDirectory } from './checkpoint-directory.node.ts'
import * as train from './index.ts'

const set = points(64)
const small = points(24)

function makeTrainer(options: train.TrainerOptions, seed: number): train.Trainer {
  manualSeed(seed)
  const model = nn.sequential(new nn.Linear(4, 8), new nn.BatchNorm1d(8), relu, new nn.Dropout(0.3), new nn.Linear(8, 3))
  return new train.Trainer(model, {
    optimizer: new optim.AdamW(model, { lr: 0.02 }),
    loss: crossEntropy,
    display: 'quiet',
    compile: false,
    ...options,
  })
}

let folder: string
let stores = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'resume-'))
})
afterAll(() => rm(folder, { recursive: true }))
const newStore = () => new CheckpointDirectory(join(folder, String(stores++)))

const callbacks: Readonly<Record<string, () => train.Callback>> = {
  accumulate: () => new train.AccumulationSchedule({ 0: 3, 1: 2, 3: 1 }),
  ema: () => new train.ExponentialAverage({ decay: 0.9 }),
  swa: () => new train.StochasticWeightAveraging({ start: 1, lr: 0.005 }),
  stopping: () => new train.EarlyStopping({ patience: 2, restoreBest: true }),
  strict: () => new train.EarlyStopping({ patience: 2, minDelta: 10, restoreBest: true, name: 'strict' }),
  plateau: () => new train.ReduceOnPlateau({ patience: 0, factor: 0.5 }),
  freeze: () => new train.FreezeSchedule([{ module: '0', until: 2 }]),
  rates: () => new train.LearningRateMonitor(),
  spikes: () => new train.SpikeDetection({ warmup: 3, threshold: 1, onSpike: () => {} }),
  nan: () => new train.TerminateOnNaN(),
}

const trainerOptions: Readonly<Record<string, train.TrainerOptions>> = {
  plain: {},
  accumulate: { accumulate: 3 },
  clip: { clipNorm: 0.5 },
  bfloat16: { precision: 'bfloat16' },
  float16: { precision: 'float16' },
  metrics: { metrics: [new train.metrics.Accuracy({ classes: 3 }), new train.metrics.RocAuc({ classes: 3, fromLogits: true })] },
  steps: { schedule: { step: (optimizer, total) => new optim.CosineAnnealingLR(optimizer, { tMax: total }) } },
  epochs: { schedule: { epoch: (optimizer) => new optim.StepLR(optimizer, { stepSize: 1, gamma: 0.5 }) } },
}

const fitOptions: Readonly<Record<string, train.FitOptions>> = {
  plain: {},
  everyTwoBatches: { validateEvery: { batches: 2 } },
  everyTwoEpochs: { validateEvery: { epochs: 2 } },
  perEpoch: { batchesPerEpoch: 4 },
  limited: { limitBatches: { train: 4 } },
  maxSteps: { maxSteps: 25 },
}

const sources: Readonly<Record<string, () => data.Dataset<unknown> | unknown[]>> = {
  shuffled: () => data.Dataset.fromTensors(set).shuffle().batch(10),
  array: () => [...data.Dataset.fromTensors(set).batch(10)],
  augmented: () =>
    data.Dataset.fromIndexed({ length: 64, get: async (i) => ({ x: set.x.at(i), y: set.y.at(i) }) })
      .shuffle({ bufferSize: 9 })
      .map(async ({ x, y }, { generator }) => ({ x: x.add(normal([4], { generator }).mul(0.1)), y }), { parallel: 3 })
      .batch(10)
      .prefetch(2),
}

interface Plan {
  readonly trainer: string
  readonly fit: string
  readonly source: string
  readonly callbacks: readonly string[]
}

/** A training as a whole, and the same cut off behind a batch and gone on with by a program that began otherwise. */
async function both(plan: Plan, cut: number) {
  const options = (own: readonly train.Callback[]): train.FitOptions => ({
    epochs: 3,
    validation: small,
    deterministic: 5,
    ...fitOptions[plan.fit],
    callbacks: [...plan.callbacks.map((name) => callbacks[name]!()), ...own],
  })
  const outcome = async (trainer: train.Trainer, more: train.FitOptions = {}) => {
    const { history, steps, stopReason } = await trainer.fit(sources[plan.source]!(), { ...options([]), ...more })
    const { model } = trainer
    const values = [...model.namedParameters().values(), ...model.namedBuffers().values()].map((x) => x.toArray())
    return { steps, stopReason, logs: history.epochs.map(({ logs }) => logs), values }
  }
  const whole = await outcome(makeTrainer(trainerOptions[plan.trainer]!, 3))
  const store = newStore()
  const end = new AbortController()
  let seen = 0
  const cutter: train.Callback = { onBatchEnd: () => (++seen === cut ? end.abort() : undefined) }
  await makeTrainer(trainerOptions[plan.trainer]!, 3).fit(sources[plan.source]!(), {
    ...options([cutter, new train.ModelCheckpoint(store, { everyEpochs: 0 })]),
    signal: end.signal,
  })
  const resumed = await outcome(makeTrainer(trainerOptions[plan.trainer]!, 77), { resume: store })
  return { whole, resumed }
}

describe('a training that goes on gives the bits of one that was never stopped', () => {
  test('whatever it consists of, wherever it was stopped', async () => {
    const named = (of: object) => fc.constantFrom(...Object.keys(of))
    const plan = fc.record({
      trainer: named(trainerOptions),
      fit: named(fitOptions),
      source: named(sources),
      callbacks: fc.subarray(Object.keys(callbacks), { maxLength: 4 }),
    })
    await fc.assert(
      fc.asyncProperty(plan, fc.integer({ min: 1, max: 19 }), async (chosen, cut) => {
        const { whole, resumed } = await both(chosen, cut)
        expect(resumed).toEqual(whole)
      }),
      { numRuns: 8 },
    )
  })

  test.each([
    ['the last batch that a limit lets through', { trainer: 'plain', fit: 'limited', source: 'shuffled', callbacks: ['plateau'] }, 4],
    ['epochs that are no passes, of data without a state', { trainer: 'clip', fit: 'perEpoch', source: 'array', callbacks: [] }, 6],
    ['a schedule beside another one', { trainer: 'steps', fit: 'everyTwoBatches', source: 'augmented', callbacks: ['plateau'] }, 10],
    ['a rate that averaging has set', { trainer: 'steps', fit: 'limited', source: 'shuffled', callbacks: ['swa'] }, 9],
    [
      'a batch behind which validation is due',
      { trainer: 'plain', fit: 'everyTwoBatches', source: 'shuffled', callbacks: ['stopping'] },
      8,
    ],
  ] as const)('%s', async (_, plan, cut) => {
    const { whole, resumed } = await both(plan, cut)
    expect(resumed).toEqual(whole)
  })

  test('one that was stopped early stays as it is', async () => {
    const plan = { trainer: 'plain', fit: 'everyTwoBatches', source: 'shuffled', callbacks: ['strict', 'ema'] }
    const { whole, resumed } = await both(plan, 99)
    expect(whole.stopReason).toMatch(/has not become better/)
    expect(resumed).toEqual(whole)
  })

  test('a checkpoint of a step behind which validation is due', async () => {
    const store = newStore()
    const fit = (seed: number, more: train.FitOptions) =>
      makeTrainer({}, seed).fit(sources.shuffled!(), {
        epochs: 2,
        validation: small,
        validateEvery: { batches: 2 },
        deterministic: 5,
        ...more,
      })
    const saving = new train.ModelCheckpoint(store, { everyEpochs: 0, everySteps: 4, atEnd: false })
    const whole = await fit(3, { maxSteps: 7, callbacks: [saving] })
    const seen: number[] = []
    const resumed = await fit(77, { maxSteps: 7, resume: store, callbacks: [{ onValidationEnd: (t) => void seen.push(t.batch) }] })
    expect(seen).toEqual([4, 6, 7])
    expect(resumed.logs).toEqual(whole.logs)
  })
})

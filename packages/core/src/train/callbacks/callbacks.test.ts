import { describe, expect, test } from 'vitest'
import { batchesOf, points, relu, smallModel, smallTrainer as compiledTrainer } from '../../../test/small-training.ts'
import * as data from '../../data/index.ts'
import { type CheckpointParts, decodeCheckpoint, encodeCheckpoint, manualSeed, nn, normal, optim, type Tensor } from '../../index.ts'
import * as train from '../index.ts'

const batches = batchesOf(points())

/** Callbacks see nothing of how steps run; op by op, nothing has to be compiled first. */
const smallTrainer = (options: train.TrainerOptions = {}, model?: nn.Module) => compiledTrainer({ compile: false, ...options }, model)

/** Runs with metrics of validation made up, one an epoch. */
function told(values: readonly number[], callbacks: train.Callback[], options: train.FitOptions = {}) {
  const tell: train.Callback = { onValidationEnd: () => {}, onEpochEnd: (t) => t.log('score', values[t.epoch]!) }
  return smallTrainer().fit(batches.slice(0, 1), { epochs: values.length, callbacks: [tell, ...callbacks], ...options })
}

test('hooks come in the order that is documented', async () => {
  const seen: string[] = []
  const note = (who: string): train.Callback => ({
    onFitStart: () => void seen.push(`${who} fit`),
    onEpochStart: () => void seen.push(`${who} epoch`),
    onBatchStart: () => void seen.push(`${who} batch`),
    onBatchEnd: () => void seen.push(`${who} batch end`),
    onStepEnd: () => void seen.push(`${who} step end`),
    onValidationStart: () => void seen.push(`${who} validation`),
    onValidationBatchEnd: () => void seen.push(`${who} validation batch end`),
    onValidationEnd: (_, logs) => void seen.push(`${who} validation end ${Object.keys(logs)}`),
    onEpochEnd: (_, logs) => void seen.push(`${who} epoch end ${Object.keys(logs)}`),
    onFitEnd: () => void seen.push(`${who} fit end`),
    afterFit: () => void seen.push(`${who} after fit`),
    async aroundValidation(_, evaluate) {
      seen.push(`${who} around`)
      await evaluate()
      seen.push(`${who} around end`)
    },
  })
  await smallTrainer({ metrics: [], accumulate: 2 }).fit(batches.slice(0, 2), {
    validation: batches.slice(0, 1),
    callbacks: [{ ...note('b'), last: true }, note('a')],
  })
  const each = (what: string) => [`a ${what}`, `b ${what}`]
  expect(seen).toEqual([
    ...each('fit'),
    ...each('epoch'),
    ...each('batch'),
    ...each('batch end'),
    ...each('batch'),
    ...each('batch end'),
    ...each('step end'),
    ...each('around'),
    ...each('validation'),
    ...each('validation batch end'),
    ...each('validation end valLoss'),
    'b around end',
    'a around end',
    ...each('epoch end loss,valLoss'),
    ...each('fit end'),
    ...each('after fit'),
  ])
})

test('an error reaches onError and the caller', async () => {
  const seen: unknown[] = []
  const broken = new Error('broken')
  const callbacks: train.Callback[] = [
    { onBatchEnd: () => Promise.reject(broken), onError: (_, error) => void seen.push(error), onFitEnd: () => void seen.push('end') },
  ]
  await expect(smallTrainer().fit(batches, { callbacks })).rejects.toBe(broken)
  expect(seen).toEqual([broken])
})

describe('EarlyStopping', () => {
  const stop = (values: number[], options: train.EarlyStoppingOptions) =>
    told(values, [new train.EarlyStopping({ monitor: 'score', mode: 'min', ...options })])

  test('stops when there was no improvement for as many checks as its patience', async () => {
    const { epochs, stopReason } = await stop([5, 4, 4, 4.5, 4, 3], { patience: 2 })
    expect([epochs, stopReason]).toEqual([4, 'score has not become better than 4 for 2 checks'])
    expect((await stop([5, 4, 4, 4.5, 3], { patience: 3 })).stopReason).toBe('finished')
    expect((await stop([5, 4.9, 4.8, 4.7], { patience: 2, minDelta: 0.5 })).epochs).toBe(3)
    expect((await stop([1, 2, 3, 2, 1, 0], { patience: 0, mode: 'max' })).epochs).toBe(4)
    expect((await stop([1, 1, 1, 1], { patience: 1, startEpoch: 2 })).epochs).toBe(4)
  })

  test('begins anew with each training', async () => {
    const callback = new train.EarlyStopping({ monitor: 'score', mode: 'min', patience: 1, restoreBest: true })
    expect((await told([2, 1, 1], [callback])).epochs).toBe(3)
    expect((await told([5, 4, 4], [callback])).epochs).toBe(3)
    expect(callback.best).toBe(4)
  })

  test('stops at a target, a divergence, a baseline that is not reached, and NaN', async () => {
    expect((await stop([5, 4, 3, 2], { target: 3 })).epochs).toBe(3)
    expect((await stop([5, 9, 3], { divergence: 8 })).stopReason).toBe('score has diverged to 9')
    expect((await stop([5, 4, 3, 2], { baseline: 1, patience: 2 })).epochs).toBe(2)
    expect((await stop([5, Number.NaN, 3], {})).stopReason).toBe('score is NaN')
  })

  test('gives the weights of the best epoch back', async () => {
    const model = smallModel()
    const saved: number[][] = []
    const note: train.Callback = { onEpochEnd: (t) => void saved.push([...(t.model.parameters()[0]!.dataSync() as Float32Array)]) }
    const values = [3, 1, 2]
    const tell: train.Callback = { onEpochEnd: (t) => t.log('score', values[t.epoch]!) }
    const callbacks = [tell, note, new train.EarlyStopping({ monitor: 'score', mode: 'min', restoreBest: true })]
    await smallTrainer({}, model).fit(batches, { epochs: 3, callbacks })
    expect([...(model.parameters()[0]!.dataSync() as Float32Array)]).toEqual(saved[1])
  })

  test.each([
    ['an exponential average', () => new train.ExponentialAverage({ decay: 0.8 })],
    ['an average whose weights are not kept', () => new train.ExponentialAverage({ decay: 0.8, atEnd: 'last' })],
    ['stochastic weight averaging', () => new train.StochasticWeightAveraging({ start: 0 })],
  ])('the best weights are those that were validated, with %s', async (_, makeAverage) => {
    for (const averageFirst of [true, false]) {
      const stopping = new train.EarlyStopping({ restoreBest: true, patience: 2 })
      const trainer = smallTrainer()
      const average = makeAverage()
      const callbacks = averageFirst ? [average, stopping] : [stopping, average]
      await trainer.fit(batches, { epochs: 6, validation: batches.slice(0, 2), callbacks })
      expect((await trainer.evaluate(batches.slice(0, 2))).loss).toBeCloseTo(stopping.best, 6)
    }
  })

  test('names the metric that was meant', async () => {
    const callbacks = [new train.EarlyStopping({ monitor: 'valLos' })]
    await expect(smallTrainer().fit(batches, { validation: batches, callbacks })).rejects.toThrow(/Did you mean valLoss/)
    expect(() => new train.EarlyStopping({ mode: 'least' as never })).toThrow(/mode is least/)
  })
})

test('ReduceOnPlateau lowers the learning rate, and says so', async () => {
  const lines: string[] = []
  const writer = { write: (text: string) => void lines.push(text) }
  const callbacks = [new train.ReduceOnPlateau({ monitor: 'score', patience: 0, factor: 0.5 }), new train.LearningRateMonitor()]
  const { history } = await told([1, 1, 1, 0.5], callbacks, { display: { mode: 'plain', writer } })
  expect(history.values('lr')).toEqual([0.01, 0.01, 0.005, 0.0025])
  expect(lines.join('')).toContain('learning rate 0.01 -> 0.005: score has stopped becoming better')
})

test('LearningRateSchedule steps schedulers by step and by epoch', async () => {
  const seen: number[] = []
  const note: train.Callback = { onStepEnd: (t) => void seen.push(t.optimizer.lr) }
  const run = (schedule: train.Schedule) => smallTrainer({ schedule }).fit(batches.slice(0, 3), { epochs: 2, callbacks: [note] })
  await run({ step: (optimizer) => new optim.ExponentialLR(optimizer, { gamma: 0.5 }) })
  // What was made for this training has nothing to say beyond its end.
  expect(seen.map((lr) => lr / 0.01)).toEqual([0.5, 0.25, 0.125, 0.0625, 0.03125, 0.03125])
  seen.length = 0
  await run({ epoch: (optimizer) => new optim.StepLR(optimizer, { stepSize: 1 }) })
  seen.forEach((lr, i) => expect(lr).toBeCloseTo(i < 3 ? 0.01 : 0.001, 12))
  const totals: number[] = []
  const factory = (optimizer: optim.Optimizer, total: number) => {
    totals.push(total)
    return new optim.OneCycleLR(optimizer, { maxLr: 0.1, totalSteps: total })
  }
  await run({ step: factory })
  expect(totals).toEqual([6])
  await expect(smallTrainer({ schedule: { step: factory } }).fit({ [Symbol.iterator]: () => batches[Symbol.iterator]() })).rejects.toThrow(
    /number of steps is not known/,
  )
  // A function of the optimizer alone needs no number of steps.
  seen.length = 0
  const unknown = { [Symbol.iterator]: () => batches.slice(0, 2)[Symbol.iterator]() }
  const halving = (optimizer: optim.Optimizer) => new optim.ExponentialLR(optimizer, { gamma: 0.5 })
  await smallTrainer({ schedule: { step: halving } }).fit(unknown, { callbacks: [note] })
  expect(seen.map((lr) => lr / 0.01)).toEqual([0.5, 0.25])
  const alone = new optim.StepLR(new optim.SGD([normal([1]).setRequiresGrad()], { lr: 1 }), { stepSize: 1 })
  for (const schedule of [factory, alone]) await expect(run(schedule as train.Schedule)).rejects.toThrow(/Give \{ step: scheduler \}/)
})

test('LearningRateMonitor tells groups apart', async () => {
  const model = smallModel()
  const [a, b] = [model.parameters().slice(0, 2), model.parameters().slice(2)]
  const optimizer = new optim.SGD(
    [
      { params: a, lr: 0.1 },
      { params: b, lr: 0.2 },
    ],
    { lr: 0.3 },
  )
  const { logs } = await smallTrainer({ optimizer }, model).fit(batches, { callbacks: [new train.LearningRateMonitor()] })
  expect(logs).toMatchObject({ lr0: 0.1, lr1: 0.2 })
})

test('TerminateOnNaN ends a training that has diverged', async () => {
  const bad = [...batches.slice(0, 2), [batches[0]![0].mul(Number.NaN), batches[0]![1]], batches[1]!]
  const { stopReason, steps } = await smallTrainer().fit(bad, { epochs: 5, callbacks: [new train.TerminateOnNaN()] })
  expect([stopReason, steps]).toEqual(['the loss is NaN in epoch 1, batch 3', 3])
  await expect(smallTrainer().fit(bad, { callbacks: [new train.TerminateOnNaN({ action: 'throw' })] })).rejects.toMatchObject({
    code: 'non-finite',
  })
})

test('SpikeDetection finds the batch that is out of line', async () => {
  const [x, y] = batches[0]!
  const data = [...Array.from({ length: 30 }, () => [x, y]), [x.mul(100), y], [x, y]]
  const detection = new train.SpikeDetection({ warmup: 10 })
  const model = smallModel()
  await smallTrainer({ optimizer: new optim.SGD(model, { lr: 1e-3 }) }, model).fit(data, { callbacks: [detection] })
  expect(detection.spikes).toHaveLength(1)
  expect(detection.spikes[0]).toMatchObject({ epoch: 1, batch: 31, step: 31 })
  expect(detection.spikes[0]!.loss).toBeGreaterThan(3 * detection.spikes[0]!.expected)
})

/** Checkpoints in memory. */
class MemoryStore implements train.CheckpointStore {
  readonly files: { name: string; step: number; metrics: Readonly<Record<string, number>>; file: Uint8Array }[] = []
  failing = false

  async save(parts: CheckpointParts, { step, metrics = {}, extra }: train.CheckpointSaveOptions): Promise<string> {
    const file = await encodeCheckpoint(parts, extra)
    if (this.failing) throw new Error('the disk is full')
    this.files.push({ name: `step ${step}`, step, metrics, file })
    return `step ${step}`
  }

  async restore<E = Record<string, unknown>>(parts: CheckpointParts, which = 'latest'): Promise<train.RestoredCheckpoint<E> | null> {
    const found = which === 'latest' ? this.files.at(-1) : this.files.find(({ name }) => name === which)
    return found ? { ...found, extra: await decodeCheckpoint<E>(found.file, parts) } : null
  }

  list = async () => this.files
}

describe('ModelCheckpoint', () => {
  const weights = (model: nn.Module) => model.parameters().map((p) => [...(p.dataSync() as Float32Array)])
  const make = () =>
    smallTrainer({
      accumulate: 2,
      clipNorm: 1,
      schedule: { step: (optimizer, totalSteps) => new optim.OneCycleLR(optimizer, { maxLr: 0.05, totalSteps }) },
    })
  const set = () => data.Dataset.fromTensors(points()).shuffle({ seed: 1 }).batch(16)
  const options = { epochs: 3, validation: batches, deterministic: true } as const

  test('saves by step, epoch and at the end, and a training goes on from any of them bit for bit', async () => {
    const store = new MemoryStore()
    const [straight, checkpoint] = [make(), new train.ModelCheckpoint(store, { everySteps: 2 })]
    const callbacks = () => [new train.EarlyStopping({ patience: 9 }), new train.ExponentialAverage({ atEnd: 'last' })]
    const expected = await straight.fit(set(), { ...options, callbacks: [...callbacks(), checkpoint] })
    expect(store.files.map(({ step }) => step)).toEqual([2, 3, 4, 6, 6, 8, 9])
    expect(checkpoint.lastCheckpoint).toBe('step 9')
    expect(Object.keys(store.files[1]!.metrics)).toEqual(['valLoss', 'valAccuracy', 'loss', 'gradNorm', 'accuracy'])
    for (const which of ['step 2', 'step 3', 'step 4', 'step 8']) {
      const trainer = make()
      const result = await trainer.fit(set(), { ...options, callbacks: callbacks(), resume: { store, which } })
      expect(result.history.epochs.map(({ logs }) => logs)).toEqual(expected.history.epochs.map(({ logs }) => logs))
      expect(weights(trainer.model)).toEqual(weights(straight.model))
    }
  })

  test('a validation draws as many random numbers in a training that goes on as in one that was never stopped', async () => {
    const fit = async (options: train.FitOptions) => {
      manualSeed(11)
      const model = nn.sequential(new nn.Linear(4, 8), new nn.Dropout(0.5), new nn.Linear(8, 3))
      await smallTrainer({}, model).fit(points(), { epochs: 3, batchSize: 32, validation: points(), ...options })
      return weights(model)
    }
    const store = new MemoryStore()
    const straight = await fit({ callbacks: [new train.ModelCheckpoint(store, { everySteps: 2 })] })
    for (const which of ['step 2', 'step 4', 'step 6']) expect(await fit({ resume: { store, which } }), which).toEqual(straight)
  })

  test('saves what an interrupted training has, and starts anew where there is nothing', async () => {
    const store = new MemoryStore()
    const stop = new AbortController()
    const callbacks = [new train.ModelCheckpoint(store), { onStepEnd: (t: train.Training) => void (t.step === 2 && stop.abort()) }]
    expect((await make().fit(set(), { ...options, callbacks, resume: store, signal: stop.signal })).stopReason).toBe('interrupted')
    expect(store.files.map(({ step }) => step)).toEqual([2])
  })

  test('an error of writing comes up', async () => {
    const store = new MemoryStore()
    store.failing = true
    await expect(make().fit(set(), { ...options, callbacks: [new train.ModelCheckpoint(store)] })).rejects.toThrow('the disk is full')
    expect(() => new train.ModelCheckpoint(store, { everySteps: 0 })).toThrow(/everySteps is 0/)
  })
})

describe('averaged weights', () => {
  const numbers = (model: nn.Module) => [...(model.parameters()[0]!.dataSync() as Float32Array)]

  test('ExponentialAverage is the average of the weights behind each step, used in validation and at the end', async () => {
    const model = smallModel()
    let expected = numbers(model)
    const inValidation: number[][] = []
    const note: train.Callback = {
      onStepEnd: (t) => void (expected = numbers(t.model).map((w, i) => 0.8 * expected[i]! + 0.2 * w)),
      onValidationStart: (t) => void inValidation.push(numbers(t.model)),
    }
    const average = new train.ExponentialAverage({ decay: 0.8, warmup: false })
    await smallTrainer({}, model).fit(batches, { epochs: 2, validation: batches, callbacks: [average, note] })
    numbers(model).forEach((w, i) => expect(w).toBeCloseTo(expected[i]!, 5))
    expect(inValidation[1]).toEqual(numbers(model))
    expect(() => new train.ExponentialAverage({ decay: 1 })).toThrow(/decay is 1/)
  })

  test('the training goes on with its own weights', async () => {
    const run = async (callbacks: train.Callback[]) => {
      const model = smallModel()
      await smallTrainer({}, model).fit(batches, { epochs: 3, validation: batches, callbacks })
      return numbers(model)
    }
    expect(await run([new train.ExponentialAverage({ atEnd: 'last' })])).toEqual(await run([]))
  })

  test('StochasticWeightAveraging is the mean of the last epochs', async () => {
    const model = smallModel()
    const ends: number[][] = []
    const note: train.Callback = { onEpochEnd: (t) => void ends.push(numbers(t.model)) }
    await smallTrainer({}, model).fit(batches, {
      epochs: 4,
      callbacks: [note, new train.StochasticWeightAveraging({ start: 0.5, lr: 0.02 })],
    })
    numbers(model).forEach((w, i) => expect(w).toBeCloseTo((ends[2]![i]! + ends[3]![i]!) / 2, 5))
  })

  test('updateBatchNorm measures running statistics anew', async () => {
    manualSeed(0)
    const norm = new nn.BatchNorm1d(4)
    const model = nn.sequential(norm, new nn.Linear(4, 3)) as nn.Module
    await train.updateBatchNorm(model, batches.slice(0, 2))
    const [a, b] = batches.slice(0, 2).map(([x]) => x.mean(0).toArray() as number[])
    ;(norm.runningMean!.toArray() as number[]).forEach((m, i) => expect(m).toBeCloseTo((a![i]! + b![i]!) / 2, 5))
    expect([norm.momentum, model.training]).toEqual([0.1, true])
  })
})

test('FreezeSchedule freezes parts and thaws them in time', async () => {
  const model = nn.sequential(new nn.Linear(4, 16), relu, new nn.Linear(16, 3)) as nn.Module
  const weights: number[] = []
  const note: train.Callback = { onEpochEnd: (t) => void weights.push((t.model.parameters()[0]!.dataSync() as Float32Array)[0]!) }
  const start = (model.parameters()[0]!.dataSync() as Float32Array)[0]!
  await smallTrainer({}, model).fit(batches, { epochs: 3, callbacks: [new train.FreezeSchedule([{ module: '0', until: 2 }]), note] })
  expect(weights.slice(0, 2)).toEqual([start, start])
  expect(weights[2]).not.toBe(start)
  const wrong = [new train.FreezeSchedule([{ module: 'backbone' }])]
  await expect(smallTrainer().fit(batches, { callbacks: wrong })).rejects.toThrow(/no part of the model is called backbone/)
})

test('AccumulationSchedule changes how many batches make a step', async () => {
  const { history } = await smallTrainer().fit(batches, { epochs: 3, callbacks: [new train.AccumulationSchedule({ 0: 6, 1: 2, 2: 1 })] })
  expect(history.epochs.map(({ step }) => step)).toEqual([1, 4, 10])
  expect(() => new train.AccumulationSchedule({ 0: 0 })).toThrow(/0 batches/)
})

test('Timer, Throughput and Cost log what they measure', async () => {
  const lines: string[] = []
  const cost = new train.Cost({ pricePerHour: 3600, currency: 'EUR' })
  const { logs, seconds } = await smallTrainer().fit(batches, {
    epochs: 2,
    validation: batches,
    callbacks: [new train.Timer(), new train.Throughput(), cost],
    display: { mode: 'plain', writer: { write: (text) => void lines.push(text) } },
  })
  expect(logs.epochSeconds).toBeGreaterThan(logs.validationSeconds!)
  expect(logs.samplesPerSecond! / logs.batchesPerSecond!).toBeCloseTo(16, 6)
  // A euro a second.
  expect(cost.total).toBeGreaterThan(0)
  expect(cost.total).toBeLessThanOrEqual(seconds)
  expect(cost.epochs).toHaveLength(2)
  expect(cost.estimate).toBeCloseTo(cost.total, 6)
  expect(lines.join('')).toMatch(/an epoch costs €[\d.]+, the whole run about €/)
  expect(() => new train.Cost({ pricePerHour: 1, currency: 'euro' })).toThrow(/currency is euro/)
  const dear = await smallTrainer().fit(batches, { epochs: 1000, callbacks: [new train.Cost({ pricePerHour: 36_000, limit: 0.5 })] })
  expect(dear.stopReason).toMatch(/^it has cost \$/)
  expect((await smallTrainer().fit(batches, { epochs: 1000, callbacks: [new train.Timer({ limit: 0.05 })] })).stopReason).toBe('maxTime')
})

test('CsvLogger writes a line for each epoch', async () => {
  let text = ''
  await smallTrainer({ metrics: { 'a,b': (o: Tensor) => o.mul(0).mean() } }).fit(batches, {
    epochs: 2,
    callbacks: [new train.CsvLogger({ write: (more) => (text += more) })],
  })
  const [head, ...rows] = text.trim().split('\n')
  expect(head).toBe('epoch,step,seconds,loss,"a,b"')
  expect(rows.map((row) => row.split(',')).map(([epoch, step, , , zero]) => [epoch, step, zero])).toEqual([
    ['1', '6', '0'],
    ['2', '12', '0'],
  ])
})

test('TensorBoard writes scalars, distributions, texts and settings', async () => {
  const seen: string[] = []
  const writer: train.SummaryWriter = {
    scalar: (tag, value, step) => void (Number.isFinite(value) && seen.push(`${tag} @${step}`)),
    histogram: (tag, values, step) => void seen.push(`${tag} [${values.length}] @${step}`),
    text: (tag) => void seen.push(`text ${tag}`),
    hparams: (values, metrics) => void seen.push(`hparams ${JSON.stringify([values, metrics])}`),
    graph: (step, { names }) => void seen.push(`graph ${step.specializations.length > 0} ${[...names.keys()].join()}`),
    flush: async () => void seen.push('flush'),
    close: async (options) => void seen.push(`close ${options?.status ?? ''}`.trim()),
  }
  const board = new train.TensorBoard(writer, { everySteps: 4, gradientHistograms: 1, hparams: { lr: 0.01 }, texts: { note: 'hello' } })
  await smallTrainer({ compile: true }).fit(batches, { validation: batches, callbacks: [board] })
  expect(seen).toEqual([
    'hparams [{"lr":0.01},{"val/loss":null}]',
    'text model',
    'text note',
    'batch/loss @4',
    'batch/lr @4',
    'val/loss @6',
    'val/accuracy @6',
    'graph true 0.weight,0.bias,2.weight,2.bias',
    'train/loss @6',
    'train/accuracy @6',
    'train/epoch @6',
    ...['0.weight [64]', '0.bias [16]', '2.weight [48]', '2.bias [3]'].flatMap((name) => [`weights/${name} @6`, `gradients/${name} @6`]),
    'flush',
    'close',
  ])
  seen.length = 0
  const breaks: train.Callback = {
    onStepEnd() {
      throw new Error('broken')
    },
  }
  const callbacks = [new train.TensorBoard(writer), breaks]
  await expect(smallTrainer().fit(batches, { callbacks })).rejects.toThrow('broken')
  expect(seen).toEqual(['text model', 'close failure'])
})

test('callbacks with states must have different names', async () => {
  const two = [new train.EarlyStopping(), new train.EarlyStopping()]
  await expect(smallTrainer().fit(batches, { callbacks: two })).rejects.toThrow(/two callbacks are called EarlyStopping/)
  const named = [new train.EarlyStopping({ name: 'a' }), new train.EarlyStopping({ name: 'b' })]
  expect((await smallTrainer().fit(batches, { callbacks: named })).stopReason).toBe('finished')
})

test('callbacks that no training would call are errors', async () => {
  const fit = (callbacks: unknown) => smallTrainer().fit(batches, { callbacks: callbacks as train.Callback[] })
  await expect(fit(new train.EarlyStopping())).rejects.toThrow(/callbacks are no array/)
  await expect(fit([train.EarlyStopping])).rejects.toThrow(/callback 0 is a function, EarlyStopping. Make an object/)
  await expect(fit([{ onFitEnd() {} }, undefined])).rejects.toThrow(/callback 1 is undefined/)
  await expect(fit([{ onEpochEnds() {} }])).rejects.toThrow(/only onEpochEnds. Did you mean onEpochEnd/)
  expect(() => smallTrainer({ callbacks: [{}] as train.Callback[] })).toThrow(/no method that a training would call. There are onFitStart/)
})

test('numbers that are none of the kind are refused', () => {
  expect(() => new train.EarlyStopping({ patience: '3' as never })).toThrow(/patience is the text '3'/)
  expect(() => new train.EarlyStopping({ startEpoch: -1 })).toThrow(/startEpoch is -1/)
  expect(() => new train.ExponentialAverage({ everySteps: 0 })).toThrow(/everySteps is 0/)
  expect(() => new train.StochasticWeightAveraging({ everyEpochs: 0.5 })).toThrow(/everyEpochs is 0.5/)
  expect(() => new train.TerminateOnNaN({ everySteps: 0 })).toThrow(/everySteps is 0/)
  expect(() => new train.SpikeDetection({ warmup: -1 })).toThrow(/warmup is -1/)
  expect(() => new train.CsvLogger('run.csv' as never)).toThrow(/a text was given. Pass a stream/)
})

test('callbacks that are used again belong to the new training', async () => {
  const plateau = new train.ReduceOnPlateau({ patience: 0, factor: 0.5, monitor: 'score' })
  const [first, second] = [smallTrainer(), smallTrainer()]
  const tell: train.Callback = { onEpochEnd: (t) => t.log('score', 1) }
  await first.fit(batches, { epochs: 3, callbacks: [tell, plateau] })
  await second.fit(batches, { epochs: 2, callbacks: [tell, plateau] })
  expect([first.optimizer.lr, second.optimizer.lr]).toEqual([0.0025, 0.005])
})

test('CsvLogger has the columns of validations that come later', async () => {
  let text = ''
  const callbacks = [new train.CsvLogger({ write: (line: string) => void (text += line) })]
  await smallTrainer().fit(batches, { epochs: 5, validation: batches, validateEvery: { epochs: 2 }, callbacks })
  const rows = text
    .trim()
    .split('\n')
    .map((line) => line.split(','))
  expect(rows.map((row) => row[0])).toEqual(['epoch', '1', '2', '3', '4', '5'])
  expect(rows[0]!.slice(3)).toEqual(['loss', 'accuracy', 'valLoss', 'valAccuracy'])
  expect(rows.slice(1).map((row) => row[5] !== '')).toEqual([false, true, false, true, true])
})

test('a checkpoint gives a model the weights that were validated', async () => {
  const states: Uint8Array[] = []
  const trainer = smallTrainer()
  const keep: train.Callback = { onFitEnd: async (training) => void states.push(await encodeCheckpoint(training.parts)) }
  const callbacks = [new train.ExponentialAverage({ decay: 0.8 }), keep]
  const { logs } = await trainer.fit(batches, { epochs: 2, validation: batches, callbacks })
  const model = smallModel()
  const other = smallTrainer({}, model)
  await decodeCheckpoint(states[0]!, { model })
  expect((await other.evaluate(batches)).loss).not.toBeCloseTo(logs.valLoss!, 4)
  await decodeCheckpoint(states[0]!, { callbacks: train.averagesInto(model) })
  expect((await other.evaluate(batches)).loss).toBeCloseTo(logs.valLoss!, 6)
  await expect(decodeCheckpoint(states[0]!, { callbacks: train.averagesInto(model, 'SWA') })).rejects.toThrow(
    /no averaged weights of SWA. Its callbacks are ExponentialAverage/,
  )
})

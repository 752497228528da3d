import { describe, expect, test } from 'vitest'
import { accuracy, batchesOf, points, smallModel, smallTrainer } from '../../test/small-training.ts'
import * as data from '../data/index.ts'
import {
  compile,
  concat,
  crossEntropy,
  type CotangentError,
  manualSeed,
  mseLoss,
  nn,
  noGrad,
  normal,
  ones,
  optim,
  tensor,
  type Tensor,
  zeros,
} from '../index.ts'
import * as train from './index.ts'

const weightsOf = (model: nn.Module): number[][] => model.parameters().map((p) => [...(p.dataSync() as Float32Array)])
/** Op by op: nothing has to be compiled first. */
const quickTrainer = (options: train.TrainerOptions = {}, model?: nn.Module) => smallTrainer({ compile: false, ...options }, model)
const codeOf = (error: unknown): string => (error as CotangentError).code

/** The loop that people write by hand. */
function byHand(model: nn.Module, optimizer: optim.Optimizer, batches: [Tensor, Tensor][], epochs: number): number[] {
  const step = compile((x: Tensor, y: Tensor) => {
    const loss = crossEntropy((model as nn.Sequential).forward(x) as Tensor, y)
    optimizer.zeroGrad()
    loss.backward()
    optimizer.step()
    return loss
  })
  const means: number[] = []
  for (let epoch = 0; epoch < epochs; epoch++) {
    let [sum, count] = [0, 0]
    for (const [x, y] of batches) {
      sum += step(x, y).item() * x.shape[0]!
      count += x.shape[0]!
    }
    means.push(sum / count)
  }
  return means
}

describe('fit', () => {
  test('does what a loop by hand does, bit for bit, also with a smaller last batch', async () => {
    const batches = batchesOf(points(90))
    const [a, b] = [smallModel(), smallModel()]
    const means = byHand(a, new optim.AdamW(a, { lr: 1e-2 }), batches, 3)
    const { history, stopReason, steps } = await smallTrainer({}, b).fit(batches, { epochs: 3 })
    expect(weightsOf(b)).toEqual(weightsOf(a))
    history.values('loss').forEach((loss, i) => expect(loss).toBeCloseTo(means[i]!, 6))
    expect([stopReason, steps, history.epochs.length]).toEqual(['finished', 18, 3])
  })

  test('is the same compiled and not, up to rounding', async () => {
    const [a, b] = await Promise.all(
      [true, false].map((compiled) => smallTrainer({ compile: compiled }).fit(batchesOf(points()), { epochs: 2 })),
    )
    expect(a!.logs.loss).toBeCloseTo(b!.logs.loss!, 5)
    expect(a!.logs.accuracy).toBe(b!.logs.accuracy)
  })

  test('learns, and tells loss and metrics of training and validation', async () => {
    const { logs, history } = await quickTrainer().fit(points(), { epochs: 30, batchSize: 16, validationSplit: 0.25 })
    expect(Object.keys(logs)).toEqual(['loss', 'accuracy', 'valLoss', 'valAccuracy'])
    expect(logs.accuracy).toBeGreaterThan(0.85)
    expect(history.values('loss')[0]).toBeGreaterThan(logs.loss!)
  })

  test('accumulated batches make the step of one large batch', async () => {
    const set = points()
    const sgd = (model: nn.Module) => new optim.SGD(model, { lr: 0.1 })
    const [a, b] = [smallModel(), smallModel()]
    await smallTrainer({ optimizer: sgd(a) }, a).fit(batchesOf(set, 32))
    const { steps } = await smallTrainer({ optimizer: sgd(b), accumulate: 4 }, b).fit(batchesOf(set, 8))
    expect(steps).toBe(3)
    weightsOf(b)
      .flat()
      .forEach((w, i) => expect(w).toBeCloseTo(weightsOf(a).flat()[i]!, 5))
  })

  test('a step that the end of the data cuts short is taken, with the mean of what there is', async () => {
    const batches = batchesOf(points(40), 8)
    const sgd = (model: nn.Module) => new optim.SGD(model, { lr: 0.1 })
    const [a, b] = [smallModel(), smallModel()]
    const one = await smallTrainer({ optimizer: sgd(a), accumulate: 3 }, a).fit(batches)
    // Without a length nobody knows which batch is the last.
    const endless = { [Symbol.iterator]: () => batches[Symbol.iterator]() }
    const two = await smallTrainer({ optimizer: sgd(b), accumulate: 3 }, b).fit(endless)
    expect([one.steps, two.steps]).toEqual([2, 2])
    weightsOf(b)
      .flat()
      .forEach((w, i) => expect(w).toBeCloseTo(weightsOf(a).flat()[i]!, 6))
  })

  test('clips gradients, and logs the norms before', async () => {
    const model = smallModel()
    const { logs } = await smallTrainer({ clipNorm: 1e-3, optimizer: new optim.SGD(model, { lr: 1 }) }, model).fit([
      batchesOf(points())[0]!,
    ])
    const before = weightsOf(smallModel()).flat()
    const moved = Math.hypot(
      ...weightsOf(model)
        .flat()
        .map((w, i) => w - before[i]!),
    )
    expect(moved).toBeCloseTo(1e-3, 5)
    expect(logs.gradNorm).toBeGreaterThan(0.1)
    const other = smallModel()
    await smallTrainer({ clipValue: 1e-3, optimizer: new optim.SGD(other, { lr: 1 }) }, other).fit([batchesOf(points())[0]!])
    expect(
      Math.max(
        ...weightsOf(other)
          .flat()
          .map((w, i) => Math.abs(w - before[i]!)),
      ),
    ).toBeCloseTo(1e-3, 6)
  })

  test.each(['bfloat16', 'float16'] as const)('trains in %s', async (precision) => {
    const { logs } = await smallTrainer({ precision }).fit(points(), { epochs: 25, batchSize: 16, shuffle: false })
    expect(logs.accuracy).toBeGreaterThan(0.85)
  })

  test('sample weights and class weights make the weighted mean of the losses', async () => {
    const [x, y] = batchesOf(points())[0]!
    const model = smallModel()
    const losses = crossEntropy((model as nn.Sequential).forward(x) as Tensor, y, { reduction: 'none' }).toArray() as number[]
    const mean = (weights: number[]) => losses.reduce((sum, loss, i) => sum + loss * weights[i]!, 0) / weights.reduce((a, b) => a + b, 0)
    const weights = losses.map((_, i) => i % 3)
    const { logs } = await smallTrainer({}, smallModel()).fit([[x, y, tensor(weights, { dtype: 'float32' })]])
    expect(logs.loss).toBeCloseTo(mean(weights), 5)
    const classes = y.toArray() as number[]
    const byClass = await smallTrainer({ classWeights: [1, 0, 5] }, smallModel()).fit([[x, y]])
    expect(byClass.logs.loss).toBeCloseTo(mean(classes.map((c) => [1, 0, 5][c]!)), 5)
    const byIndex = await smallTrainer({ classWeights: { 2: 5, 1: 0 }, metrics: [] }, smallModel()).fit([[x, y.oneHot(3).cast('float32')]])
    expect(byIndex.logs.loss).toBeCloseTo(mean(classes.map((c) => [1, 0, 5][c]!)), 5)
    const none = await smallTrainer({}, smallModel()).fit([[x, y, zeros([16])]])
    expect(none.logs.loss).toBeNaN()
    // Each batch counts as much as its weights do.
    const trainer = smallTrainer({}, smallModel())
    const whole = await trainer.evaluate([[x, y, tensor(weights, { dtype: 'float32' })]])
    const cut = [0, 1].map((i) => [x, y, tensor(weights, { dtype: 'float32' })].map((t) => t.narrow(0, 10 * i, i ? 6 : 10)))
    expect((await trainer.evaluate(cut)).loss).toBeCloseTo(whole.loss!, 5)
  })

  test('reads batches as arrays, objects and by names, from iterables of both kinds', async () => {
    const batches = batchesOf(points())
    const expected = (await quickTrainer().fit(batches)).logs.loss
    const objects = batches.map(([x, y]) => ({ images: x, labels: y }))
    expect((await quickTrainer().fit(objects)).logs.loss).toBe(expected)
    const named = batches.map(([x, y], i) => ({ id: y.add(i), y, x }))
    expect((await quickTrainer({ batch: { inputs: 'x', targets: 'y' } }).fit(named)).logs.loss).toBe(expected)
    const later = {
      async *[Symbol.asyncIterator]() {
        for (const batch of batches) yield batch
      },
    }
    expect((await quickTrainer().fit(later, { epochs: 2 })).history.values('loss')[0]).toBe(expected)
    expect((await quickTrainer().fit(data.Dataset.fromTensors(points()).batch(16))).logs.loss).toBe(expected)
    await expect(quickTrainer().fit(batches.map(([x, y]) => ({ a: x, b: x, y })))).rejects.toThrow(/inputs: \['a', 'b'\]/)
    await expect(quickTrainer().fit([[1, 2]])).rejects.toThrow(/no tensor/)
    await expect(quickTrainer().fit([])).rejects.toThrow(/no batches/)
    await expect(quickTrainer().fit(5 as never)).rejects.toThrow(/cannot be gone through/)
  })

  test('a model with several inputs and outputs has a loss and metrics for each', async () => {
    class Two extends nn.Module {
      a = new nn.Linear(4, 3)
      b = new nn.Linear(4, 1)
      forward(x: Tensor, z: Tensor) {
        const h = x.add(z)
        return { kind: this.a.forward(h) as Tensor, size: this.b.forward(h) as Tensor }
      }
    }
    manualSeed(1)
    const model = new Two()
    const { x, y } = points(32)
    const batch = [[x, ones([32, 4])], { kind: y, size: normal([32, 1]) }]
    const trainer = new train.Trainer(model, {
      optimizer: new optim.SGD(model, { lr: 0.1 }),
      loss: { kind: crossEntropy as train.LossFunction, size: mseLoss as train.LossFunction },
      lossWeights: { size: 0.5 },
      metrics: { kind: { accuracy }, size: { error: (o: Tensor, t: Tensor) => o.sub(t).abs() } },
      display: 'quiet',
    })
    const { logs } = await trainer.fit([batch], { epochs: 2, validation: [batch] })
    expect(Object.keys(logs).filter((name) => !name.startsWith('val'))).toEqual([
      'loss',
      'kindLoss',
      'sizeLoss',
      'kindAccuracy',
      'sizeError',
    ])
    expect(logs.loss).toBeCloseTo(logs.kindLoss! + 0.5 * logs.sizeLoss!, 5)
    expect(logs.valKindAccuracy).toBeGreaterThanOrEqual(0)
    const outputs = (await trainer.predict([batch, batch])) as unknown as Record<string, Tensor>
    expect([outputs.kind!.shape, outputs.size!.shape]).toEqual([
      [64, 3],
      [64, 1],
    ])
    expect(() => new train.Trainer(model, { loss: { kind: crossEntropy as train.LossFunction }, lossWeights: { sise: 1 } })).toThrow(/sise/)
  })

  test('steps of your own: the loss, logs, and optimisation by hand', async () => {
    const model = smallModel()
    const optimizer = new optim.SGD(model, { lr: 0.1 })
    const forward = (x: Tensor) => (model as nn.Sequential).forward(x) as Tensor
    const trainStep = ({ x, y }: { x: Tensor; y: Tensor }) => {
      const outputs = forward(x)
      const penalty = outputs.square().mean()
      return { loss: crossEntropy(outputs, y).add(penalty), outputs, targets: y, logs: { penalty } }
    }
    const batches = batchesOf(points()).map(([x, y]) => ({ x, y }))
    const own = await new train.Trainer(model, { optimizer, trainStep, metrics: { accuracy }, display: 'quiet' }).fit(batches, {
      epochs: 2,
    })
    expect(Object.keys(own.logs)).toEqual(['loss', 'penalty', 'accuracy'])
    const before = weightsOf(model)
    const manual = new train.Trainer(model, {
      optimizer,
      optimization: 'manual',
      display: 'quiet',
      trainStep({ x, y }: { x: Tensor; y: Tensor }) {
        optimizer.zeroGrad()
        const loss = crossEntropy(forward(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()
      },
    })
    const { logs } = await manual.fit(batches)
    expect(weightsOf(model)).not.toEqual(before)
    expect(logs.loss).toBeGreaterThan(0)
    await expect(new train.Trainer(model, { optimizer, trainStep: (() => 1) as never, display: 'quiet' }).fit(batches)).rejects.toThrow(
      /no loss/,
    )
  })

  test('metrics within the step and outside of it see every batch', async () => {
    const seen: number[] = []
    const outside: train.Metric<number, [Tensor, Tensor]> = {
      name: 'rows',
      traceable: false,
      update: (outputs) => void seen.push(outputs.shape[0]!),
      compute: async () => seen.reduce((a, b) => a + b, 0),
      reset: () => void seen.splice(0),
      merge: () => {},
      stateDict: () => [...seen],
      loadStateDict: ((state: number[]) => void seen.splice(0, Infinity, ...state)) as never,
    }
    const metrics = [new train.metrics.Accuracy({ classes: 3 }), outside] as const
    const { logs } = await smallTrainer({ metrics }).fit(batchesOf(points(90)), { validation: batchesOf(points(20)) })
    expect(logs).toMatchObject({ rows: 90, valRows: 20 })
    expect(logs.accuracy).toBeGreaterThan(0)
    expect(() => smallTrainer({ metrics: { loss: accuracy } })).toThrow(/called loss/)
  })

  test('a validation in the middle of an epoch leaves the metrics of the epoch alone', async () => {
    const batches = batchesOf(points())
    const plain = await quickTrainer().fit(batches, { epochs: 2, validation: batches })
    const often = await quickTrainer().fit(batches, { epochs: 2, validation: batches, validateEvery: { batches: 0.5 } })
    expect(often.logs).toEqual(plain.logs)
  })

  test('limits', async () => {
    const batches = batchesOf(points()) // 6
    const run = (options: train.FitOptions) => quickTrainer().fit(batches, options)
    expect(await run({ maxSteps: 8 })).toMatchObject({ stopReason: 'maxSteps', steps: 8, epochs: 1 })
    expect((await run({ maxSteps: 12 })).history.epochs).toHaveLength(2)
    expect(await run({ limitBatches: { train: 2 }, epochs: 3 })).toMatchObject({ steps: 6, epochs: 3 })
    expect(await run({ limitBatches: { train: 0.5 } })).toMatchObject({ steps: 3 })
    expect(await run({ limitBatches: 2 })).toMatchObject({ steps: 2 })
    await expect(run({ epochs: '3' as never })).rejects.toThrow(/epochs is the text '3'/)
    expect(await run({ batchesPerEpoch: 4, epochs: 3 })).toMatchObject({ steps: 12, epochs: 3 })
    expect((await run({ validation: batches, limitBatches: { validation: 0 } })).logs).not.toHaveProperty('valLoss')
    await expect(run({ validation: [] })).rejects.toThrow(/no batches/)
    expect(await run({ maxTime: 0.05 })).toMatchObject({ stopReason: 'maxTime' })
    expect(await run({ epochs: 0 })).toMatchObject({ stopReason: 'finished', steps: 0 })
    expect((await run({ overfitBatches: 1, epochs: 60 })).logs.loss).toBeLessThan(0.3)
    const seen: string[] = []
    const keeps = { keeps: true, onFitStart: () => void seen.push('kept') }
    expect(await run({ fastDevRun: true, epochs: 9, validation: batches, callbacks: [keeps] })).toMatchObject({ steps: 1, epochs: 1 })
    expect(seen).toEqual([])
    await expect(run({ limitBatches: { train: -1 } })).rejects.toThrow(/limitBatches.train is -1/)
    await expect(run({ limitBatches: { train: 0 } })).rejects.toThrow(/limitBatches.train is 0/)
    await expect(run({ epochs: 1.5 })).rejects.toThrow(/epochs is 1.5/)
  })

  test.each(['interrupted', 'enough'])('an epoch that is stopped (%s) before its first batch is not one', async (stopReason) => {
    const interruption = new AbortController()
    const stop = (training: train.Training) => (stopReason === 'enough' ? training.stop(stopReason) : interruption.abort())
    const ends: number[] = []
    const callback = {
      onEpochStart: (training: train.Training) => (training.epoch > 0 ? stop(training) : undefined),
      onEpochEnd: ({ epoch }: train.Training) => void ends.push(epoch),
    }
    const options = { epochs: 9, callbacks: [callback], signal: interruption.signal }
    const result = await quickTrainer().fit(batchesOf(points()), options)
    expect(result).toMatchObject({ stopReason, epochs: 1, steps: 6 })
    expect(result.history.values('loss')).toEqual([expect.closeTo(result.logs.loss!)])
    expect(ends).toEqual([0])
  })

  test('data that give their batches once have none for a further epoch', async () => {
    const once = batchesOf(points()).values()
    await expect(quickTrainer().fit(once, { batchesPerEpoch: 6, epochs: 3 })).rejects.toThrow(/no batches.*only once/s)
  })

  test('with batchesPerEpoch the next epoch goes on in the same pass', async () => {
    const taken: number[] = []
    const numbered = batchesOf(points()).map(([x, y], i) => [x.add(0), y, i] as const)
    const source = {
      *[Symbol.iterator]() {
        for (const [x, y, i] of numbered) {
          taken.push(i)
          yield [x, y]
        }
      },
    }
    await quickTrainer().fit(source, { batchesPerEpoch: 4, epochs: 2 })
    expect(taken).toEqual([0, 1, 2, 3, 4, 5, 0, 1])
  })

  test('the same seed gives the same run, and frozen parameters stay', async () => {
    const run = async () => {
      const model = nn.sequential(new nn.Linear(4, 16), new nn.Dropout(0.5), new nn.Linear(16, 3)) as nn.Module
      model.loadStateDict(nn.sequential(new nn.Linear(4, 16), new nn.Dropout(0.5), new nn.Linear(16, 3)).apply(setOnes).stateDict())
      ;(model as unknown as { layers: nn.Module[] }).layers[0]!.freeze()
      await quickTrainer({}, model).fit(points(), { epochs: 2, batchSize: 16, shuffle: false, deterministic: 5 })
      return weightsOf(model)
    }
    const [a, b] = [await run(), await run()]
    expect(a).toEqual(b)
    expect(new Set(a[0])).toEqual(new Set([0.5]))
  })

  test('ends cleanly when its signal is aborted, with what there is', async () => {
    const stop = new AbortController()
    const ended: string[] = []
    const callback = {
      onBatchEnd: (t: train.Training) => void (t.step === 8 && stop.abort()),
      onFitEnd: (t: train.Training) => void ended.push(t.stopReason!),
    }
    const result = await quickTrainer().fit(batchesOf(points()), { epochs: 9, signal: stop.signal, callbacks: [callback] })
    expect(result).toMatchObject({ stopReason: 'interrupted', steps: 8, epochs: 1 })
    expect(result.history.epochs.map(({ epoch }) => epoch)).toEqual([1, 2])
    expect(ended).toEqual(['interrupted'])
    const early = new AbortController()
    const abort = { onBatchEnd: (t: train.Training) => void (t.batch === 3 && early.abort()) }
    const together = await quickTrainer({ accumulate: 2 }).fit(batchesOf(points()), { signal: early.signal, callbacks: [abort] })
    expect(together.steps).toBe(2)
  })

  test('sets the model to use for validation, and parts back to what they were', async () => {
    const model = nn.sequential(new nn.Linear(4, 16), new nn.BatchNorm1d(16), new nn.Linear(16, 3)) as nn.Module
    const norm = model.children()[1]!
    norm.eval()
    const seen: boolean[] = []
    await quickTrainer({}, model).fit(points(), {
      validationSplit: 0.5,
      callbacks: [{ onValidationBatchEnd: () => void seen.push(model.training) }],
    })
    expect(seen).toEqual([false, false])
    expect([model.training, norm.training]).toEqual([true, false])
  })
})

const setOnes = (module: nn.Module): void => {
  noGrad(() => module.parameters().forEach((p) => p.assign(0.5)))
}

describe('evaluate and predict', () => {
  test('in the middle of a training change nothing in it', async () => {
    const run = async (callback: (trainer: train.Trainer) => train.Callback) => {
      const trainer = quickTrainer()
      const { history } = await trainer.fit(points(), { epochs: 2, batchSize: 16, shuffle: false, callbacks: [callback(trainer)] })
      return history.epochs.map(({ logs }) => logs)
    }
    const plain = await run(() => ({ onStepEnd: () => {} }))
    const looking = (trainer: train.Trainer): train.Callback => ({
      onStepEnd: async () => {
        await trainer.evaluate(points(40))
        await trainer.predict(points(8))
      },
    })
    expect(await run(looking)).toEqual(plain)
  })

  test('one training at a time', async () => {
    const trainer = quickTrainer()
    const first = trainer.fit(points(), { epochs: 2 })
    await expect(trainer.fit(points())).rejects.toThrow(/is training already. Await the fit before/)
    await first
    await trainer.fit(points())
  })

  test('give the numbers of the whole set, whatever the batches, and leave the model alone', async () => {
    const set = points(50)
    const trainer = quickTrainer()
    const whole = await trainer.evaluate([[set.x, set.y]])
    const cut = await trainer.evaluate(set, { batchSize: 7 })
    expect(cut.loss).toBeCloseTo(whole.loss!, 6)
    expect(cut.accuracy).toBeCloseTo(whole.accuracy!, 12)
    expect(await trainer.evaluate(set, { batchSize: 10, limitBatches: 1 })).not.toEqual(whole)
    const outputs = await trainer.predict(set.x, { batchSize: 7 })
    expect(outputs.shape).toEqual([50, 3])
    expect(outputs.requiresGrad).toBe(false)
    const again = await trainer.predict(batchesOf(set, 9))
    expect(again.toArray()).toEqual(outputs.toArray())
  })

  test('inputs and targets of several tensors are cut together', async () => {
    class Two extends nn.Module {
      readonly kind = new nn.Linear(4, 3)
      readonly size = new nn.Linear(4, 1)

      forward(a: Tensor, b: Tensor) {
        return { kind: this.kind.forward(a), size: this.size.forward(b) }
      }
    }
    manualSeed(4)
    const { x, y } = points(30)
    const set = { x: [x, x.neg()], y: { kind: y, size: x.narrow(-1, 0, 1) as Tensor } }
    const model = new Two()
    const trainer = new train.Trainer<Record<string, Tensor>, Record<string, Tensor>>(model, {
      optimizer: new optim.SGD(model, { lr: 0.1 }),
      loss: { kind: (o: Tensor, t: Tensor) => crossEntropy(o, t) as Tensor, size: (o: Tensor, t: Tensor) => mseLoss(o, t) as Tensor },
      display: 'quiet',
      compile: false,
    })
    const { logs, steps } = await trainer.fit(set, { batchSize: 8, validationSplit: 0.2, epochs: 2 })
    expect(steps).toBe(6)
    expect(Object.keys(logs)).toEqual(['loss', 'kindLoss', 'sizeLoss', 'valLoss', 'valKindLoss', 'valSizeLoss'])
    const byHand = await trainer.evaluate([[set.x, set.y]])
    expect((await trainer.evaluate(set, { batchSize: 7 })).loss).toBeCloseTo(byHand.loss!, 5)
    await expect(trainer.fit({ x: [x, x.narrow(0, 0, 3)], y })).rejects.toThrow(/same first size/)
  })

  test('refuse numbers that are none, and data that has come to its end', async () => {
    const set = points(32)
    const wrong: [train.FitOptions, RegExp][] = [
      [{ maxSteps: Number.NaN }, /maxSteps is NaN/],
      [{ maxTime: '00:00:01' as unknown as number }, /maxTime is 00:00:01/],
      [{ batchesPerEpoch: 2.5 }, /batchesPerEpoch is 2.5/],
      [{ batchesPerEpoch: 0 }, /batchesPerEpoch is 0/],
      [{ validateEvery: { batches: 0 } }, /validateEvery.batches is 0/],
      [{ validateEvery: { epochs: 1.5 } }, /validateEvery.epochs is 1.5/],
    ]
    for (const [options, message] of wrong) await expect(quickTrainer().fit(set, options)).rejects.toThrow(message)
    await expect(quickTrainer().predict(set.x, { batchSize: 0 })).rejects.toThrow(/batchSize is 0/)
    const once = (function* () {
      yield* batchesOf(set)
    })()
    await expect(quickTrainer().fit(once, { epochs: 2 })).rejects.toThrow(/Iterators give theirs only once/)
    expect((await quickTrainer().fit(set, { fastDevRun: 0, overfitBatches: 0, epochs: 2 })).epochs).toBe(2)
  })

  test('classWeights of classes that have none, and of targets that the loss leaves out', async () => {
    const { x, y } = points(24)
    const lossOf = async (classWeights: train.ClassWeights, batch: [Tensor, Tensor]) => {
      const model = smallModel()
      const trainer = quickTrainer({ classWeights, optimizer: new optim.SGD(model, { lr: 0 }) }, model)
      return (await trainer.fit([batch])).logs.loss!
    }
    expect(await lossOf([2, 3], [x, y])).toBeCloseTo(await lossOf([2, 3, 1], [x, y]), 6)
    const rest = [x.narrow(0, 6, 18), y.narrow(0, 6, 18)] as [Tensor, Tensor]
    const ignored = concat([tensor([-100, -100, -100, -100, -100, -100], { dtype: y.dtype }), rest[1]]) as Tensor
    expect(await lossOf([2, 3, 1], [x, ignored])).toBeCloseTo(await lossOf([2, 3, 1], rest), 5)
  })

  test('say what is missing', async () => {
    const trainer = new train.Trainer(smallModel(), { display: 'quiet' })
    expect((await trainer.predict(points().x)).shape).toEqual([96, 3])
    await expect(trainer.evaluate(points())).rejects.toThrow(/no loss/)
    await expect(trainer.fit(points())).rejects.toThrow(/no optimizer/)
    await expect(trainer.predict([])).rejects.toThrow(/no batches/)
    const alone = (await trainer.predict(points().x)).toArray()
    expect((await trainer.predict(points())).toArray()).toEqual(alone)
    expect((await trainer.predict({ x: points().x })).toArray()).toEqual(alone)
    const named = smallTrainer({ batch: { inputs: 'features', targets: 'labels' } }, trainer.model)
    expect((await named.predict({ features: points().x })).toArray()).toEqual(alone)
    await expect(trainer.evaluate([])).rejects.toThrow(/no batches/)
    await expect(
      quickTrainer({ loss: (o: Tensor, t: Tensor) => crossEntropy(o, t) }).fit([[...batchesOf(points())[0]!, ones([16])]]),
    ).rejects.toSatisfy((error) => codeOf(error) === 'invalid-argument')
  })
})

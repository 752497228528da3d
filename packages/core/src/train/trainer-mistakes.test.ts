import { describe, expect, test } from 'vitest'
import { points, smallModel, smallTrainer } from '../../test/small-training.ts'
import * as data from '../data/index.ts'
import { crossEntropy, mseLoss, nn, optim, type Tensor } from '../index.ts'
import * as train from './index.ts'

/** Op by op: nothing has to be compiled first. */
const quickTrainer = (options: train.TrainerOptions<never, never> = {}, model?: nn.Module) =>
  smallTrainer({ compile: false, ...options } as train.TrainerOptions, model)

describe('names of options', () => {
  test.each([
    ['epoch', /there is no option epoch. Did you mean epochs/],
    ['valCheckInterval', /Here it is validateEvery: { batches }/],
    ['max_epochs', /Here it is epochs/],
    ['stepsPerEpoch', /Here it is batchesPerEpoch/],
    ['accumulate_grad_batches', /Here it is accumulate, an option of the Trainer/],
    ['metrics', /Here it is metrics, an option of the Trainer/],
  ])('fit says what %s is called', async (name, message) => {
    await expect(quickTrainer().fit(points(), { [name]: 1 })).rejects.toThrow(message)
  })

  test('what tunes a training says what its options are', async () => {
    const [trainer, batches] = [quickTrainer(), data.Dataset.fromTensors(points()).batch(4)]
    await expect(train.lrFind(trainer, batches, { step: 3 } as never)).rejects.toThrow(
      /lrFind: there is no option step. Did you mean steps/,
    )
    await expect(train.batchSizeFind(trainer, () => batches, { maximum: 3 } as never)).rejects.toThrow(/There are start, max, steps, mode/)
    const cycle = (options: object) => train.oneCycle(trainer, batches, { maxLr: 1, ...options })
    await expect(cycle({ maxLR: 1 })).rejects.toThrow(/oneCycle: there is no option maxLR. Did you mean maxLr/)
    await expect(cycle({ schedule: {} })).rejects.toThrow(/oneCycle: there is no option schedule/)
    await expect(cycle({ max_epochs: 1 })).rejects.toThrow(/Here it is epochs\./)
    const tune = train.fineTune(trainer, batches, { epochs: 1, maxLr: 1 } as never)
    await expect(tune).rejects.toThrow(/fineTune: there is no option maxLr/)
  })

  test('the trainer says what its options are', () => {
    expect(() => quickTrainer({ epochs: 3 } as never)).toThrow(/Trainer: there is no option epochs. Here it is epochs, an option of fit/)
    expect(() => quickTrainer({ metric: [] } as never)).toThrow(/Did you mean metrics/)
    expect(() => quickTrainer({ precision: '16-mixed' as never })).toThrow(/precision is 16-mixed. It is one of float32, bfloat16, float16/)
  })
})

describe('what is no model, optimizer, loss or metric', () => {
  test.each([
    ['loss', 'mse', /the loss is the text 'mse'. Pass the function/],
    ['optimizer', 'adam', /the optimizer is string. Pass one of optim/],
    ['metrics', ['accuracy'], /the metric metrics\[0\] is the text 'accuracy'. Use a metric of train.metrics/],
    ['metrics', [train.metrics.Accuracy], /is the class Accuracy. Make one: new Accuracy/],
  ])('%s', (name, value, message) => {
    expect(() => quickTrainer({ [name]: value } as never)).toThrow(message)
  })

  test('a model', () => {
    expect(() => new train.Trainer((() => 1) as never)).toThrow(/the model is no module/)
  })

  test('an optimizer of another model', async () => {
    const optimizer = new optim.SGD(smallModel(), { lr: 1 })
    await expect(quickTrainer({ optimizer }).fit(points())).rejects.toThrow(/none of the parameters of the model/)
    // A step of one's own may train what it likes.
    const trainStep = ({ x }: { x: Tensor }) => optimizer.params[0]!.sum().add(x.sum()) as Tensor
    await quickTrainer({ optimizer, trainStep, metrics: [] } as never).fit(points())
  })

  test('a metric that gives no tensor', async () => {
    await expect(quickTrainer({ metrics: { half: () => 0.5 as never } }).fit(points())).rejects.toThrow(/the metric half gave number/)
  })
})

describe('data that', () => {
  const endless = data.Dataset.fromTensors(points(16)).repeat().batch(4)

  test('never end', async () => {
    const trainer = quickTrainer()
    await expect(trainer.fit(endless)).rejects.toThrow(
      /data never end, and so no epoch would. Say how many batches to take: batchesPerEpoch/,
    )
    await expect(trainer.fit(points(), { validation: endless })).rejects.toThrow(/validation data never end.*limitBatches: { validation }/)
    await expect(trainer.evaluate(endless)).rejects.toThrow(/data never end.*limitBatches/)
    await expect(trainer.predict(endless)).rejects.toThrow(/data never end/)
    await expect(train.updateBatchNorm(nn.sequential(new nn.BatchNorm1d(4)), endless)).rejects.toThrow(/data.take\(100\)/)
    expect((await trainer.fit(endless, { batchesPerEpoch: 3, validation: endless, limitBatches: { validation: 1 } })).steps).toBe(3)
    expect((await trainer.fit(endless, { maxSteps: 2 })).steps).toBe(2)
    expect((await trainer.fit(endless, { limitBatches: 2, epochs: 2 })).steps).toBe(4)
    expect((await trainer.predict(endless, { limitBatches: 2 })).shape).toEqual([8, 3])
  })

  test('are batches have their own size', async () => {
    await expect(quickTrainer().fit(endless, { maxSteps: 1, batchSize: 8 })).rejects.toThrow(/batchSize goes with data that are tensors/)
    // Here it is that of the validation.
    await quickTrainer().fit(endless, { maxSteps: 1, batchSize: 8, validation: points(16) })
  })
})

test('one loss for several outputs, and one without targets', async () => {
  class Two extends nn.Module {
    readonly kind = new nn.Linear(4, 3)
    forward(x: Tensor) {
      return { kind: this.kind.forward(x) }
    }
  }
  const several = quickTrainer({ loss: crossEntropy as never, metrics: [] }, new Two())
  await expect(several.fit(points())).rejects.toThrow(/outputs are \{ kind \} and targets are a tensor.*give each a loss by its name/)
  const { x } = points()
  await expect(quickTrainer({ loss: mseLoss as never, metrics: [] }).fit({ x })).rejects.toThrow(
    /outputs are a tensor and there are no targets/,
  )
})

test('inputs that the model does not take', async () => {
  class Pair extends nn.Module {
    readonly own = new nn.Linear(4, 3)
    forward(a: Tensor, b: Tensor): Tensor {
      return this.own.forward(a).add(this.own.forward(b)) as Tensor
    }
  }
  const { x, y } = points()
  const pair = quickTrainer({}, new Pair())
  await expect(pair.fit({ x, y })).rejects.toThrow(
    /^Pair: forward takes 2 inputs and was given 1: .*an array of inputs becomes the arguments/,
  )
  expect((await pair.predict([[[x, x]]])).shape).toEqual([96, 3])
  await expect(quickTrainer().fit({ x: { image: x, age: x }, y })).rejects.toThrow(/forward fails on inputs that are { image, age }/)
})

test('a step whose outputs metrics would need, and one that gives a promise', async () => {
  const model = smallModel()
  const loss = ({ x, y }: { x: Tensor; y: Tensor }) => crossEntropy((model as nn.Sequential).forward(x) as Tensor, y)
  await expect(quickTrainer({ trainStep: loss }, model).fit(points())).rejects.toThrow(
    /gave no outputs, which accuracy would be measured by. Return \{ loss, outputs, targets \}/,
  )
  const slow = (async (batch: never) => loss(batch)) as never
  await expect(quickTrainer({ trainStep: slow, metrics: [] }, model).fit(points())).rejects.toThrow(/gave a promise.*leave out async/)
  // Where evaluation has a step of its own, metrics are its business.
  const evalStep = ({ x, y }: { x: Tensor; y: Tensor }) => {
    const outputs = (model as nn.Sequential).forward(x) as Tensor
    return { loss: crossEntropy(outputs, y), outputs, targets: y }
  }
  const { logs } = await quickTrainer({ trainStep: loss, evalStep }, model).fit(points(), { validation: points() })
  expect(logs.valAccuracy).toBeGreaterThan(0)
})

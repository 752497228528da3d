import { describe, expect, test } from 'vitest'
import { batchesOf, points, relu } from '../../../test/small-training.ts'
import { concat, manualSeed, nn, normal, optim, tensor, type Tensor } from '../../index.ts'
import * as keras from './index.ts'

const small = (end?: (x: Tensor) => Tensor) => {
  manualSeed(3)
  return keras.sequential([new nn.Linear(4, 16), relu, new nn.Linear(16, 3), ...(end ? [end] : [])])
}
const { x, y } = points()

describe('sequential', () => {
  test('compile, fit, evaluate, predict', async () => {
    const model = small((h) => h.softmax(-1)).compile({
      optimizer: 'adam',
      learningRate: 0.02,
      loss: 'sparse_categorical_crossentropy',
      metrics: ['accuracy'],
    })
    const { history, epoch } = await model.fit(x, y, { epochs: 20, batchSize: 16, validationSplit: 0.25, verbose: 0 })
    expect(epoch).toHaveLength(20)
    expect(Object.keys(history)).toEqual(['loss', 'accuracy', 'valLoss', 'valAccuracy'])
    expect(history.accuracy!.at(-1)).toBeGreaterThan(0.85)
    const { accuracy } = await model.evaluate(x, y)
    const probabilities = await model.predict(x)
    expect(probabilities.argmax(-1).eq(y).cast('float32').mean().item()).toBeCloseTo(accuracy!, 6)
    expect(model.summary([1, 4])).toContain('131')
    expect([...model.namedParameters().keys()]).toEqual(['0.weight', '0.bias', '2.weight', '2.bias'])
  })

  test('the losses of probabilities are those of logits behind the softmax', async () => {
    const logits = await small().compile({ optimizer: 'sgd', loss: 'crossEntropy' }).evaluate(x, y)
    const model = small((h) => h.softmax(-1))
    for (const loss of ['sparseCategoricalCrossentropy', 'categorical_crossentropy']) {
      const target = loss.startsWith('sparse') ? y : (y.oneHot(3).cast('float32') as Tensor)
      expect((await model.compile({ optimizer: 'sgd', loss, metrics: ['acc'] }).evaluate(x, target)).loss).toBeCloseTo(logits.loss!, 5)
    }
  })

  // By keras.losses and keras.metrics of Keras 3.15 on the same numbers.
  test('losses and metrics of Keras by their names', async () => {
    const [given, wanted] = [
      tensor([
        [0.5, 2],
        [3, -1],
      ]),
      tensor([
        [1, 2],
        [2, 1],
      ]),
    ] as [Tensor, Tensor]
    const values = async (names: readonly string[], kind: 'loss' | 'metric') => {
      const found: Record<string, number> = {}
      for (const name of names) {
        const model = keras.sequential([(t: Tensor) => t.mul(1)])
        const options = kind === 'loss' ? { compile: false, loss: name } : { compile: false, loss: 'mse', metrics: [name] }
        const logs = await model
          .compile({ optimizer: new optim.SGD([normal([1]).setRequiresGrad()], { lr: 0.1 }), ...options })
          .evaluate(given, wanted)
        found[name] = Number(logs[kind === 'loss' ? 'loss' : name]!.toFixed(5))
      }
      return found
    }
    expect(await values(['log_cosh', 'mape', 'msle', 'squared_hinge', 'cosine_similarity'], 'loss')).toEqual({
      log_cosh: 0.46972,
      mape: 75,
      msle: 0.16149,
      squared_hinge: 1.0625,
      cosine_similarity: -0.84165,
    })
    expect(await values(['mean_squared_error', 'root_mean_squared_error', 'mape', 'cosine_similarity'], 'metric')).toEqual({
      mean_squared_error: 1.3125,
      root_mean_squared_error: 1.14564,
      mape: 75,
      cosine_similarity: 0.84165,
    })
    const scores = tensor([[1, 2, 3, 4, 5, 6, 7]]) as Tensor
    const top = keras.sequential([(t: Tensor) => t.mul(1)])
    top.compile({
      optimizer: new optim.SGD([normal([1]).setRequiresGrad()], { lr: 0.1 }),
      loss: 'crossEntropy',
      metrics: ['sparse_top_k_categorical_accuracy'],
    })
    for (const [label, right] of [
      [1, 0],
      [2, 1],
    ] as const) {
      const logs = await top.evaluate(scores, tensor([label], { dtype: 'int32' }) as Tensor)
      expect(logs.sparse_top_k_categorical_accuracy).toBe(right)
    }
  })

  test('class and sample weights, validation data, batches', async () => {
    const model = small().compile({ optimizer: 'sgd', learningRate: 0, loss: 'crossEntropy' })
    const fit = { verbose: 0, shuffle: false } as const
    const plain = await model.fit(x, y, { ...fit, validationData: [x, y] })
    expect(plain.history.valLoss![0]).toBeCloseTo(plain.history.loss![0]!, 5)
    const weighed = await model.fit(x, y, { ...fit, classWeight: { 0: 0, 1: 0, 2: 1 }, batchSize: 96 })
    const sample = await model.fit(x, y, { ...fit, sampleWeight: y.eq(2).cast('float32'), batchSize: 96 })
    expect(weighed.history.loss![0]).toBeCloseTo(sample.history.loss![0]!, 5)
    expect(weighed.history.loss![0]).not.toBeCloseTo(plain.history.loss![0]!, 3)
    const batches = await model.fit(batchesOf({ x, y }, 32), { verbose: 0 })
    expect(batches.history.loss![0]).toBeCloseTo(plain.history.loss![0]!, 5)
  })

  test('steps, validation steps and frequency, lines, single batches', async () => {
    const model = small().compile({ optimizer: 'sgd', learningRate: 0.1, loss: 'crossEntropy', metrics: ['acc'] })
    const { history } = await model.fit(x, y, {
      epochs: 4,
      batchSize: 8,
      stepsPerEpoch: 3,
      validationData: [x, y],
      validationSteps: 2,
      validationFreq: 2,
      verbose: 0,
      shuffle: false,
    })
    expect(history.loss).toHaveLength(4)
    expect(history.valLoss).toHaveLength(2)
    const few = [x.narrow(0, 0, 16), y.narrow(0, 0, 16)] as [Tensor, Tensor]
    expect(history.valLoss![1]).toBeCloseTo((await model.evaluate(...few)).loss!, 6)
    expect(await model.evaluate(x, y, { batchSize: 8, steps: 2 })).toEqual(await model.evaluate(...few, { batchSize: 8 }))
    expect((await model.predict(x, { batchSize: 8, steps: 2 })).shape).toEqual([16, 3])

    const half = y.eq(2).cast('float32') as Tensor
    const weighed = await model.evaluate(x, y, { sampleWeight: half })
    expect(await model.testOnBatch(x, y, { sampleWeight: half })).toEqual(await model.evaluate(x, y, { sampleWeight: half, batchSize: 96 }))
    expect(weighed.loss).not.toBeCloseTo((await model.testOnBatch(x, y)).loss!, 3)
    expect((await model.predictOnBatch(x)).shape).toEqual([96, 3])
    const before = await model.testOnBatch(x, y)
    expect((await model.trainOnBatch(x, y)).loss).toBeCloseTo(before.loss!, 5)
    expect((await model.testOnBatch(x, y)).loss).toBeLessThan(before.loss!)
  })

  // By Keras 3.15 on the same numbers.
  test('losses of classes and of yes and no', async () => {
    const loss = async (name: string, given: Tensor, wanted: Tensor) =>
      (
        await keras
          .sequential([(t: Tensor) => t.mul(1)])
          .compile({ optimizer: () => still, loss: name, compile: false })
          .evaluate(given, wanted)
      ).loss
    const still = new optim.SGD([normal([1]).setRequiresGrad()], { lr: 0 })
    const [p, y] = [tensor([[0.2, 0.7, 0.1], [0.5, 0.3, 0.2]]), tensor([[0, 1, 0], [1, 0, 0]])] as [Tensor, Tensor] // oxfmt-ignore
    expect(await loss('categorical_hinge', p, y)).toBeCloseTo(0.65, 6)
    expect(await loss('categorical_focal_crossentropy', p, y)).toBeCloseTo(0.025673443, 7)
    expect(await loss('kld', p, y)).toBeCloseTo(0.52490818, 6)
    expect(await loss('binary_focal_crossentropy', tensor([[0.2], [0.6]]) as Tensor, tensor([0, 1]) as Tensor)).toBeCloseTo(0.04532891, 7)
  })

  test('targets [n] and [n, 1] go with outputs [n, 1], class numbers may be floats or a column', async () => {
    const compiled = (last: number, loss: string, metrics: string[]) => {
      manualSeed(3)
      return keras.sequential([new nn.Linear(4, last), ...(loss.startsWith('binary') ? [(h: Tensor) => h.sigmoid()] : [])]).compile({
        optimizer: 'sgd',
        loss,
        metrics,
      })
    }
    const one = y.eq(2).cast('float32') as Tensor
    for (const [loss, metrics] of [
      ['binary_crossentropy', ['accuracy', 'auc', 'precision']],
      ['mse', ['mae', 'rmse', 'r2']],
      ['log_cosh', ['mape']],
    ] as const) {
      const model = compiled(1, loss, [...metrics])
      expect(await model.evaluate(x, one)).toEqual(await model.evaluate(x, one.unsqueeze(1) as Tensor))
    }
    const model = compiled(3, 'crossEntropy', ['accuracy', 'sparse_top_k_categorical_accuracy'])
    const plain = await model.evaluate(x, y)
    expect(await model.evaluate(x, y.unsqueeze(1).cast('float32') as Tensor)).toEqual(plain)
    expect(await model.evaluate(x, y.oneHot(3).cast('float32') as Tensor)).toEqual(plain)
  })

  test('predicts before it is compiled', async () => {
    expect((await small().predict(x)).shape).toEqual([96, 3])
  })

  test('names what was meant', async () => {
    expect(() => small().compile({ optimizer: 'adan', loss: 'mse' })).toThrow(/no optimizer called 'adan'.*Did you mean adam/)
    expect(() => small().compile({ optimizer: 'adam', loss: 'sparse_crossentropy' })).toThrow(/There are categoricalCrossentropy/)
    expect(() => small().compile({ optimizer: 'adam', loss: 'mse', metrics: ['acuracy'] })).toThrow(/Did you mean accuracy/)
    await expect(small().fit(x, y)).rejects.toThrow(/has not been compiled/)
    await expect(small().fit([[1]] as never, [[1]] as never)).rejects.toThrow(/Make tensors of them/)
  })
})

describe('functional', () => {
  test('arrays and objects of tensors: fit, evaluate, predict, validation data, metrics of each output', async () => {
    const [a, b] = [keras.input('a'), keras.input('b')]
    const h = keras.join([a, b], (p, q) => concat([p, q], -1) as Tensor).through(new nn.Linear(8, 8))
    const [kind, size] = [h.through(new nn.Linear(8, 3)), h.through(new nn.Linear(8, 1))]
    const [inputs, targets] = [[x, x.neg()], { kind: y, size: x.narrow(-1, 0, 1) as Tensor }]
    const model = new keras.Model({ inputs: [a, b], outputs: { kind, size } }).compile({
      optimizer: 'adam',
      loss: { kind: 'crossEntropy', size: 'mse' },
      metrics: { kind: ['accuracy'], size: 'mean_absolute_error' },
    })
    const fit = { verbose: 0, batchSize: 32 } as const
    const { history } = await model.fit(inputs, targets, { ...fit, validationData: [inputs, targets] })
    const names = ['loss', 'kindLoss', 'sizeLoss', 'kindAccuracy', 'sizeMean_absolute_error']
    expect(Object.keys(history)).toEqual([...names, ...names.map((name) => `val${name[0]!.toUpperCase()}${name.slice(1)}`)])
    const whole = await model.evaluate(inputs, targets)
    expect(whole.loss).toBeCloseTo(history.valLoss![0]!, 5)
    const split = await model.fit(inputs, targets, { ...fit, validationSplit: 0.5 })
    expect(split.history.valLoss).toHaveLength(1)
    const outputs = (await model.predict(inputs, { batchSize: 40 })) as unknown as Record<string, Tensor>
    expect([outputs.kind!.shape, outputs.size!.shape]).toEqual([
      [96, 3],
      [96, 1],
    ])
    // Two batches, each of an input and a target, are no pair of arrays for a model that trains on single tensors.
    const one = new keras.Model({ inputs: a, outputs: a.through(new nn.Linear(4, 3)) }).compile({ optimizer: 'sgd', loss: 'crossEntropy' })
    const validationData = batchesOf({ x, y }, 48)
    const { history: ofBatches } = await one.fit(x, y, { ...fit, validationData })
    expect(ofBatches.valLoss![0]).toBeCloseTo((await one.evaluate(x, y)).loss!, 5)
  })

  test('several inputs and outputs, and layers that are shared', async () => {
    const [a, b] = [keras.input('a'), keras.input('b')]
    const shared = new nn.Linear(4, 8)
    const h = keras.join([a.through(shared), b.through(shared)], (p, q) => concat([p, q], -1) as Tensor).through(relu)
    const model = new keras.Model({
      inputs: { a, b },
      outputs: { kind: h.through(new nn.Linear(16, 3)), size: h.through(new nn.Linear(16, 1)) },
    }).compile({ optimizer: 'adam', loss: { kind: 'crossEntropy', size: 'mse' } })
    expect(model.parameters()).toHaveLength(6)
    const batch = [
      { a: x, b: x.neg() },
      { kind: y, size: x.narrow(-1, 0, 1) },
    ]
    const { history } = await model.fit([batch], { epochs: 30, verbose: 0 })
    expect(Object.keys(history)).toEqual(['loss', 'kindLoss', 'sizeLoss'])
    expect(history.loss!.at(-1)).toBeLessThan(history.loss![0]!)
    expect(() => new keras.Model({ inputs: a, outputs: h })).toThrow(/depend on b/)
  })

  test('one input and one output', async () => {
    const image = keras.input()
    const model = new keras.Model({ inputs: image, outputs: image.through(new nn.Linear(4, 3)) })
    model.compile({ optimizer: 'sgd', loss: 'crossEntropy' })
    expect((await model.predict(x)).shape).toEqual([96, 3])
  })
})

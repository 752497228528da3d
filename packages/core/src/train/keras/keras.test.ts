import { describe, expect, test } from 'vitest'
import { batchesOf, points, relu } from '../../../test/small-training.ts'
import { concat, keras, manualSeed, nn, normal, optim, type Tensor } from '../../index.ts'

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

  test('class and sample weights, validation data, batches', async () => {
    const model = small().compile({ optimizer: new optim.SGD([normal([1]).setRequiresGrad()], { lr: 0.1 }), loss: 'crossEntropy' })
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

  test('names what was meant', async () => {
    expect(() => small().compile({ optimizer: 'adan', loss: 'mse' })).toThrow(/no optimizer called 'adan'.*Did you mean adam/)
    expect(() => small().compile({ optimizer: 'adam', loss: 'sparse_crossentropy' })).toThrow(/There are categoricalCrossentropy/)
    expect(() => small().compile({ optimizer: 'adam', loss: 'mse', metrics: ['acuracy'] })).toThrow(/Did you mean accuracy/)
    await expect(small().fit(x, y)).rejects.toThrow(/has not been compiled/)
  })
})

describe('functional', () => {
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

import { beforeEach, describe, expect, test } from 'vitest'
import { crossEntropy, ctcLoss, manualSeed, mseLoss, nn, noGrad, normal, ones, type Tensor, tensor, zeros } from '../index.ts'

beforeEach(() => void manualSeed(7))

const share = (x: Tensor, value: number): number => x.eq(value).cast('float32').mean().item()

describe('dropout', () => {
  test('drops with probability p and keeps the mean; does nothing in eval mode', () => {
    const layer = new nn.Dropout(0.25)
    const x = ones([100, 100])
    const y = layer.forward(x)
    expect(share(y, 0)).toBeCloseTo(0.25, 1)
    expect(share(y.mul(0.75), 1)).toBeCloseTo(0.75, 1)
    expect(layer.eval().forward(x)).toBe(x)
    expect(() => new nn.Dropout(1.5)).toThrow('p is 1.5')
  })

  test('drops whole channels', () => {
    const y = new nn.Dropout2d(0.5).forward(ones([20, 3, 4, 10]))
    const perChannel = y.sum([1, 2])
    expect(share(perChannel, 0) + share(perChannel, 24)).toBeCloseTo(1, 6)
    expect(share(perChannel, 0)).toBeGreaterThan(0.3)
  })

  test('alpha dropout keeps mean and variance', () => {
    const y = new nn.AlphaDropout(0.2).forward(normal([200, 200]))
    expect(y.mean().item()).toBeCloseTo(0, 1)
    expect(y.variance().item()).toBeCloseTo(1, 1)
  })
})

describe('batch norm', () => {
  test('without momentum, running statistics are the mean over all batches', () => {
    const layer = new nn.BatchNorm(1, { momentum: null })
    layer.forward(tensor([[0], [2]]) as Tensor<[2, 1]>)
    layer.forward(tensor([[4], [8]]) as Tensor<[2, 1]>)
    expect(layer.runningMean!.toArray()).toEqual([3.5])
    expect(layer.runningVar!.toArray()).toEqual([5])
    expect(layer.batches!.item()).toBe(2)
  })

  test('statistics are state, record no gradients, and one value a channel is refused', () => {
    const layer = new nn.BatchNorm2d(2)
    expect(Object.keys(layer.stateDict())).toEqual(['weight', 'bias', 'runningMean', 'runningVar'])
    layer
      .forward(normal([2, 3, 3, 2], { requiresGrad: true }))
      .sum()
      .backward()
    expect(layer.runningMean!.requiresGrad).toBe(false)
    expect(() => layer.forward(ones([1, 1, 1, 2]))).toThrow('one value a channel has no variance')
    expect(layer.eval().forward(ones([1, 1, 1, 2])).shape).toEqual([1, 1, 1, 2])
  })
})

describe('initial values', () => {
  test('of layers are those of PyTorch', () => {
    const bound = (x: Tensor) => x.abs().max().item()
    const linear = new nn.Linear(100, 50)
    expect(bound(linear.weight)).toBeLessThanOrEqual(0.1)
    expect(bound(linear.weight)).toBeGreaterThan(0.09)
    expect(bound(linear.bias!)).toBeLessThanOrEqual(0.1)
    const conv = new nn.Conv2d(8, 16, 3, { groups: 2 })
    expect(bound(conv.weight)).toBeLessThanOrEqual(1 / 6)
    expect(bound(conv.weight)).toBeGreaterThan(0.16)
    const attention = new nn.MultiheadAttention(32, 4)
    expect(bound(attention.inProjWeight!)).toBeLessThanOrEqual(Math.sqrt(6 / 128))
    expect([bound(attention.inProjBias!), bound(attention.outProj.bias!)]).toEqual([0, 0])
    expect((new nn.Embedding(4, 2, { paddingIdx: 1 }).weight.toArray() as number[][])[1]).toEqual([0, 0])
  })

  test('come from the seed', () => {
    manualSeed(3)
    const a = new nn.Linear(3, 3).weight.toArray()
    manualSeed(3)
    expect(new nn.Linear(3, 3).weight.toArray()).toEqual(a)
  })

  test('fans, gains and distributions', () => {
    expect(nn.init.fans([3, 5, 4, 6])).toEqual({ in: 60, out: 90 })
    expect(nn.init.calculateGain('leakyRelu', 1)).toBe(1)
    const x = zeros([200, 300])
    const std = () => x.std().item()
    nn.init.xavierNormal(x)
    expect(std()).toBeCloseTo(Math.sqrt(2 / 500), 3)
    nn.init.xavierUniform(x, { gain: 2 })
    expect(std()).toBeCloseTo(2 * Math.sqrt(2 / 500), 3)
    nn.init.kaimingNormal(x, { nonlinearity: 'relu' })
    expect(std()).toBeCloseTo(0.1, 2)
    nn.init.kaimingUniform(x, { mode: 'out' })
    expect(std()).toBeCloseTo(Math.sqrt(2 / 300), 3)
    nn.init.truncNormal(x, { low: -1, high: 1 })
    expect(x.abs().max().item()).toBeLessThanOrEqual(1)
    expect(std()).toBeCloseTo(0.54, 1)
    nn.init.sparse(x, 0.1)
    expect(x.eq(0).sum(0).toArray()).toEqual(new Array(300).fill(20))
    expect(() => nn.init.xavierNormal(zeros([3]))).toThrow('at least two axes')
  })

  test('orthogonal, eye, dirac', () => {
    for (const shape of [
      [3, 5],
      [6, 4],
      [2, 2, 3],
    ] as const) {
      const x = nn.init.orthogonal(zeros(shape, { dtype: 'float64' }) as Tensor, { gain: 2 })
      const m = x.reshape([-1, shape.at(-1)!])
      const rows = m.shape[0]! <= m.shape[1]!
      const product = (rows ? m.matmul(m.transpose()) : m.transpose().matmul(m)) as Tensor
      const n = product.shape[0]!
      const eye = nn.init.eye(zeros([n, n], { dtype: 'float64' }) as Tensor)
      expect(product.sub(eye.mul(4)).abs().max().item()).toBeLessThan(1e-12)
    }
    const conv = new nn.Conv1d(2, 2, 3, { padding: 1, bias: false })
    nn.init.dirac(conv.weight)
    const x = normal([1, 5, 2])
    expect(conv.forward(x).toArray()).toEqual(x.toArray())
  })
})

describe('embedding', () => {
  test('the padding row gets no gradient; given vectors are frozen unless told otherwise', () => {
    const layer = new nn.Embedding(3, 2, { paddingIdx: 0 })
    layer
      .forward(tensor([0, 1, 1], { dtype: 'int32' }))
      .sum()
      .backward()
    expect(layer.weight.grad!.toArray()).toEqual([
      [0, 0],
      [2, 2],
      [0, 0],
    ])
    const given = nn.Embedding.fromPretrained(ones([2, 3]))
    expect(given.weight.requiresGrad).toBe(false)
    expect(given.forward(tensor([[1]], { dtype: 'int32' })).toArray()).toEqual([[[1, 1, 1]]])
  })
})

describe('losses say what is wrong', () => {
  test('targets', () => {
    const logits = zeros([2, 3])
    expect(() => crossEntropy(logits, tensor([0, 3], { dtype: 'int32' }))).toThrow('target 3 is not one of 3 classes')
    expect(() => crossEntropy(logits, tensor([[0], [1]], { dtype: 'int32' }))).toThrow('Classes come last here')
    expect(() => crossEntropy(logits, tensor([0, 1]))).toThrow("target.cast('int32')")
    expect(() => mseLoss(zeros([3]), zeros([3, 1]) as Tensor)).toThrow('not broadcast')
    expect(() => mseLoss(zeros([3]), zeros([3]), { reduction: 'avg' as never })).toThrow("there is no reduction 'avg'")
  })

  test('a target that does not fit its input costs infinitely much, or nothing', () => {
    const logProbs = zeros([1, 1, 3]).logSoftmax()
    const targets = tensor([[1, 2]], { dtype: 'int32' })
    expect(ctcLoss(logProbs, targets).item()).toBe(Number.POSITIVE_INFINITY)
    expect(ctcLoss(logProbs, targets, { zeroInfinity: true }).item()).toBe(0)
  })
})

describe('transformers and recurrent layers', () => {
  test('positions beyond the first differ, and the table is no state', () => {
    const layer = new nn.PositionalEncoding(4, { maxLength: 3 })
    expect(layer.stateDict()).toEqual({})
    const table = layer.forward(zeros([3, 4])).toArray() as number[][]
    expect(table[0]).toEqual([0, 1, 0, 1])
    expect(table[2]![0]).toBeCloseTo(Math.sin(2), 6)
    expect(table[2]![3]).toBeCloseTo(Math.cos(2 / 100), 6)
    expect(() => layer.forward(zeros([1, 4, 4]))).toThrow('at most 3')
  })

  test('a stack of encoder layers has values of its own for each', () => {
    const model = new nn.TransformerEncoder(2, () => new nn.TransformerEncoderLayer(4, 2, { feedForward: 8 }), new nn.LayerNorm(4)).eval()
    expect(model.layers[0]!.linear1.weight.toArray()).not.toEqual(model.layers[1]!.linear1.weight.toArray())
    const x = normal([2, 3, 4])
    const causal = model.forward(x, { causal: true })
    const changed = noGrad(() => x.clone().assign(x))
    changed.narrow(1, 2, 1).assign(0)
    expect(model.forward(changed, { causal: true }).narrow(1, 0, 2).toArray()).toEqual(causal.narrow(1, 0, 2).toArray())
  })

  test('a query that may see no key gets zeros, not NaN', () => {
    const layer = new nn.MultiheadAttention(2, 1, { bias: false })
    expect(
      layer.forward(ones([1, 2, 2]), ones([1, 2, 2]), ones([1, 2, 2]), { attnMask: ones([2, 2], { dtype: 'bool' }) }).toArray(),
    ).toEqual([
      [
        [0, 0],
        [0, 0],
      ],
    ])
  })

  test('dropout works between layers and in training only', () => {
    const lstm = new nn.LSTM(2, 3, { layers: 2, dropout: 0.5 })
    const x = normal([1, 4, 2])
    const run = () => lstm.forward(x)[0].toArray()
    expect(run()).not.toEqual(run())
    lstm.eval()
    expect(run()).toEqual(run())
    expect(String(lstm)).toBe('LSTM(2, 3, layers: 2, dropout: 0.5)')
  })

  test('summary counts them', () => {
    const size = 4 * (2 + 3) * 3 + 2 * 12
    expect(nn.summary(new nn.LSTM(2, 3), [1, 5, 2])).toMatchObject({
      parameters: size,
      macs: 5 * 4 * (2 + 3) * 3,
      rows: [{ type: 'LSTM', parameters: size, output: [1, 5, 3] }],
    })
    const attention = nn.summary(new nn.MultiheadAttention(4, 2), [1, 3, 4])
    expect(attention.macs).toBe(4 * 3 * 16 + 2 * 9 * 4)
    expect(attention.rows.map((r) => r.name)).toEqual(['', 'outProj'])
  })

  test('shapes that do not fit are named', () => {
    expect(() => new nn.LSTM(2, 3).forward(zeros([4, 2]))).toThrow('expected [batch, time, 2] (shape [4, 2])')
    expect(() => new nn.GRU(2, 3).forward(zeros([1, 4, 2]), zeros([1, 3]))).toThrow('the state must have shape [1, 1, 3]')
    expect(() => new nn.MultiheadAttention(4, 3)).toThrow('does not split into 3 heads')
    expect(() => new nn.MultiheadAttention(4, 2).forward(zeros([1, 3, 5]))).toThrow('needs queries [batch, queries, 4]')
    expect(() => new nn.Conv2d(3, 4, 3, { groups: 2 })).toThrow('do not split into 2 groups')
  })
})

describe('embedding rows of at most a norm', () => {
  test('those looked up are shortened in the table, others stay', () => {
    const layer = new nn.Embedding(4, 2, { maxNorm: 1 })
    noGrad(() => layer.weight.assign(tensor([3, 4, 0.3, 0.4, 6, 8, 0, 2]).reshape([4, 2])))
    const y = layer.forward(tensor([0, 1, 0], { dtype: 'int32' }))
    expect((y.norm(1).toArray() as number[]).map((n) => Number(n.toFixed(4)))).toEqual([1, 0.5, 1])
    expect((layer.weight.norm(1).toArray() as number[]).map((n) => Number(n.toFixed(4)))).toEqual([1, 0.5, 10, 2])
    y.sum().backward()
    expect(layer.weight.grad!.reshape([-1]).toArray()).toEqual([2, 2, 1, 1, 0, 0, 0, 0])
    expect(String(layer)).toBe('Embedding(4, 2, maxNorm: 1)')
    expect(() => new nn.Embedding(4, 2, { maxNorm: 0 })).toThrow(/maxNorm is 0/)
  })
})

describe('instance norm with running statistics', () => {
  test('eval mode takes what training has averaged, over samples', () => {
    const layer = new nn.InstanceNorm1d(2, { trackRunningStats: true, momentum: null })
    expect(String(layer)).toBe('InstanceNorm1d(2, momentum: null, trackRunningStats: true)')
    const batches = [normal([3, 40, 2], { mean: 2 }), normal([3, 40, 2], { mean: 4 })]
    for (const x of batches) layer.forward(x)
    const means = batches.map((x) => x.mean([0, 1]))
    const expected = means[0]!.add(means[1]!).div(2).toArray() as number[]
    ;(layer.runningMean!.toArray() as number[]).forEach((m, i) => expect(m).toBeCloseTo(expected[i]!, 5))
    const y = layer.eval().forward(ones([1, 1, 2]).mul(layer.runningMean!))
    for (const v of y.reshape([-1]).toArray() as number[]) expect(v).toBeCloseTo(0, 5)
    expect(() => layer.train().forward(ones([2, 1, 2]))).toThrow(/no variance to track/)
    expect([...new nn.InstanceNorm2d(3).namedBuffers().keys()]).toEqual([])
  })
})

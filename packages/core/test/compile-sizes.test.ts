import { compile, conv2d, crossEntropy, manualSeed, maxPool2d, mseLoss, normal, ones, optim, type Tensor, tensor, zeros } from 'cotangent'
import { describe, expect, test } from 'vitest'

type Loose = Tensor
type Step = (x: Loose, y: Loose) => Loose

const expectClose = (actual: readonly number[], expected: readonly number[], what: string) => {
  expect(actual.length, what).toBe(expected.length)
  actual.forEach((x, i) => {
    const y = expected[i]!
    if (!(Object.is(x, y) || Math.abs(x - y) <= 1e-4 * Math.max(1, Math.abs(y)))) expect.fail(`${what}, element ${i}: ${x}, expected ${y}`)
  })
}

const numbers = (x: Loose): number[] => [...x.dataSync()].map(Number)

const weight = (...shape: number[]) => (normal(shape) as Loose).mul(0.3).detach().setRequiresGrad() as Loose
const bias = (n: number) => zeros([n], { requiresGrad: true }) as Loose

interface Training {
  readonly weights: readonly Loose[]
  readonly loss: Step
  readonly data: (batch: number) => readonly [Loose, Loose]
  readonly optimizer: 'SGD' | 'Adam'
}

const labels = (batch: number, classes: number) =>
  tensor(
    Array.from({ length: batch }, (_, i) => (i * 7) % classes),
    { shape: [batch], dtype: 'int32' },
  ) as Loose

const perceptron = (sizes: readonly number[], kind: 'mse' | 'crossEntropy', optimizer: Training['optimizer']): Training => {
  const layers = sizes.slice(1).map((out, i) => ({ w: weight(sizes[i]!, out), b: bias(out) }))
  return {
    weights: layers.flatMap(({ w, b }) => [w, b]),
    loss(x, y) {
      let h = x
      layers.forEach(({ w, b }, i) => {
        h = h.linear(w, b)
        if (i < layers.length - 1) h = h.relu()
      })
      return (kind === 'mse' ? mseLoss(h, y) : crossEntropy(h, y)) as Loose
    },
    data: (batch) => [
      normal([batch, sizes[0]!]) as Loose,
      kind === 'mse' ? (normal([batch, sizes.at(-1)!]) as Loose) : labels(batch, sizes.at(-1)!),
    ],
    optimizer,
  }
}

const convolutional = (): Training => {
  const blocks = [3, 4, 6].slice(1).map((out, i) => ({ w: weight(3, 3, [3, 4][i]!, out), b: bias(out) }))
  const dense = { w: weight(6 * 4, 5), b: bias(5) }
  return {
    weights: [...blocks.flatMap(({ w, b }) => [w, b]), dense.w, dense.b],
    loss(x, y) {
      let h = x
      for (const { w, b } of blocks)
        h = maxPool2d((conv2d(h as never, w as never, { bias: b, padding: 'same' }) as Loose).relu() as never, 2) as Loose
      return crossEntropy((h.flatten(1) as Loose).linear(dense.w, dense.b) as Loose, y) as Loose
    },
    data: (batch) => [normal([batch, 8, 8, 3]) as Loose, labels(batch, 5)],
    optimizer: 'Adam',
  }
}

const transformer = (length = 5, width = 8, heads = 2): Training => {
  const dense = (i: number, o: number) => ({ w: weight(i, o), b: bias(o) })
  const [qkv, out, up, down] = [dense(width, 3 * width), dense(width, width), dense(width, 16), dense(16, width)] as const
  const norms = [0, 1].map(() => ({ weight: ones([width], { requiresGrad: true }) as Loose, bias: bias(width) }))
  const apply = (x: Loose, { w, b }: { w: Loose; b: Loose }) => x.linear(w, b) as Loose
  const attention = (x: Loose) => {
    const [q, k, v] = (apply(x, qkv).reshape([-1, length, 3, heads, width / heads]) as Loose).permute([2, 0, 3, 1, 4]).unbind(0) as Loose[]
    const scores = (q!.mul((width / heads) ** -0.5).matmul(k!.transpose(-2, -1)) as Loose).softmax(-1) as Loose
    return apply((scores.matmul(v!) as Loose).permute([0, 2, 1, 3]).reshape([-1, length, width]) as Loose, out)
  }
  return {
    weights: [qkv, out, up, down].flatMap(({ w, b }) => [w, b]).concat(norms.flatMap((n) => [n.weight, n.bias])),
    loss(x, y) {
      const h = x.add(attention(x)).layerNorm([width], norms[0]) as Loose
      return mseLoss(h.add(apply(apply(h, up).relu(), down)).layerNorm([width], norms[1]) as Loose, y) as Loose
    },
    data: (batch) => [normal([batch, length, width]) as Loose, normal([batch, length, width]) as Loose],
    // Adam makes noise of gradients that are zero but for rounding, as those of the keys' bias are.
    optimizer: 'SGD',
  }
}

/** Losses and weights after a step at each batch size, and how often the step's JavaScript ran. */
function train(
  make: () => Training,
  sizes: readonly number[],
  wrap: (step: Step) => Step,
): { losses: number[]; weights: number[]; runs: number } {
  manualSeed(5)
  const { weights, loss, data, optimizer: name } = make()
  const optimizer = new optim[name]([...weights], { lr: 0.01 })
  let runs = 0
  const step = wrap((x, y) => {
    runs++
    const value = loss(x, y)
    optimizer.zeroGrad()
    value.backward()
    optimizer.step()
    return value
  })
  const losses = sizes.map((size) => numbers(step(...data(size)))[0]!)
  return { losses, weights: weights.flatMap(numbers), runs }
}

const batches = [32, 32, 17, 17, 3, 2, 33, 1, 16, 9, 5, 31, 4, 0, 21, 1000, 500, 123, 64, 47]

describe.each([
  ['tiny MLP', () => perceptron([8, 32, 32, 1], 'mse', 'SGD')],
  ['MLP', () => perceptron([12, 24, 24, 10], 'crossEntropy', 'Adam')],
  ['CNN', convolutional],
  ['transformer', transformer],
] as const)('%s', (_, make) => {
  test('trains the same at all batch sizes, with few traces', () => {
    // A mean over an empty batch is NaN, which would end the comparison of what follows.
    const sizes = batches.filter((size) => size > 0)
    const eager = train(make, sizes, (step) => step)
    const compiled = train(make, sizes, (step) => compile(step))
    expectClose(compiled.losses, eager.losses, 'losses')
    expectClose(compiled.weights, eager.weights, 'weights')
    expect(compiled.runs).toBeLessThan(8)
  })
})

import {
  compile,
  conv2d,
  crossEntropy,
  dropout,
  explain,
  layerNorm,
  manualSeed,
  maxPool2d,
  mseLoss,
  nn,
  noGrad,
  normal,
  ones,
  optim,
  tensor,
  type Tensor,
  zeros,
} from 'cotangent'
import { describe, expect, test, vi } from 'vitest'

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
      const h = layerNorm(x.add(attention(x)), [width], norms[0]) as Loose
      return mseLoss(layerNorm(h.add(apply(apply(h, up).relu(), down)), [width], norms[1]) as Loose, y) as Loose
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

const batches = [32, 32, 17, 17, 3, 2, 33, 1, 16, 9, 21, 1000, 123]

describe.each([
  ['tiny MLP', () => perceptron([8, 32, 32, 1], 'mse', 'SGD')],
  ['MLP', () => perceptron([12, 24, 24, 10], 'crossEntropy', 'Adam')],
  ['CNN', convolutional],
  ['transformer', transformer],
] as const)('%s', (_, make) => {
  test('trains the same at all batch sizes, with few traces', () => {
    // A mean over an empty batch is NaN, and so are all weights after it.
    const sizes = [...batches, 0]
    const eager = train(make, sizes, (step) => step)
    const compiled = train(make, sizes, (step) => compile(step))
    expectClose(compiled.losses, eager.losses, 'losses')
    expectClose(compiled.weights, eager.weights, 'weights')
    // Without and with gradients from before, sizes 0 and 1, and the others.
    expect(compiled.runs).toBeLessThan(10)
  })
})

/** Counts how often a function's JavaScript runs. */
function counted<A extends unknown[], R>(f: (...args: A) => R): { run: (...args: A) => R; runs: () => number } {
  let runs = 0
  return {
    run: (...args) => {
      runs++
      return f(...args)
    },
    runs: () => runs,
  }
}

const wave = (...shape: number[]): Loose =>
  tensor(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 1.3 + 1)),
    { shape },
  ) as Loose

describe('JavaScript that looks at the size', () => {
  const sizes = [32, 16, 24, 48, 20, 33, 21, 40, 7]

  test.each<[string, (x: Loose) => Loose]>([
    ['a branch', (x) => (x.shape[0]! % 7 === 0 ? x.mul(2) : x.mul(3)) as Loose],
    ['one special size', (x) => (x.shape[0] === 40 ? x.neg() : x) as Loose],
    ['a table', (x) => x.mul([5, 1, 4, 2][x.size % 4]!) as Loose],
    ['a destructured shape', (x) => x.mul(Math.round(Math.sqrt([...x.shape][0]!))) as Loose],
    ['a method of arrays', (x) => x.mul(x.shape.reduce((a, b) => a ^ b, 0)) as Loose],
    ['within a view', (x) => (x.reshape([-1]) as Loose).mul((x.reshape([-1]) as Loose).shape[0]! % 5) as Loose],
  ])('%s is traced for each size', (_, f) => {
    const { run, runs } = counted(f)
    const compiled = compile(run)
    for (const size of sizes) expectClose(numbers(compiled(wave(size, 3))), numbers(f(wave(size, 3))), `size ${size}`)
    expect(runs()).toBeGreaterThanOrEqual(sizes.length)
  })

  test('what it reads of other axes, or passes on, does not matter', () => {
    const f = (x: Loose) => {
      const [, width] = [0, x.shape[1]!]
      return zeros(x.shape).add(x.reshape([-1, width]).mul(width).reshape(x.shape)) as Loose
    }
    const { run, runs } = counted(f)
    const compiled = compile(run)
    for (const size of sizes) expectClose(numbers(compiled(wave(size, 3))), numbers(f(wave(size, 3))), `size ${size}`)
    expect(runs()).toBeLessThan(6)
  })

  test('dynamic: true takes its word; dynamic: false traces', () => {
    const f = (x: Loose) => (x.reshape([x.shape[0]!, 3]) as Loose).div(x.shape[0]!).sum(0) as Loose
    for (const dynamic of [true, false]) {
      const { run, runs } = counted(f)
      const compiled = compile(run, { dynamic })
      for (const size of sizes) expectClose(numbers(compiled(wave(size, 3))), numbers(f(wave(size, 3))), `size ${size}`)
      if (dynamic) expect(runs()).toBeLessThan(6)
      else expect(runs()).toBe(sizes.length)
    }
    expect(() => compile(f, { dynamic: 'never' as never })).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
  })

  test('the notice tells what is in the way; there is none for a batch axis', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    const looks = compile((x: Loose) => x.mul(x.shape[0]! % 3))
    const plain = compile((x: Loose) => x.softmax(0))
    for (let size = 2; size < 30; size++) plain(wave(size, 3))
    expect(warn).not.toHaveBeenCalled()
    for (let size = 2; size < 30; size++) looks(wave(size, 3))
    expect(warn).toHaveBeenCalledTimes(1)
    expect(warn.mock.calls[0]![0]).toMatch(/its JavaScript looks at that size.*dynamic: true/)
    warn.mockRestore()
  })
})

test('branches on thresholds that nobody sees are kept apart by the range', () => {
  const limit = 20
  // What the library cuts off at the end: `min(20, size)`.
  const compiled = compile((x: Loose) => x.slice([0, limit]).sum(0) as Loose)
  for (const size of [32, 40, 64, 25, 20, 19, 10, 5, 15, 21, 2]) {
    expectClose(numbers(compiled(wave(size, 3))), numbers(wave(size, 3).slice([0, limit]).sum(0) as Loose), `size ${size}`)
  }
})

test('sizes that are multiples of a step are not believed by themselves', () => {
  const { run, runs } = counted((x: Loose) => x.mul(2) as Loose)
  const compiled = compile(run)
  for (const size of [8, 16, 24, 32]) compiled(wave(size, 3))
  // 8 and 16, then one further out than 24, which ends the step.
  expect(runs()).toBe(3)
  expectClose(numbers(compiled(wave(20, 3))), numbers(wave(20, 3).mul(2) as Loose), '20')
})

test('a function that refuses sizes is asked for its own', () => {
  const table = wave(24, 3)
  const f = (x: Loose) => x.add(table.narrow(0, 0, 24).slice([0, 24])) as Loose
  const compiled = compile(f)
  expectClose(numbers(compiled(wave(24, 3))), numbers(f(wave(24, 3))), '24')
  expect(() => compiled(wave(23, 3))).toThrow(expect.objectContaining({ code: 'shape-mismatch' }))
})

test('sizes that grow step by step take a trace each time they double', () => {
  const w = wave(4, 4)
  const attention = (x: Loose) => (x.matmul(w).matmul(x.T) as Loose).softmax(-1).matmul(x) as Loose
  const { run, runs } = counted(attention)
  const compiled = compile(run)
  for (let size = 2; size < 60; size++) expectClose(numbers(compiled(wave(size, 4))), numbers(attention(wave(size, 4))), `size ${size}`)
  expect(runs()).toBeLessThan(12)
})

test('a batch axis at each of a few lengths', () => {
  const f = (x: Loose) => (x.matmul(x.transpose(-2, -1)) as Loose).softmax(-1).sum(1) as Loose
  const { run, runs } = counted(f)
  const compiled = compile(run)
  for (const length of [5, 9]) {
    for (const batch of [16, 8, 12, 3, 7, 11]) {
      expectClose(numbers(compiled(wave(batch, length, 4))), numbers(f(wave(batch, length, 4))), `[${batch}, ${length}]`)
    }
  }
  expect(runs()).toBeLessThan(12)
})

test('random numbers are new on each run, and those that eager mode draws', () => {
  const f = (x: Loose) => dropout(x, 0.4) as Loose
  const draw = (g: (x: Loose) => Loose) => {
    manualSeed(3)
    return [32, 17, 24, 24, 20, 9, 9].flatMap((size) => numbers(g(wave(size, 3))))
  }
  expectClose(draw(compile(f)), draw(f), 'dropout')
})

test('gradients go through programs that follow', () => {
  const layer = new nn.Linear(3, 2)
  const model = compile((x: Loose) => dropout(layer.forward(x as never) as Loose, 0.3).tanh() as Loose)
  const eager = (x: Loose) => dropout(layer.forward(x as never) as Loose, 0.3).tanh() as Loose
  for (const size of [32, 17, 24, 20, 33, 5, 40]) {
    const gradients = [model, eager].map((f) => {
      manualSeed(size)
      layer.zeroGrad()
      const x = wave(size, 3).setRequiresGrad() as Loose
      const loss = f(x).square().sum() as Loose
      loss.backward()
      return [...numbers(loss), ...numbers(x.grad!), ...numbers(layer.weight.grad! as Loose), ...numbers(layer.bias!.grad! as Loose)]
    })
    expectClose(gradients[0]!, gradients[1]!, `size ${size}`)
  }
})

test('batch normalisation: running statistics, then frozen into the convolution', () => {
  const make = () => {
    manualSeed(1)
    return new nn.Sequential(new nn.Conv2d(2, 3, 3), new nn.BatchNorm2d(3), new nn.ReLU())
  }
  const [a, b] = [make(), make()]
  const [forward, eager] = [compile((x: Loose) => a.forward(x as never) as Loose), (x: Loose) => b.forward(x as never) as Loose]
  const sizes = [8, 6, 7, 12, 3, 25]
  for (const size of sizes) expectClose(numbers(forward(wave(size, 5, 5, 2))), numbers(eager(wave(size, 5, 5, 2))), `training, ${size}`)
  a.eval()
  b.eval()
  const { run, runs } = counted((x: Loose) => a.forward(x as never) as Loose)
  const frozen = compile(run, { freeze: true })
  noGrad(() => {
    for (const size of sizes) expectClose(numbers(frozen(wave(size, 5, 5, 2))), numbers(eager(wave(size, 5, 5, 2))), `frozen, ${size}`)
  })
  expect(runs()).toBeLessThan(6)
})

test('constants that depend on the size are computed for it', () => {
  const w = wave(3, 3).setRequiresGrad() as Loose
  const step = (x: Loose) => {
    w.grad = null
    const loss = (x.matmul(w) as Loose).square().mean() as Loose
    loss.backward()
    return [loss, (w.grad as unknown as Loose).mul(1)] as Loose[]
  }
  const { run, runs } = counted(step)
  const compiled = compile(run)
  for (const size of [32, 32, 17, 24, 20, 9, 50]) {
    const expected = step(wave(size, 3)).flatMap(numbers)
    expectClose(compiled(wave(size, 3)).flatMap(numbers), expected, `size ${size}`)
  }
  expect(runs()).toBeLessThan(8)
})

test('guards hold for what follows, too', () => {
  const layer = new nn.Dropout(0.5)
  const f = compile((x: Loose) => layer.forward(x as never) as Loose)
  for (const size of [8, 6, 7, 5]) f(wave(size, 3))
  layer.eval()
  for (const size of [8, 6, 7, 5, 9]) expectClose(numbers(f(wave(size, 3))), numbers(wave(size, 3)), `size ${size}`)
})

test('explain tells of the program that runs', () => {
  const f = compile((x: Loose) => x.exp().sum(1) as Loose)
  for (const size of [32, 16, 24]) f(wave(size, 4))
  const { total, unfused } = explain(f, wave(20, 4))
  expect(total.bytesWritten).toBe(80)
  expect(unfused.bytesWritten).toBe(20 * 16 + 80)
  expect(f.specializations).toHaveLength(4)
})

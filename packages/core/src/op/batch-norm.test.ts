import { batchNorm, compile, groupNorm, manualSeed, nn, normal, setEngine, type Tensor, tensor } from 'cotangent'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

type Numbers = (channel: number, row: number, noise: number) => number

/** Channels over as many rows as are passed over once. */
const [rows, channels] = [4800, 24]

const numbersOf = (f: Numbers): Float32Array =>
  Float32Array.from(numbers(normal([rows, channels])), (z, i) => f(i % channels, Math.floor(i / channels), z))

function numbers(t: Tensor): number[] {
  return Array.from(t.detach().cast('float64').dataSync(), Number)
}

/** What float64 says about the same numbers, in two passes. */
function exact(data: Float32Array): { mean: number[]; variance: number[] } {
  const over = (f: (x: number, c: number) => number) =>
    Array.from({ length: channels }, (_, c) => {
      let sum = 0
      for (let i = c; i < data.length; i += channels) sum += f(data[i]!, c)
      return sum / rows
    })
  const mean = over((x) => x)
  return { mean, variance: over((x, c) => (x - mean[c]!) ** 2) }
}

beforeEach(() => manualSeed(7))
afterEach(() => setEngine('wasm'))

describe('statistics in one pass', () => {
  test.each<[string, Numbers]>([
    ['mean 0', (_, __, z) => z],
    ['a mean a million times the deviation', (c, _, z) => 1e4 + c + 1e-2 * z],
    ['a first row far from all others', (_, r, z) => (r === 0 ? 1e4 : z)],
    ['padding first', (_, r, z) => (r < rows / 10 ? 0 : 50 + z)],
    ['one number', (c) => 0.1 * c + 1e3],
  ])('of %s are those of float64', (_, f) => {
    const data = numbersOf(f)
    const x = tensor(data, { shape: [8, rows / 80, 10, channels] })
    const { mean, variance } = exact(data)
    const both = (t: Tensor): Tensor[] => batchNorm(t, {}) as unknown as Tensor[]
    for (const run of [both, compile(both)]) {
      const [, ofMean, ofVariance] = run(x as Tensor).map(numbers)
      for (let c = 0; c < channels; c++) {
        expect(Math.abs(ofVariance![c]! - variance[c]!)).toBeLessThanOrEqual(1e-4 * variance[c]!)
        expect(Math.abs(ofMean![c]! - mean[c]!)).toBeLessThanOrEqual(1e-5 * Math.sqrt(variance[c]!) + 2e-7 * Math.abs(mean[c]!))
      }
    }
  })

  test('NaN and infinities stay in their channels', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      for (const at of [0, rows >> 1]) {
        const data = numbersOf((c, r, z) => (c === 3 && r === at ? bad : z))
        const [y, mean, variance] = batchNorm(tensor(data, { shape: [rows, channels] }) as Tensor)
        expect(mean.at(3).item()).toBe(bad)
        expect(variance.at(3).item()).toBeNaN()
        expect(y.isNaN().sum().item()).toBe(rows)
      }
    }
  })

  test('on the reference engine as on Wasm, in every float dtype, with gradients', () => {
    const shapes = [[3, 600, 40], [3, 600, 40], [40], [40]]
    const given = shapes.map((shape) => ({ shape, data: normal(shape).dataSync() }))
    for (const dtype of ['float32', 'float64', 'bfloat16', 'float16'] as const) {
      const results = (['reference', 'wasm'] as const).map((engine) => {
        setEngine(engine)
        const [g, ...leaves] = given.map(
          ({ shape, data }) =>
            tensor(data as Float32Array, { shape })
              .cast(dtype)
              .detach() as Tensor,
        )
        for (const leaf of leaves) leaf.setRequiresGrad()
        const f = (x: Tensor, weight: Tensor, bias: Tensor): Tensor => {
          const [y, mean, variance] = batchNorm(x, { weight, bias })
          y.relu().mul(g!).sum().add(mean.sum()).add(variance.sum()).backward()
          return y
        }
        const y = (engine === 'wasm' ? compile(f) : f)(...(leaves as [Tensor, Tensor, Tensor]))
        return [y, ...leaves.map((t) => t.grad as Tensor)].map(numbers)
      })
      const tolerance = { float32: 2e-4, float64: 1e-10, bfloat16: 0.6, float16: 0.08 }[dtype]
      results[0]!.forEach((expected, i) => expect(furthest(expected, results[1]![i]!)).toBeLessThan(tolerance))
    }
  })
})

test('gradients of long rows are those of finite differences', () => {
  const step = 1e-5
  const shape = [2, 1000, 36]
  const [x, along, g] = [normal(shape), normal(shape), normal(shape)].map((t) => t.cast('float64')) as [Tensor, Tensor, Tensor]
  const losses: Record<string, (t: Tensor) => Tensor> = {
    batchNorm: (t) => {
      const [y, mean, variance] = batchNorm(t)
      return y.tanh().mul(g).sum().add(mean.sum()).add(variance.square().sum())
    },
    groupNorm: (t) =>
      groupNorm(t.reshape([1, 2000, 36]), 2)
        .reshape(shape)
        .mul(g)
        .sum(),
    variance: (t) => t.variance([0, 1]).square().sum(),
    std: (t) => t.std().mul(3),
  }
  for (const loss of Object.values(losses)) {
    for (const f of [loss, compile(loss)]) {
      const leaf = x.detach().setRequiresGrad()
      f(leaf).backward()
      const slope = leaf.grad!.mul(along).sum().item() as number
      const [up, down] = [step, -step].map((h) => f(x.add(along.mul(h))).item() as number)
      expect(slope).toBeCloseTo((up! - down!) / (2 * step), 3)
    }
  }
})

test('running statistics take the unbiased variance', () => {
  const data = numbersOf((c, _, z) => c + z)
  const layer = new nn.BatchNorm(channels, { momentum: 1 })
  const step = compile((x: Tensor) => layer.forward(x).relu())
  step(tensor(data, { shape: [rows, channels] }) as Tensor)
  const { mean, variance } = exact(data)
  expect(furthest(numbers(layer.runningMean!), mean)).toBeLessThan(1e-5)
  expect(
    furthest(
      numbers(layer.runningVar!),
      variance.map((v) => (v * rows) / (rows - 1)),
    ),
  ).toBeLessThan(1e-5)
})

const furthest = (a: readonly number[], b: readonly number[]): number => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))

import { beforeEach, describe, expect, test } from 'vitest'
import {
  bernoulli,
  categorical,
  CotangentError,
  dropout,
  engineNames,
  Generator,
  manualSeed,
  normal,
  ones,
  permutation,
  randint,
  setEngine,
  tensor,
  type Tensor,
  truncatedNormal,
  uniform,
  valueAndGrad,
} from '../index.ts'

const values = (x: Tensor) => Array.from(x.dataSync(), Number)
const mean = (x: readonly number[]) => x.reduce((a, b) => a + b, 0) / x.length
const moment = (x: readonly number[], order: number) => {
  const m = mean(x)
  const std = Math.sqrt(mean(x.map((v) => (v - m) ** 2)))
  return order === 1 ? m : order === 2 ? std : mean(x.map((v) => ((v - m) / std) ** order))
}

/** erf by its Maclaurin series: exact enough for |x| < 4. */
function erf(x: number): number {
  let term = x
  let sum = x
  for (let n = 1; n < 120; n++) {
    term *= (-x * x) / n
    sum += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}
const normalCdf = (x: number) => (Math.abs(x) > 4.5 ? (x > 0 ? 1 : 0) : 0.5 * (1 + erf(x / Math.SQRT2)))

/** The Kolmogorov-Smirnov statistic, in units of 1 / sqrt(n): over 1.95 happens once in a thousand seeds. */
function kolmogorovSmirnov(sample: readonly number[], cdf: (x: number) => number): number {
  const sorted = [...sample].sort((a, b) => a - b)
  const n = sorted.length
  const distances = sorted.map((x, i) => Math.max((i + 1) / n - cdf(x), cdf(x) - i / n))
  return Math.max(...distances) * Math.sqrt(n)
}

const n = 10_000

describe.each(engineNames())('random numbers on %s', (engine) => {
  beforeEach(() => {
    setEngine(engine)
    manualSeed(1)
  })

  test.each(['float32', 'float64', 'float16', 'bfloat16'] as const)('uniform %s', (dtype) => {
    const x = values(uniform([n], { dtype }))
    expect(Math.min(...x)).toBeGreaterThanOrEqual(0)
    // Narrow types round numbers just below 1 up to 1.
    expect(Math.max(...x)).toBeLessThanOrEqual(1)
    expect(moment(x, 1)).toBeCloseTo(0.5, 1)
    expect(moment(x, 2)).toBeCloseTo(Math.sqrt(1 / 12), 2)
    if (dtype === 'float32' || dtype === 'float64') {
      expect(Math.max(...x)).toBeLessThan(1)
      expect(kolmogorovSmirnov(x, (v) => v)).toBeLessThan(1.95)
    }
  })

  test('uniform between bounds', () => {
    const x = values(uniform([n], { low: -3, high: 5 }))
    expect(Math.min(...x)).toBeGreaterThanOrEqual(-3)
    expect(Math.max(...x)).toBeLessThan(5)
    expect(kolmogorovSmirnov(x, (v) => (v + 3) / 8)).toBeLessThan(1.95)
  })

  test.each(['float32', 'float64'] as const)('normal %s', (dtype) => {
    const x = values(normal([n], { dtype }))
    expect(moment(x, 1)).toBeCloseTo(0, 1)
    expect(Math.abs(moment(x, 2) - 1)).toBeLessThan(0.03)
    expect(Math.abs(moment(x, 3))).toBeLessThan(0.1)
    expect(Math.abs(moment(x, 4) - 3)).toBeLessThan(0.2)
    expect(kolmogorovSmirnov(x, normalCdf)).toBeLessThan(1.95)
  })

  test('normal with mean and std', () => {
    expect(kolmogorovSmirnov(values(normal([n], { mean: -2, std: 0.5 })), (v) => normalCdf((v + 2) / 0.5))).toBeLessThan(1.95)
    expect(values(normal([3], { mean: 4, std: 0 }))).toEqual([4, 4, 4])
  })

  test('neighbours are not correlated', () => {
    const x = values(normal([n]))
    for (const lag of [1, 2, 64]) expect(Math.abs(mean(x.slice(lag).map((v, i) => v * x[i]!)))).toBeLessThan(0.04)
  })

  test.each([
    [0, 1, -2, 2],
    [1, 2, 0, 2],
    [0, 1, 1, 3],
    [0, 1, -0.1, 4],
  ])('truncated normal: mean %d, std %d, in [%d, %d]', (mu, std, low, high) => {
    const x = values(truncatedNormal([n], { mean: mu, std, low, high }))
    expect(Math.min(...x)).toBeGreaterThanOrEqual(Math.fround(low))
    expect(Math.max(...x)).toBeLessThanOrEqual(Math.fround(high))
    const below = (v: number) => normalCdf((v - mu) / std)
    expect(kolmogorovSmirnov(x, (v) => (below(v) - below(low)) / (below(high) - below(low)))).toBeLessThan(1.95)
  })

  test('randint draws every integer of the range and no other', () => {
    const x = values(randint(-3, 4, [n]))
    const counts = [-3, -2, -1, 0, 1, 2, 3].map((v) => x.filter((y) => y === v).length)
    expect(counts.reduce((a, b) => a + b)).toBe(n)
    for (const count of counts) expect(Math.abs(count - n / 7)).toBeLessThan(4 * Math.sqrt(n / 7))
    expect(randint(0, 2, [3]).dtype).toBe('int32')
    expect(values(randint(5, 6, [3], { dtype: 'uint8' }))).toEqual([5, 5, 5])
  })

  test('randint over a large range of int64', () => {
    const high = 2 ** 52
    const x = randint(0, high, [1000], { dtype: 'int64' })
    expect(x.dtype).toBe('int64')
    expect(kolmogorovSmirnov(values(x), (v) => v / high)).toBeLessThan(1.95)
  })

  test('bernoulli', () => {
    const x = bernoulli(tensor([0, 1, 0.3]).expand([5000, 3]))
    expect(x.dtype).toBe('bool')
    const columns = [0, 1, 2].map((c) => mean(values(x).filter((_, i) => i % 3 === c)))
    expect(columns.slice(0, 2)).toEqual([0, 1])
    expect(Math.abs(columns[2]! - 0.3)).toBeLessThan(0.03)
  })

  test.each([0, 1, 2, 10, 1000])('permutation of %d', (count) => {
    const x = values(permutation(count))
    expect([...x].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i))
    if (count === 1000) expect(x.filter((v, i) => v === i).length).toBeLessThan(10)
  })

  test('every permutation is equally likely', () => {
    const counts = new Map<string, number>()
    for (let i = 0; i < 1200; i++) {
      const key = values(permutation(3)).join('')
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    expect(counts.size).toBe(6)
    for (const count of counts.values()) expect(Math.abs(count - 200)).toBeLessThan(4 * Math.sqrt(200))
  })

  test('categorical frequencies', () => {
    const p = [0.1, 0.2, 0.7]
    const logits = tensor([p.map(Math.log), [0, Number.NEGATIVE_INFINITY, 0]])
    const drawn = categorical(logits, { count: 5000 })
    expect(drawn.shape).toEqual([2, 5000])
    expect(drawn.dtype).toBe('int32')
    const [first, second] = [values(drawn).slice(0, 5000), values(drawn).slice(5000)]
    p.forEach((want, c) => expect(Math.abs(first.filter((v) => v === c).length / 5000 - want)).toBeLessThan(0.03))
    expect(second.filter((v) => v === 1).length).toBe(0)
    expect(categorical(logits).shape).toEqual([2])
  })

  test('categorical without replacement draws distinct classes, the likely ones more often', () => {
    const p = [0.5, 0.25, 0.25]
    const drawn = values(categorical(tensor(p.map(Math.log)).expand([4000, 3]), { count: 2, replacement: false }))
    const pairs = Array.from({ length: 4000 }, (_, i) => drawn.slice(2 * i, 2 * i + 2))
    expect(pairs.every(([a, b]) => a !== b)).toBe(true)
    // First 0, then one of the rest; or first another and then 0: 1/2 + 2 * 1/4 * 1/2 / (3/4).
    expect(Math.abs(pairs.filter((pair) => pair.includes(0)).length / 4000 - 5 / 6)).toBeLessThan(0.03)
  })

  test('dropout zeroes a share p and scales the rest', () => {
    const y = values(dropout(ones([100, 100]), 0.3))
    const kept = y.filter((v) => v !== 0)
    expect(new Set(kept)).toEqual(new Set([Math.fround(1 / (1 - 0.3))]))
    expect(Math.abs(kept.length / n - 0.7)).toBeLessThan(0.02)
    expect(values(dropout(ones([4]), 1))).toEqual([0, 0, 0, 0])
    expect(values(dropout(ones([4]), 0))).toEqual([1, 1, 1, 1])
  })

  test('the gradient of dropout has the same mask', () => {
    const [y, g] = valueAndGrad((x: Tensor) => dropout(x, 0.5).sum())(ones([50, 10]))
    const gradient = values(g as Tensor)
    expect(gradient.reduce((a, b) => a + b)).toBe(y.item())
    const x = ones([50, 10], { requiresGrad: true })
    const out = dropout(x, 0.5)
    out.sum().backward()
    expect(values(x.grad!)).toEqual(values(out))
  })

  test('dropout works on views and narrow floats', () => {
    const x = ones([2, 3], { dtype: 'bfloat16' }).permute([1, 0])
    const y = dropout(x, 0.5)
    expect([y.shape, y.dtype]).toEqual([[3, 2], 'bfloat16'])
    expect(values(y).every((v) => v === 0 || v === 2)).toBe(true)
  })

  test('a seed fixes all that follows; each call gives other numbers', () => {
    const draw = () => [uniform([3]), normal([3]), permutation(5), randint(0, 9, [4])].flatMap(values)
    manualSeed(42)
    const first = draw()
    expect(draw()).not.toEqual(first)
    manualSeed(42)
    expect(draw()).toEqual(first)
    manualSeed(43)
    expect(draw()).not.toEqual(first)
  })

  test('seeds differ in their upper half too', () => {
    const draw = (seed: bigint) => values(uniform([4], { generator: new Generator(seed) }))
    expect(draw(1n)).not.toEqual(draw(1n + (1n << 32n)))
    expect(draw(2n ** 64n - 1n)).toEqual(draw(-1n))
  })

  test('a generator of its own leaves the default one alone', () => {
    const generator = new Generator(7)
    manualSeed(1)
    const want = values(uniform([3]))
    manualSeed(1)
    uniform([3], { generator })
    truncatedNormal([3], { generator })
    permutation(3, { generator })
    categorical(tensor([0, 0]), { generator })
    bernoulli(tensor([0.5]), { generator })
    dropout(ones([3]), 0.5, { generator })
    expect(values(uniform([3]))).toEqual(want)
  })

  test('the state of a generator brings its future back', () => {
    const generator = new Generator(5)
    uniform([3], { generator })
    const { state } = generator
    const want = values(normal([3], { generator }))
    generator.state = state
    expect(values(normal([3], { generator }))).toEqual(want)
  })

  test('the first elements do not depend on how many are drawn', () => {
    const few = values(uniform([5], { generator: new Generator(3) }))
    expect(values(uniform([9, 100], { generator: new Generator(3) })).slice(0, 5)).toEqual(few)
  })
})

test('every engine gives the same numbers', () => {
  const draws = engineNames().map((name) => {
    setEngine(name)
    const generator = new Generator(11)
    return {
      exact: [
        uniform([1000], { generator }),
        uniform([50], { generator, dtype: 'float64' }),
        randint(0, 1000, [100], { generator }),
        permutation(100, { generator }),
      ].map(values),
      close: [normal([1000], { generator }), truncatedNormal([100], { generator })].map(values),
    }
  })
  for (const { exact, close } of draws) {
    expect(exact).toEqual(draws[0]!.exact)
    close.forEach((list, i) => list.forEach((v, j) => expect(Math.abs(v - draws[0]!.close[i]![j]!)).toBeLessThan(1e-5)))
  }
})

test.each([Number.NaN, Number.POSITIVE_INFINITY, 1.5, 2 ** 60])('%d is no seed', (seed) => {
  expect(() => manualSeed(seed)).toThrow(CotangentError)
  expect(() => new Generator(seed)).toThrow(`${seed} is not a seed`)
})

test('impossible distributions are refused', () => {
  expect(() => uniform([2], { dtype: 'int32' })).toThrow('draws real numbers')
  expect(() => normal([2], { std: -1 })).toThrow('std is -1')
  expect(() => truncatedNormal([2], { low: 1, high: 1 })).toThrow('no numbers between 1 and 1')
  expect(() => randint(3, 3, [2])).toThrow('there is no integer in [3, 3)')
  expect(() => categorical(tensor([0, 0]), { count: 3, replacement: false })).toThrow('cannot draw 3 of 2 classes')
  expect(() => dropout(ones([2]), 1.5)).toThrow('p is 1.5')
  expect(() => dropout(ones([2], { dtype: 'int32' }))).toThrow('needs a float dtype')
})

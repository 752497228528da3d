import {
  arange,
  compile,
  CotangentError,
  engineNames,
  full,
  Generator,
  manualSeed,
  optim,
  setEngine,
  setThreads,
  type Tensor,
  tensor,
} from 'cotangent'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

beforeEach(() => {
  setEngine('wasm')
  manualSeed(13)
})
afterEach(() => setThreads(1))

const stochastic = (x: Tensor, dtype: 'bfloat16' | 'float16', seed?: number): Tensor =>
  x.cast(dtype, { rounding: 'stochastic', ...(seed !== undefined && { generator: new Generator(seed) }) })

describe.each(['bfloat16', 'float16'] as const)('%s', (dtype) => {
  const bits = dtype === 'bfloat16' ? 7 : 10
  const least = dtype === 'bfloat16' ? 2 ** -133 : 2 ** -24
  // Within binades, at their ends, below 1, negative, and among the smallest numbers.
  const numbers = [
    1.001,
    1 + 2 ** -(bits + 2),
    2 - 2 ** -(bits + 3),
    3.3,
    0.1,
    0.99951172 + 1e-4,
    -1.3,
    -1.9999,
    2 ** -14 * 1.0003,
    least * 0.3,
    -least * 2.7,
  ]

  test('gives the two neighbours, so often that the mean is right', () => {
    const n = 40000
    for (const given of numbers) {
      const x = Math.fround(given)
      const values = [...(stochastic(full([n], x), dtype).dataSync() as Float32Array)]
      const seen = [...new Set(values)].sort((a, b) => a - b)
      expect(seen.length, `neighbours of ${x}`).toBe(2)
      const [low, high] = seen as [number, number]
      expect(low < x && x < high).toBe(true)
      // Next to each other: nothing of the dtype lies between.
      const between = tensor([low + (high - low) / 2])
        .cast(dtype)
        .item()
      expect([low, high]).toContain(between)
      const share = (x - low) / (high - low)
      const above = values.filter((v) => v === high).length / n
      // Five standard deviations of a share.
      expect(Math.abs(above - share)).toBeLessThan(5 * Math.sqrt((share * (1 - share)) / n) + 1e-6)
    }
  })

  test('leaves alone what the dtype has, infinities and NaN', () => {
    const exact = [0, -0, 1, -2.5, 2 ** -14, least, Infinity, -Infinity, Number.NaN]
    const y = [...(stochastic(tensor(exact), dtype).dataSync() as Float32Array)]
    expect(y).toEqual(exact)
    const largest = dtype === 'float16' ? 65504 : 3.3895313892515355e38
    expect(stochastic(tensor([largest, -largest]), dtype).toArray()).toEqual([largest, -largest])
    expect(stochastic(tensor([largest * 2]), dtype).item()).toBe(Infinity)
  })

  test('a seed gives the same numbers on every engine and thread count, compiled too', () => {
    const run = (engine: string, threads: number) => {
      setEngine(engine)
      if (engine === 'wasm') setThreads(threads)
      return stochastic(arange(0, 30000).mul(1e-3).reshape([100, 300]), dtype, 5).dataSync()
    }
    const first = run(engineNames()[0]!, 1)
    for (const engine of engineNames()) expect(run(engine, 1)).toEqual(first)
    expect(run('wasm', 2)).toEqual(first)
    const x = arange(0, 300).mul(1e-3)
    const [a, b] = [new Generator(3), new Generator(3)]
    const f = compile((v: Tensor) => v.add(1).cast(dtype, { rounding: 'stochastic', generator: a }))
    for (let i = 0; i < 3; i++) {
      expect(f(x).dataSync()).toEqual(x.add(1).cast(dtype, { rounding: 'stochastic', generator: b }).dataSync())
    }
  })

  test('the gradient passes through', () => {
    const x = tensor([1.001, 2.3]).setRequiresGrad() as Tensor
    stochastic(x, dtype)
      .mul(tensor([2, 3], { dtype }))
      .sum()
      .backward()
    expect(x.grad!.dtype).toBe('float32')
    expect(x.grad!.toArray()).toEqual([2, 3])
  })
})

test('only floats, only to dtypes of 16 bits', () => {
  for (const run of [
    () => tensor([1, 2]).cast('float32', { rounding: 'stochastic' }),
    () => tensor([1, 2], { dtype: 'int32' }).cast('bfloat16', { rounding: 'stochastic' }),
    () => tensor([1, 2]).cast('bfloat16', { rounding: 'up' as never }),
  ]) {
    expect(run).toThrow(CotangentError)
  }
})

describe('optimisers', () => {
  const train = (name: 'SGD' | 'AdamW' | 'LAMB', options: object, wrap: (f: () => void) => () => void = (f) => f) => {
    manualSeed(4)
    const param = full([20, 50], 1, { dtype: 'bfloat16' }).setRequiresGrad() as Tensor
    const optimizer = new optim[name]([param], { lr: 1e-4, ...options })
    const step = wrap(() => {
      optimizer.zeroGrad()
      param.sum().backward()
      optimizer.step()
    })
    for (let i = 0; i < 100; i++) step()
    return param
  }

  test('small steps are lost to rounding, but not at random', () => {
    // 100 steps of 1e-4, each far below the distance between bfloat16 numbers at 1.
    expect(train('SGD', {}).cast('float32').mean().item()).toBe(1)
    expect(train('SGD', { stochasticRounding: true }).cast('float32').mean().item()).toBeCloseTo(0.99, 3)
    expect(train('AdamW', { stochasticRounding: true, weightDecay: 0 }).cast('float32').mean().item()).toBeCloseTo(0.99, 2)
    expect(train('LAMB', { stochasticRounding: true, weightDecay: 0 }).cast('float32').mean().item()).toBeCloseTo(0.99, 2)
  })

  test('compiled steps round as eager ones do', () => {
    const options = { stochasticRounding: true, momentum: 0.5 }
    expect(train('SGD', options, (f) => compile(f)).dataSync()).toEqual(train('SGD', options).dataSync())
  })

  test('float32 parameters are not rounded', () => {
    const param = tensor([1]).setRequiresGrad() as Tensor
    const optimizer = new optim.SGD([param], { lr: 1e-4, stochasticRounding: true })
    param.sum().backward()
    optimizer.step()
    expect(param.item()).toBe(Math.fround(1 - 1e-4))
  })
})

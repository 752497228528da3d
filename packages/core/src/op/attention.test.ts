import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testFusedAttention } from '../../test/attention-ops.ts'
import { referenceRoutine } from '../engine/reference/routine.ts'
import { WasmEngine } from '../engine/wasm/engine.ts'
import {
  attentionWeights,
  compile,
  explain,
  Generator,
  manualSeed,
  matmul,
  normal,
  ones,
  scaledDotProductAttention,
  type Tensor,
  type AttentionOptions,
  registerEngine,
  setEngine,
  uniform,
} from '../index.ts'

const seeded = (seed: number) => ({ generator: new Generator(seed) })
const numbers = (x: Tensor) => Array.from(x.dataSync() as Float32Array)
/** So many that weights are made in parts: 16 x 600 x 500 float32 are 19 MB. */
const [heads, queries, keys, size] = [16, 600, 500, 8]
const operands = () =>
  [
    normal([2, heads / 2, queries, size], seeded(1)),
    normal([heads / 2, keys, size], seeded(2)),
    normal([2, 1, keys, size + 1], seeded(3)),
  ].map((x) => (x as Tensor).setRequiresGrad()) as [Tensor, Tensor, Tensor]

const cases: [string, AttentionOptions][] = [
  ['plain', {}],
  ['causal', { causal: true, scale: 0.7 }],
  ['a bool mask', { mask: uniform([queries, keys], seeded(4)).gt(0.3) as Tensor }],
  ['one mask for all queries', { mask: uniform([2, 1, 1, keys], seeded(4)).gt(0.3) as Tensor }],
  ['a float mask', { mask: normal([heads / 2, queries, keys], seeded(4)) as Tensor, causal: true }],
]

describe.each(cases)('attention in parts, %s', (_name, options) => {
  test('is what it is as a whole, and so are its gradients', () => {
    const run = (attention: (q: Tensor, k: Tensor, v: Tensor) => Tensor) => {
      const [q, k, v] = operands()
      const y = attention(q, k, v)
      y.mul(normal(y.shape, seeded(5)) as Tensor)
        .sum()
        .backward()
      return [y.detach(), q.grad!, k.grad!, v.grad!]
    }
    const { scale = size ** -0.5, ...rest } = options
    const whole = run((q, k, v) => matmul(attentionWeights(matmul(q, k.transpose(-2, -1)), { scale, ...rest }), v) as Tensor)
    const parts = run((q, k, v) => scaledDotProductAttention(q, k, v, options))
    parts.forEach((part, i) => {
      const expected = numbers(whole[i]!)
      const most = Math.max(...expected.map(Math.abs))
      numbers(part).forEach((v, j) => {
        if (!(Math.abs(v - expected[j]!) <= 2e-5 * most)) expect.fail(`tensor ${i}, element ${j}: ${v} instead of ${expected[j]}`)
      })
    })
  })
})

test('what dropout leaves out is the same in the backward pass', () => {
  const [q, k] = operands()
  const v = ones([2, 1, keys, 1]).setRequiresGrad() as Tensor
  manualSeed(3)
  const y = scaledDotProductAttention(q, k, v, { dropout: 0.5 })
  y.sum().backward()
  // The result is linear in the values: its sum is theirs times the gradient only if both used the same weights.
  expect(v.grad!.sum().item()).toBeCloseTo(y.sum().item(), 1)
  manualSeed(3)
  expect(numbers(scaledDotProductAttention(q, k, v, { dropout: 0.5 }))).toEqual(numbers(y))
})

test('a compiled step over long sequences needs no memory for all weights', () => {
  const [n, d] = [3000, 16]
  const make = (seed: number) => (normal([1, n, d], seeded(seed)) as Tensor).setRequiresGrad()
  const [q, k, v] = [make(1), make(2), make(3)]
  const step = (q: Tensor, k: Tensor, v: Tensor) => {
    const loss = scaledDotProductAttention(q, k, v, { causal: true }).square().mean()
    loss.backward()
    return loss
  }
  expect(explain(step, q, k, v).total.arenaBytes).toBeLessThan(n * n * 4)
  expect(compile(step)(q, k, v).item()).toBeCloseTo(step(q, k, v).item(), 6)
})

describe('attention as one routine', () => {
  const engine = new (class extends WasmEngine {
    override takes(): boolean {
      return true
    }
  })({ threads: 2, fallback: referenceRoutine })
  beforeAll(() => {
    registerEngine('fusing', () => engine)
    setEngine('fusing')
  })
  afterAll(() => {
    setEngine('wasm')
    engine.close()
  })
  testFusedAttention()
})

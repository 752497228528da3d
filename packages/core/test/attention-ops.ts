import { expect, it } from 'vitest'
import {
  type AttentionOptions,
  autocast,
  compile,
  explain,
  exportProgram,
  Generator,
  grad,
  jvp,
  loadProgram,
  normal,
  scaledDotProductAttention,
  type Tensor,
  uniform,
  vmap,
} from '../src/index.ts'
import { composedAttention } from '../src/op/composed-attention.ts'

const seeded = (seed: number) => ({ generator: new Generator(seed) })
const random = (seed: number, ...shape: number[]) => normal(shape, seeded(seed)) as Tensor
const numbers = (x: Tensor) => Array.from(x.cast('float64').dataSync() as Float64Array)

type Operands = [q: Tensor, k: Tensor, v: Tensor]

function composed(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  const { scale = q.shape.at(-1)! ** -0.5 } = options
  const [a, b] = [q, k].map((x) => x.shape.slice(0, -2)) as [number[], number[]]
  const longer = a.length >= b.length ? a : b
  const batch = longer.map((n, i) => Math.max(n, (longer === a ? b : a).at(i - longer.length) ?? 1))
  return composedAttention(q, k, v, [...batch, q.shape.at(-2)!, k.shape.at(-2)!], { ...options, scale })
}

function expectClose(actual: readonly Tensor[], expected: readonly Tensor[], tolerance = 2e-5): void {
  expect(actual.map((x) => x.shape)).toEqual(expected.map((x) => x.shape))
  actual.forEach((x, i) => {
    const [a, b] = [numbers(x), numbers(expected[i]!)]
    const most = Math.max(1, ...b.map(Math.abs))
    const worst = a.reduce((m, value, j) => (Math.abs(value - b[j]!) <= m ? m : Math.abs(value - b[j]!)), 0)
    expect(worst / most, `tensor ${i}`).toBeLessThan(tolerance)
  })
}

/** Result and gradients of all operands. */
function forwardAndBackward(attention: (...operands: Operands) => Tensor, operands: Operands): Tensor[] {
  const own = operands.map((x) => x.detach().setRequiresGrad()) as Operands
  const y = attention(...own)
  y.backward({ gradient: random(9, ...y.shape).cast(y.dtype) })
  return [y.detach(), ...own.map((x) => x.grad!)]
}

/** Operands are made on the engine that is current by then. */
const cases: readonly (readonly [string, () => readonly [Operands, AttentionOptions]])[] = [
  ['plain', () => [[random(1, 2, 3, 17, 8), random(2, 2, 3, 17, 8), random(3, 2, 3, 17, 8)], {}]],
  ['causal, a scale', () => [[random(1, 3, 20, 8), random(2, 3, 20, 8), random(3, 3, 20, 5)], { causal: true, scale: 0.7 }]],
  [
    'a bool mask for all queries',
    () => [
      [random(1, 2, 3, 18, 8), random(2, 3, 21, 8), random(3, 2, 1, 21, 8)],
      { mask: uniform([2, 1, 1, 21], seeded(4)).gt(0.3) as Tensor },
    ],
  ],
  ['a float mask', () => [[random(1, 3, 16, 8), random(2, 3, 21, 8), random(3, 3, 21, 8)], { mask: random(4, 3, 16, 21), causal: true }]],
  ['groups of queries with the same keys', () => [[random(1, 2, 2, 3, 16, 8), random(2, 2, 2, 1, 16, 8), random(3, 2, 2, 1, 16, 8)], {}]],
]

/** For tests of engines that have attention as a routine: the current engine computes it so. */
export function testFusedAttention(): void {
  it.each(cases)('%s: result and gradients', (_, make) => {
    const [operands, options] = make()
    const fused = forwardAndBackward((q, k, v) => scaledDotProductAttention(q, k, v, options), operands)
    expectClose(
      fused,
      forwardAndBackward((q, k, v) => composed(q, k, v, options), operands),
    )
  })

  it('is one operation, and its gradient another one', () => {
    const [q, k, v] = cases[1]![1]()[0]
    const step = (q: Tensor, k: Tensor, v: Tensor) => grad((x: Tensor) => scaledDotProductAttention(x, k, v).sum())(q)
    const names = explain(step, q, k, v).operations.map(({ name }) => name)
    expect(names.filter((name) => /attention/i.test(name))).toEqual(['attention', 'attentionGrad'])
    expect(names.some((name) => /matmul/.test(name))).toBe(false)
  })

  it('heads split out of one product are not copied', () => {
    const qkv = random(1, 2, 16, 3, 2, 8)
    const heads = (x: Tensor) => scaledDotProductAttention(...(x.permute([2, 0, 3, 1, 4]).unbind(0) as Operands))
    expectClose([heads(qkv)], [composed(...(qkv.permute([2, 0, 3, 1, 4]).unbind(0) as Operands))])
    expect(explain(heads, qkv).operations).toHaveLength(1)
  })

  it.each(cases.slice(0, 4))('%s: gradients of gradients', (_, make) => {
    const [operands, options] = make()
    const second = (attention: typeof composed) => {
      const slope = (q: Tensor, k: Tensor, v: Tensor) =>
        grad((q: Tensor, k: Tensor, v: Tensor) => attention(q, k, v, options).square().sum(), { argnums: [0, 1, 2] as const })(q, k, v)
          .map((g) => (g as Tensor).sin().sum())
          .reduce((a, b) => a.add(b))
      return grad(slope, { argnums: [0, 1, 2] })(...operands) as readonly Tensor[]
    }
    expectClose(second(scaledDotProductAttention), second(composed), 1e-4)
  })

  it('the gradient of a mask', () => {
    const [q, k, v] = cases[0]![1]()[0]
    const ofMask = (attention: typeof composed) => grad((mask: Tensor) => attention(q, k, v, { mask }).square().sum())(random(5, 17, 17))
    expectClose([ofMask(scaledDotProductAttention)], [ofMask(composed)])
  })

  it('vmap, and of gradients; forward mode', () => {
    const [q, k, v] = cases[1]![1]()[0]
    const options = { causal: true }
    expectClose(
      [vmap((q: Tensor, k: Tensor, v: Tensor) => scaledDotProductAttention(q, k, v, options))(q, k, v)],
      [composed(q, k, v, options)],
    )
    const shared = vmap((q: Tensor) => scaledDotProductAttention(q, k.select(0, 1), v.select(0, 1)), { inAxes: 0 })(q)
    expectClose([shared], [composed(q, k.select(0, 1), v.select(0, 1))])
    const slope = (attention: typeof composed) =>
      grad((q: Tensor, k: Tensor, v: Tensor) => attention(q, k, v, options).square().sum(), { argnums: 1 })
    expectClose([vmap(slope(scaledDotProductAttention))(q, k, v)], [slope(composed)(q, k, v)])
    const tangent = (attention: typeof composed) => {
      const along = [random(6, ...q.shape), random(7, ...k.shape), random(8, ...v.shape)] as Operands
      return jvp((q: Tensor, k: Tensor, v: Tensor) => attention(q, k, v, options), [q, k, v], along)
    }
    expectClose(tangent(scaledDotProductAttention), tangent(composed))
  })

  it('compiled: what eager mode gives, for several batch sizes', () => {
    const loss = (q: Tensor, k: Tensor, v: Tensor) =>
      grad((q: Tensor, k: Tensor, v: Tensor) => scaledDotProductAttention(q, k, v, { causal: true }).square().sum(), {
        argnums: [0, 1, 2],
      })(q, k, v)
    const compiled = compile(loss)
    for (const batch of [2, 3, 5, 8, 13]) {
      const operands = [1, 2, 3].map((seed) => random(seed + batch, batch, 2, 18, 8)) as Operands
      const [found, expected] = [compiled, loss].map((f) => (f(...operands) as readonly Tensor[]).map(numbers))
      expect(found).toEqual(expected)
    }
  })

  it('fewer heads of keys than of queries', () => {
    const options = [
      {},
      { mask: random(4, 6, 16, 20) },
      { mask: uniform([2, 1, 1, 20], seeded(4)).gt(0.3) as Tensor },
      { causal: true, mask: random(5, 16, 20) },
    ]
    for (const given of options) {
      const operands: Operands = [random(1, 2, 6, 16, 8), random(2, 2, 3, 20, 8), random(3, 2, 3, 20, 5)]
      const repeated = (x: Tensor): Tensor =>
        x
          .unsqueeze(2)
          .expand([2, 3, 2, ...x.shape.slice(-2)])
          .reshape([2, 6, ...x.shape.slice(-2)])
      expectClose(
        forwardAndBackward((q, k, v) => scaledDotProductAttention(q, k, v, { ...given, enableGqa: true }), operands),
        forwardAndBackward((q, k, v) => composed(q, repeated(k), repeated(v), given), operands),
      )
    }
    expect(() => scaledDotProductAttention(random(1, 5, 4, 2), random(2, 3, 4, 2), random(3, 3, 4, 2), { enableGqa: true })).toThrow(
      expect.objectContaining({ code: 'shape-mismatch', message: expect.stringMatching(/heads divide/) as string }),
    )
  })

  it('saved and loaded', async () => {
    const gradients = (q: Tensor, k: Tensor, v: Tensor) =>
      grad((q: Tensor, k: Tensor, v: Tensor) => scaledDotProductAttention(q, k, v, { causal: true }).square().sum(), {
        argnums: [0, 1, 2],
      })(q, k, v)
    const operands = cases[1]![1]()[0]
    const program = loadProgram(await exportProgram(gradients, operands))
    const [found, expected] = [program.run(...operands), gradients(...operands)].map((list) => (list as readonly Tensor[]).map(numbers))
    expect(found).toEqual(expected)
  })

  it('autocast: bfloat16 in, out and back', () => {
    const [q, k, v] = cases[0]![1]()[0]
    const low = forwardAndBackward((q, k, v) => autocast(() => scaledDotProductAttention(q, k, v)), [q, k, v])
    expect(low.map((x) => x.dtype)).toEqual(['bfloat16', 'float32', 'float32', 'float32'])
    expectClose(
      low.map((x) => x.cast('float32')),
      forwardAndBackward((q, k, v) => composed(q, k, v), [q, k, v]),
      0.03,
    )
  })
}

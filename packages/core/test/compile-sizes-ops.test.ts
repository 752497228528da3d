import {
  avgPool2d,
  compile,
  concat,
  type CotangentError,
  conv2d,
  crossEntropy,
  gelu,
  grad,
  layerNorm,
  maxPool2d,
  ones,
  pad,
  stack,
  type Tensor,
  tensor,
  where,
  zeros,
} from 'cotangent'
import { expect, test } from 'vitest'

type Loose = Tensor

const wave = (shape: readonly number[], phase = 1): Loose =>
  tensor(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 1.7 + phase)),
    { shape: [...shape] },
  ) as Loose

const numbersOf = (result: unknown): number[] =>
  Array.isArray(result) ? result.flatMap(numbersOf) : [...(result as Loose).dataSync()].map(Number)

function expectSame(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [numbersOf(actual), numbersOf(expected)]
  expect(a.length, what).toBe(b.length)
  a.forEach((x, i) => {
    if (!(Object.is(x, b[i]) || x === b[i] || Math.abs(x - b[i]!) <= 2e-5 * Math.max(1, Math.abs(b[i]!)))) {
      expect.fail(`${what}, element ${i}: ${x}, expected ${b[i]}`)
    }
  })
}

const w = wave([6, 6], 2)
const kernel = wave([2, 3, 1, 2], 3)
const table = wave([5, 3], 4)

/** Functions of x [B, 6] whose shapes follow from it in all ways that there are. */
const functions: Record<string, (x: Loose) => unknown> = {
  elementwise: (x) => x.mul(2).exp().add(x.sigmoid()),
  'mean of all': (x) => x.square().mean(),
  'mean of the batch': (x) => x.mean(0),
  'sum, max and argmax of rows': (x) => [x.sum(1), x.max(1), x.argmax(1)],
  'argmax of the batch': (x) => x.argmax(0),
  variance: (x) => [x.variance(), x.variance(0), x.std(1)],
  softmax: (x) => x.softmax(-1),
  'softmax over the batch': (x) => x.softmax(0),
  'layer norm': (x) => layerNorm(x, [6]),
  matmul: (x) => gelu(x.matmul(w)),
  'Gram matrix': (x) => x.matmul(x.T),
  'matmul over the batch': (x) => x.T.matmul(x),
  transpose: (x) => x.T.contiguous(),
  flatten: (x) => x.reshape([-1]).mul(3),
  'more axes': (x) => (x.reshape([-1, 2, 3]) as Loose).permute([2, 0, 1]).sum(0),
  'rows of halves': (x) => (x.reshape([-1, 3]) as Loose).matmul(wave([3, 2])),
  slices: (x) =>
    [x.slice([0, 10]), x.slice([1, null]), x.slice(null, [1, 4]), (x.reshape([-1]) as Loose).slice([2, 9])].map((y) => y.mul(2)),
  'slices from the end': (x) => [x.slice('-5:'), x.slice('::-2'), x.slice('::3')].map((y) => y.exp()),
  flip: (x) => x.flip(0).cumSum(0),
  cumSum: (x) => [x.cumSum(0), x.cumSum(1)],
  sort: (x) => x.sort({ axis: 0 }).values,
  concat: (x) => concat([x, x.neg(), ones([2, 6])], 0),
  stack: (x) => stack([x, x.exp()], 1),
  where: (x) => where(x.gt(0), x, x.mul(0.1)),
  'broadcast over itself': (x) => x.sub(x.mean(1, { keepDims: true })),
  distances: (x) => (x.reshape([-1, 1, 6]) as Loose).sub(x).square().sum(-1),
  gather: (x) => table.take(x.abs().mul(4).cast('int32').sum(1).minimum(4) as Loose, 0),
  convolution: (x) => conv2d(x.reshape([-1, 2, 3, 1]) as never, kernel as never, { padding: 'same' }),
  pooling: (x) => [maxPool2d(x.reshape([-1, 2, 3, 1]) as never, 2 as never), avgPool2d(x.reshape([-1, 2, 3, 1]) as never, 2 as never)],
  pad: (x) =>
    pad(x, [
      [1, 2],
      [0, 0],
    ] as never),
  'cross entropy': (x) => crossEntropy(x, x.argmax(1)),
  'full like': (x) => x.newFull(x.shape, 2).mul(x),
  expand: (x) => zeros([1, 6]).add(x),
}

const sizes = [32, 16, 24, 0, 1, 2, 3, 17, 33, 200]

/** Those whose shapes follow no law that holds at all sizes: quotients, and what is cut off at the end. */
const lawless = new Set(['slices', 'slices from the end'])

test.each(Object.keys(functions))('%s', (name) => {
  const f = functions[name]!
  let runs = 0
  const compiled = compile((x: Loose) => {
    runs++
    return f(x)
  })
  for (const size of sizes) {
    const x = wave([size, 6], size)
    let expected: unknown
    try {
      expected = f(x)
    } catch (error) {
      // What cannot be done with a batch of this size cannot be done by a program either.
      expect(size).toBeLessThan(2)
      expect(() => compiled(x), `${size}`).toThrow(expect.objectContaining({ code: (error as CotangentError).code }))
      continue
    }
    expectSame(compiled(x), expected, `size ${size}`)
  }
  if (!lawless.has(name)) expect(runs).toBeLessThan(10)
})

test.each(Object.keys(functions))('the gradient of %s', (name) => {
  const scalar = (x: Loose): Loose => {
    const results = [functions[name]!(x)].flat() as Loose[]
    return results
      .map((y) => (y.dtype === 'float32' ? (y.mul(y.detach().add(0.5)).sum() as Loose) : (zeros([]) as Loose)))
      .reduce((a, b) => a.add(b) as Loose, x.sum() as Loose)
  }
  const gradient = grad(scalar as never) as unknown as (x: Loose) => Loose
  const compiled = compile(gradient)
  for (const size of [32, 16, 24, 2, 17, 70]) {
    const x = wave([size, 6], size)
    expectSame(compiled(x), gradient(x), `size ${size}`)
  }
})

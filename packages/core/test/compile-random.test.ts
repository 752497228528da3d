import { compile, gelu, grad, layerNorm, pad, setEngine, type Tensor, tensor, where } from 'cotangent'
import fc from 'fast-check'
import { afterAll, test } from 'vitest'

/** One op of a random program: which, and which earlier values it takes. */
interface Choice {
  readonly op: number
  readonly a: number
  readonly b: number
  readonly axis: number
}

const positive = (x: Tensor) => x.abs().add(0.5)

/** Smooth, of magnitudes that stay near 1, so that rounding stays small. Any of them takes any two matrices. */
const ops: ((a: Tensor, b: Tensor, axis: number) => Tensor)[] = [
  (a) => a.tanh(),
  (a) => a.sigmoid(),
  (a) => a.relu(),
  (a) => gelu(a).tanh(),
  (a) => positive(a).log(),
  (a) => positive(a).sqrt(),
  (a, b) => broadcast(a, b, (x, y) => x.add(y).mul(0.5)),
  (a, b) => broadcast(a, b, (x, y) => x.tanh().mul(y)),
  (a, b) => broadcast(a, b, (x, y) => x.sub(y).tanh()),
  (a, b) => broadcast(a, b, (x, y) => x.tanh().div(positive(y))),
  (a, b) => broadcast(a, b, (x, y) => where(x.gt(0.1), x, y)),
  (a, b) => broadcast(a, b, (x, y) => x.maximum(y)),
  (a, _, axis) => a.softmax(axis),
  (a, _, axis) => a.logSoftmax(axis).mul(0.3),
  (a, _, axis) => a.mean(axis, { keepDims: true }),
  (a, _, axis) => a.sum(axis, { keepDims: true }).tanh(),
  (a, _, axis) => a.max(axis, { keepDims: true }),
  (a, _, axis) => a.variance(axis, { keepDims: true, correction: 0 }),
  (a) => layerNorm(a.mul(3), [a.shape[1]!]).mul(0.5),
  (a) => a.permute([1, 0]),
  (a) => a.reshape([a.shape[1]!, a.shape[0]!]),
  (a) => a.reshape([a.size]).reshape([1, -1]),
  (a, _, axis) => a.flip(axis),
  (a, _, axis) => a.narrow(axis, 0, Math.max(1, a.shape[axis]! - 1)),
  (a, _, axis) =>
    pad(
      a,
      axis === 0
        ? [
            [1, 0],
            [0, 0],
          ]
        : [
            [0, 0],
            [0, 1],
          ],
    ),
  (a, b) => fit(a, b).tanh(),
  (a) => a.matmul(a.permute([1, 0])).tanh(),
  (a, _, axis) => a.cumSum(axis).tanh(),
]

/** Applies `f` where the shapes broadcast, else to `a` and a number. */
function broadcast(a: Tensor, b: Tensor, f: (a: Tensor, b: Tensor) => Tensor): Tensor {
  const fits = a.shape.every((n, i) => n === b.shape[i] || n === 1 || b.shape[i] === 1)
  return fits && a.size * b.size < 4000 ? f(a, b) : f(a, b.mean())
}

/** The product of `a` with as much of `b` as fits. */
function fit(a: Tensor, b: Tensor): Tensor {
  const n = Math.min(a.shape[1]!, b.shape[0]!)
  return a
    .narrow(1, 0, n)
    .matmul(b.narrow(0, 0, n))
    .mul(0.5)
}

function run(choices: readonly Choice[], inputs: readonly Tensor[]): Tensor[] {
  const values = [...inputs]
  for (const { op, a, b, axis } of choices) {
    // Later values are likelier, so that programs get deep.
    const pick = (at: number) => values[values.length - 1 - (at % Math.min(values.length, 4))]!
    values.push(ops[op % ops.length]!(pick(a), pick(b), axis))
  }
  return values.slice(inputs.length)
}

const program = fc.record({
  choices: fc.array(fc.record({ op: fc.nat(200), a: fc.nat(7), b: fc.nat(7), axis: fc.nat(1) }), { minLength: 2, maxLength: 12 }),
  shapes: fc.array(fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 9 })), { minLength: 2, maxLength: 3 }),
  outputs: fc.integer({ min: 1, max: 3 }),
})

const inputsOf = (shapes: readonly (readonly number[])[]) =>
  shapes.map(
    (shape, at) =>
      tensor(
        Array.from({ length: shape[0]! * shape[1]! }, (_, i) => Math.sin(1.3 * i + 2 * at + 0.7)),
        { shape: [...shape] },
      ) as Tensor,
  )

/** Some results of a program, and the gradients of all inputs. */
function outcome(
  engine: string,
  { choices, shapes, outputs }: { choices: readonly Choice[]; shapes: [number, number][]; outputs: number },
  compiled: boolean,
) {
  setEngine(engine)
  const f = (...inputs: Tensor[]) => {
    const results = run(choices, inputs).slice(-outputs)
    const loss = (...xs: Tensor[]) =>
      run(choices, xs)
        .slice(-outputs)
        .map((y) => y.square().mean())
        .reduce((a, b) => a.add(b))
    return [...results, ...(grad(loss, { argnums: inputs.map((_, i) => i) })(...inputs) as Tensor[])]
  }
  const g = compiled ? compile(f) : f
  return g(...inputsOf(shapes)).map((x) => ({ shape: x.shape, values: [...x.dataSync()].map(Number) }))
}

afterAll(() => {
  setEngine('wasm')
})

const RUNS = 300

test(`${RUNS} random programs: compiled on wasm as eager on the reference engine, gradients too`, { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(program, (made) => {
      const expected = outcome('reference', made, false)
      const actual = outcome('wasm', made, true)
      expected.forEach(({ shape, values }, i) => {
        const scale = Math.max(1, ...values.map(Math.abs))
        const result = actual[i]!
        if (JSON.stringify(result.shape) !== JSON.stringify(shape))
          throw new Error(`result ${i} has shape [${result.shape}], expected [${shape}]`)
        values.forEach((v, at) => {
          if (!(Math.abs(result.values[at]! - v) <= 1e-3 * scale))
            throw new Error(`result ${i}, element ${at}: ${result.values[at]}, expected ${v}`)
        })
      })
    }),
    { numRuns: RUNS, seed: 20260 },
  )
})

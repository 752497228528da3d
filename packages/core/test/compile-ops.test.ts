import { compile, CotangentError, type DType, engineNames, manualSeed, setEngine, type Tensor } from 'cotangent'
import { afterEach, describe, expect, test } from 'vitest'
import { isFloat } from '../src/dtype.ts'
import { type OpEntry, type Sample, table } from '../src/op/table.ts'
import { type Layout, layouts, makeArguments, tensorsIn, withTensors } from './samples.ts'

const engines = engineNames()
const ops = [...table.values()]
/** Ops whose result's shape depends on values, on all samples or some: a program cannot have them. */
const dataDependent = ['nonzero', 'maskedSelect', 'bincount', 'unique', 'at']

afterEach(() => {
  setEngine(engines[0]!)
})

interface Outcome {
  readonly error?: string
  readonly results: readonly { readonly dtype: DType; readonly shape: readonly number[]; readonly values: readonly (number | bigint)[] }[]
}

/** What an op gives, then the gradients of its weighted sum by its float inputs: the whole in one function of tensors. */
function outcome(
  op: OpEntry,
  sample: Sample,
  layout: Layout,
  wrap: (f: (...xs: Tensor[]) => Tensor[]) => (...xs: Tensor[]) => Tensor[],
): Outcome {
  const args = makeArguments(op.name, sample, { layout })
  const f = wrap((...xs) => {
    const own = xs.map((x) => (isFloat(x.dtype) ? x.detach().setRequiresGrad() : x))
    const out = tensorsIn(op.call(...withTensors(args, own)))
    const roots = out.filter((y) => y.requiresGrad)
    if (roots.length === 0) return out
    const loss = roots.map((y) => y.mul(y.detach().mul(0.1).add(1)).sum()).reduce((a, b) => a.add(b))
    loss.backward()
    return [...out.map((y) => y.detach()), ...own.flatMap((x) => x.grad ?? [])]
  })
  try {
    manualSeed(7)
    return { results: f(...tensorsIn(args)).map((y) => ({ dtype: y.dtype, shape: y.shape, values: [...y.dataSync()] })) }
  } catch (error) {
    if (error instanceof CotangentError) return { error: error.code, results: [] }
    throw error
  }
}

const tolerances = { float64: 1e-11, float32: 2e-5, float16: 4e-3, bfloat16: 3e-2 } as const

function expectSame(actual: Outcome, expected: Outcome, what: string): void {
  expect(actual.error, `${what}: error`).toBe(expected.error)
  const facts = ({ results }: Outcome) => results.map(({ dtype, shape }) => [dtype, shape])
  expect(facts(actual), `${what}: dtypes and shapes`).toEqual(facts(expected))
  expected.results.forEach(({ dtype, values }, i) => {
    const rtol = isFloat(dtype) ? tolerances[dtype as keyof typeof tolerances] : 0
    const scale = Math.max(1, ...values.map((v) => (Number.isFinite(Number(v)) ? Math.abs(Number(v)) : 0)))
    values.forEach((b, at) => {
      const a = actual.results[i]!.values[at]!
      if (Object.is(a, b) || a === b || (rtol > 0 && Math.abs(Number(a) - Number(b)) <= rtol * scale)) return
      expect.fail(`${what}: element ${at} of ${dtype} result ${i} is ${a}, expected ${b}`)
    })
  })
}

describe.each(engines)('compiled ops on %s', (engine) => {
  test.each(ops)('$name: as eager, forward and backward', (op) => {
    setEngine(engine)
    op.samples().forEach((sample, i) => {
      for (const layout of i === 0 && engine === 'wasm' ? layouts : (['dense'] as const)) {
        const expected = outcome(op, sample, layout, (f) => f)
        const actual = outcome(op, sample, layout, compile)
        if (actual.error === 'tracer-read' && dataDependent.includes(op.name)) continue
        expectSame(actual, expected, `${layout} sample ${i} ${JSON.stringify(sample.args)}`)
      }
    })
  })
})

/** What ops give or refuse, for tests that compare two ways of running them. */
import { CotangentError, type DType, manualSeed, type Tensor } from 'cotangent'
import { expect } from 'vitest'
import { isFloat } from '../src/dtype.ts'
import type { OpEntry, Sample } from '../src/op/table.ts'
import { makeArguments, type MakeOptions, tensorsIn, withTensors } from './samples.ts'

export interface Outcome {
  readonly error?: string
  readonly results: readonly { readonly dtype: DType; readonly shape: readonly number[]; readonly values: readonly (number | bigint)[] }[]
}

/** The numbers of the tensors that `body` gives, or the code of the error that it ends in. */
export function outcomeOf(body: () => readonly Tensor[]): Outcome {
  try {
    return { results: body().map((y) => ({ dtype: y.dtype, shape: y.shape, values: [...y.dataSync()] })) }
  } catch (error) {
    if (error instanceof CotangentError) return { error: error.code, results: [] }
    throw error
  }
}

/** What an op gives, then the gradients of its weighted sum by its float inputs: the whole in one function of tensors. */
export function outcomeOfOp(
  op: OpEntry,
  sample: Sample,
  options: MakeOptions,
  wrap: (f: (...xs: Tensor[]) => Tensor[]) => (...xs: Tensor[]) => Tensor[] = (f) => f,
): Outcome {
  const args = makeArguments(op.name, sample, options)
  const f = wrap((...xs) => {
    const own = xs.map((x) => (isFloat(x.dtype) ? x.detach().setRequiresGrad() : x))
    const out = tensorsIn(op.call(...withTensors(args, own)))
    const roots = out.filter((y) => y.requiresGrad)
    if (roots.length === 0) return out
    const loss = roots.map((y) => y.mul(y.detach().mul(0.1).add(1)).sum()).reduce((a, b) => a.add(b))
    loss.backward()
    return [...out.map((y) => y.detach()), ...own.flatMap((x) => x.grad ?? [])]
  })
  return outcomeOf(() => {
    manualSeed(7)
    return f(...tensorsIn(args))
  })
}

const tolerances = { float64: 1e-11, float32: 2e-5, float16: 4e-3, bfloat16: 3e-2 } as const

/** Equal dtypes and shapes, and values to rounding. */
export function expectSame(actual: Outcome, expected: Outcome, what: string): void {
  expect(actual.error, `${what}: error`).toBe(expected.error)
  expect(
    actual.results.map(({ dtype, shape }) => [dtype, shape]),
    `${what}: dtypes and shapes`,
  ).toEqual(expected.results.map(({ dtype, shape }) => [dtype, shape]))
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

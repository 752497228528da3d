/** What ops give or refuse, for tests that compare two ways of running them. */
import { CotangentError, type DType, type Tensor } from 'cotangent'
import { expect } from 'vitest'
import { isFloat } from '../src/dtype.ts'

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

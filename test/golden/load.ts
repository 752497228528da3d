import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type DType, engineNames, setEngine, Tensor, tensor } from 'cotangent'
import { isFloat } from '../../packages/core/src/dtype.ts'

/** Trees of tensors and plain values. */
export type Tree = Tensor | number | boolean | string | null | readonly Tree[] | { readonly [key: string]: Tree }

/** Numbers as JSON can hold them. */
interface EncodedTensor {
  readonly $: DType
  readonly shape: readonly number[]
  readonly values: readonly (number | string)[]
}

/** One call, with what PyTorch gave for it; see golden.py. */
export interface GoldenCase {
  readonly name: string
  readonly note?: string
  readonly args: unknown[]
  readonly out: unknown
  /** How many results have a gradient, where gradients are recorded. */
  readonly differentiable?: number
  /** Gradients of the sum of these results, weighted, by all float tensors in `args`, in order. */
  readonly gradients?: readonly EncodedTensor[]
  readonly rtol?: number
  readonly atol?: number
}

const folder = new URL('./data/', import.meta.url)

/** The families that have golden vectors. */
export function goldenFamilies(): string[] {
  return readdirSync(folder).flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : []))
}

/** The cases of a family, as `test/golden/<family>.py` wrote them. */
export function loadGolden(family: string): { torch: string; cases: GoldenCase[] } {
  return JSON.parse(readFileSync(new URL(`${family}.json`, folder), 'utf8'))
}

/** A case for test titles: `sum: two axes`. */
export const titleOf = ({ name, note }: GoldenCase): string => (note ? `${name} (${note})` : name)

/** The arguments (or results) of a case as tensors of the current engine and plain values. */
export function decode(encoded: unknown): Tree {
  if (Array.isArray(encoded)) return encoded.map(decode)
  if (typeof encoded !== 'object' || encoded === null) return encoded as Tree
  if ('$' in encoded) {
    if (encoded.$ === 'number') return numberOf((encoded as unknown as { value: string }).value)
    const { $: dtype, shape, values } = encoded as EncodedTensor
    return tensor(dtype === 'int64' ? values.map((v) => BigInt(v)) : values.map(numberOf), { shape, dtype })
  }
  return Object.fromEntries(Object.entries(encoded).map(([key, value]) => [key, decode(value)]))
}

const words: Record<string, number> = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, '-inf': Number.NEGATIVE_INFINITY, '-0': -0 }

const numberOf = (v: number | string): number => (typeof v === 'number' ? v : words[v]!)

/** The tensors in a tree, in order. */
export function tensorsIn(tree: Tree): Tensor[] {
  if (tree instanceof Tensor) return [tree]
  if (typeof tree !== 'object' || tree === null) return []
  return (Array.isArray(tree) ? tree : Object.values(tree)).flatMap(tensorsIn)
}

/** Declares one test a case of a family on every engine; `find` gives the function that a case's name means. */
export function testGolden(family: string, find: (golden: GoldenCase) => (...args: never[]) => unknown): void {
  const { torch, cases } = loadGolden(family)
  describe.each(engineNames())(`${family} against PyTorch ${torch} on %s`, (engine) => {
    test.each([...new Set(cases.map((c) => c.name))])('%s', (name) => {
      expect.hasAssertions()
      setEngine(engine)
      for (const golden of cases.filter((c) => c.name === name)) {
        try {
          checkGolden(golden, find(golden))
        } catch (error) {
          if (error instanceof Error) error.message = `${titleOf(golden)}: ${error.message}`
          throw error
        }
      }
    })
  })
}

/**
 * Runs a case through `call` and compares results and gradients, dtypes and shapes. `call` gets the case's arguments and gives
 * a tree of tensors in the order of the case's results.
 */
export function checkGolden(golden: GoldenCase, call: (...args: never[]) => unknown): void {
  const args = decode(golden.args) as never[]
  const variables = tensorsIn(args).filter((x) => isFloat(x.dtype))
  if (golden.gradients) for (const x of variables) x.requiresGrad = true
  const out = tensorsIn(call(...args) as Tree)
  const expected = tensorsIn(decode(golden.out))
  expect(out.length, 'number of results').toBe(expected.length)
  out.forEach((y, i) => expectClose(y, expected[i]!, golden, `result ${i}`))
  if (!golden.gradients) return
  const roots = out.filter((y) => y.requiresGrad)
  expect(roots.length, 'number of differentiable results').toBe(golden.differentiable)
  const loss = roots.map((y) => y.mul(weightsOf(y)).sum()).reduce((a, b) => a.add(b))
  loss.backward()
  golden.gradients.forEach((g, i) => {
    const x = variables[i]!
    expectClose(x.grad ?? x.newFull(x.shape, 0), decode(g) as Tensor, golden, `gradient of float argument ${i}`)
  })
}

/** The weights from which gradients start: golden.py has the same. */
function weightsOf({ size, shape, dtype }: Tensor): Tensor {
  return tensor(
    Array.from({ length: size }, (_, i) => [0.5, -0.75, 1, -1.25][i % 4]!),
    { shape, dtype },
  )
}

/** How close results must be by default; bfloat16 has 8 bits, float16 11. */
const tolerances: Record<string, { rtol: number; atol: number }> = {
  float64: { rtol: 1e-12, atol: 1e-14 },
  float32: { rtol: 3e-6, atol: 1e-6 },
  float16: { rtol: 2e-3, atol: 1e-6 },
  bfloat16: { rtol: 1.6e-2, atol: 1e-6 },
}

/** Compares dtype, shape and values: exactly for integers and bools, else |a - b| <= atol + rtol * |b|. NaN equals NaN. */
export function expectClose(actual: Tensor, expected: Tensor, tolerance: { rtol?: number; atol?: number } = {}, what = 'result'): void {
  expect(actual.dtype, `dtype of ${what}`).toBe(expected.dtype)
  expect(actual.shape, `shape of ${what}`).toEqual(expected.shape)
  const { rtol, atol } = { ...(tolerances[expected.dtype] ?? { rtol: 0, atol: 0 }), ...definedOf(tolerance) }
  const a = actual.dataSync()
  const b = expected.dataSync()
  for (let i = 0; i < b.length; i++) {
    const x = Number(a[i])
    const y = Number(b[i])
    if (a[i] === b[i] || (Number.isNaN(x) && Number.isNaN(y))) continue
    // Not toBeCloseTo: one assertion an element would take most of the suite's time.
    if (!(Math.abs(x - y) <= atol + rtol * Math.abs(y))) {
      expect.fail(`${what}, element ${i} of [${expected.shape}]: got ${x}, expected ${y} (off by ${Math.abs(x - y)})`)
    }
  }
}

const definedOf = ({ rtol, atol }: { rtol?: number; atol?: number }) => ({ ...(rtol !== undefined && { rtol }), ...(atol !== undefined && { atol }) })

import { isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { noGrad, withModes } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { gradientsOf } from './backward.ts'

/** How closely `gradCheck` compares gradients with central differences. The defaults are for float64; float32 needs far looser ones. */
export interface GradCheckOptions {
  /** Step of the central differences. Default 1e-5. */
  readonly step?: number
  /** Allowed difference, relative to the larger of the two derivatives. Default 1e-6. */
  readonly rtol?: number
  /** Allowed absolute difference. Default 1e-7: differences of float64 numbers around 1 are good to about 1e-11 / step. */
  readonly atol?: number
  /** Elements of each input to vary, spread evenly; all, if not given. */
  readonly elements?: number
  /** 2: check gradients of the gradient as well. Default 1. */
  readonly order?: 1 | 2
}

/** One element of a gradient that central differences contradict. */
export interface GradMismatch {
  readonly order: 1 | 2
  /** Which input, and which of its elements in row-major order. */
  readonly input: number
  readonly element: number
  readonly expected: number
  readonly actual: number
}

/**
 * Compares the gradients of `f` with central differences, (f(x + h) - f(x - h)) / 2h for each element of each float input.
 *
 * @param f From tensors to a tensor or several; what counts is their sum, weighted unevenly.
 * @param inputs float64 where differentiable (smaller floats are too coarse), on a synchronous engine. Keep them away from kinks.
 * @returns Where they differ; nothing if all is well. `assertGradients` throws instead.
 */
export function gradCheck(
  f: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
  inputs: readonly Tensor[],
  options: GradCheckOptions = {},
): GradMismatch[] {
  inputs.forEach((x) => {
    if (isFloat(x.dtype) && x.dtype !== 'float64') {
      throw new CotangentError('dtype-mismatch', {
        op: 'gradCheck',
        message: 'differences need float64 inputs',
        dtypes: [x.dtype],
        hint: "Use x.cast('float64').",
      })
    }
  })
  const value = (...xs: Tensor[]) => weightedSum(f(...xs))
  const found = compare(value, inputs, options, 1)
  if (options.order !== 2 || found.length > 0) return found
  const slope = (...xs: Tensor[]) => {
    const sum = value(...xs)
    const variables = xs.filter((x) => x.requiresGrad)
    const gradients = sum?.edge ? gradientsOf([sum], variables, [undefined], { createGraph: true }) : []
    return weightedSum(gradients.filter((g) => g !== null))
  }
  return compare(slope, inputs, options, 2)
}

/** Throws a `CotangentError` unless `gradCheck` finds nothing. */
export function assertGradients(
  f: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
  inputs: readonly Tensor[],
  options: GradCheckOptions = {},
): void {
  const [worst] = gradCheck(f, inputs, options).sort((a, b) => Math.abs(b.actual - b.expected) - Math.abs(a.actual - a.expected))
  if (!worst) return
  throw new CotangentError('no-gradient', {
    op: 'gradCheck',
    message: `gradient of order ${worst.order} by element ${worst.element} of input ${worst.input} is ${worst.actual}, central differences give ${worst.expected}`,
    shapes: inputs.map((x) => x.shape),
    hint: 'If f has a kink or is not smooth there, choose other inputs; otherwise its gradient rule is wrong.',
  })
}

/** The scalar that stands for the results; null where none of them is a float. */
function weightedSum(results: Tensor | readonly Tensor[]): Tensor | null {
  let total: Tensor | null = null
  for (const y of Array.isArray(results) ? (results as readonly Tensor[]) : [results as Tensor]) {
    if (!isFloat(y.dtype)) continue
    // Weights that differ, so that errors do not cancel: 1, 2, 3... around their mean.
    const weights = y
      .newFull(y.shape, 1)
      .reshape([y.size])
      .cumSum(0)
      .sub(y.size / 2 + 0.2)
      .reshape(y.shape)
    const part = y.mul(weights.div(Math.max(1, y.size))).sum()
    total = total ? total.add(part) : part
  }
  return total
}

function compare(
  f: (...xs: Tensor[]) => Tensor | null,
  inputs: readonly Tensor[],
  { step = 1e-5, rtol = 1e-6, atol = 1e-7, elements = Number.POSITIVE_INFINITY }: GradCheckOptions,
  order: 1 | 2,
): GradMismatch[] {
  const differentiable = inputs.map((x) => isFloat(x.dtype))
  const fresh = () => inputs.map((x, i) => (differentiable[i] ? x.detach().setRequiresGrad() : x))
  const variables = fresh()
  const root = withModes({ grad: true }, () => f(...variables))
  const wanted = variables.filter((_, i) => differentiable[i])
  const analytic = root?.edge ? gradientsOf([root], wanted, [undefined]) : wanted.map(() => null)
  const mismatches: GradMismatch[] = []
  const at = (xs: Tensor[]): number => (order === 1 ? noGrad(() => f(...xs)?.item() ?? 0) : (f(...xs)?.item() ?? 0))

  inputs.forEach((x, input) => {
    if (!differentiable[input]) return
    const gradient = analytic[wanted.indexOf(variables[input]!)]
    const actualValues = gradient ? Array.from(gradient.dataSync(), Number) : undefined
    const values = Float64Array.from(x.dataSync(), Number)
    const along = (element: number, amount: number): number => {
      const moved = values.slice()
      moved[element]! += amount
      const xs = fresh()
      xs[input] = withValues(x, moved)
      return at(order === 1 ? xs.map((t) => t.detach()) : xs)
    }
    const stride = Math.max(1, Math.ceil(x.size / elements))
    for (let element = 0; element < x.size; element += stride) {
      const expected = (along(element, step) - along(element, -step)) / (2 * step)
      const actual = actualValues?.[element] ?? 0
      const slack = atol + rtol * Math.max(Math.abs(expected), Math.abs(actual))
      if (!(Math.abs(expected - actual) <= slack)) mismatches.push({ order, input, element, expected, actual })
    }
  })
  return mismatches
}

/** A float64 leaf of x's shape on x's engine with these values, which requires gradients. */
function withValues(x: Tensor, values: Float64Array): Tensor {
  const copy = noGrad(() => x.detach().clone())
  copy.engine.write(copy.storage.buffer, 'float64', copy.offset, values)
  return copy.setRequiresGrad()
}

import { isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { withModes } from '../tensor/modes.ts'
import type { Scalar } from '../tensor/scalar.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { TapeNode } from './tape.ts'

/**
 * Runs `body` with every result, forward and backward, checked for NaN: the first one stops the program with an error that
 * names the op and the line of yours that called it. Slow; for debugging.
 */
export function detectAnomaly<T>(body: () => T): T {
  return withModes({ anomaly: checks }, body, 'detectAnomaly')
}

/** What the mode checks: a value of it, so that programs without `detectAnomaly` need not carry the checks. */
export interface AnomalyChecks {
  results(op: string, inputs: readonly (Tensor | Scalar)[], outputs: readonly Tensor[]): void
  /** Runs a node's gradient rule; NaN in or on the way to its results is an error that names the op and the line that called it. */
  gradients(node: TapeNode, run: () => readonly (Tensor | null)[]): readonly (Tensor | null)[]
}

const checks: AnomalyChecks = { results: checkResults, gradients: checkedGradients }

function checkResults(op: string, inputs: readonly (Tensor | Scalar)[], outputs: readonly Tensor[]): void {
  if (!outputs.some(hasNaN)) return
  throw new CotangentError('non-finite', {
    op,
    message: `the result has NaN${inputs.some((x) => 'isTracer' in x && hasNaN(x)) ? ', from NaN in its input' : ''}; called from ${userLine(new Error().stack)}`,
    shapes: outputs.map((o) => o.shape),
    hint: 'Look at the inputs of this call: log, sqrt or division of zero or negative numbers, or overflow, are the usual causes.',
  })
}

function checkedGradients(node: TapeNode, run: () => readonly (Tensor | null)[]): readonly (Tensor | null)[] {
  try {
    const gradients = run()
    if (!gradients.some((g) => g && hasNaN(g))) return gradients
  } catch (error) {
    if (error instanceof CotangentError && error.code === 'non-finite') throw gradientHasNaN(node, error)
    throw error
  }
  throw gradientHasNaN(node)
}

function gradientHasNaN(node: TapeNode, cause?: CotangentError): CotangentError {
  return new CotangentError('non-finite', {
    op: node.name,
    message: `its gradient has NaN; the op was called from ${userLine(node.trace)}`,
    hint: 'The derivative is undefined there, e.g. sqrt or log at 0: keep the argument away from it, or mask it with where() before the op.',
    cause,
  })
}

function hasNaN(x: Tensor): boolean {
  if (!isFloat(x.dtype) || x.isTracer || x.size === 0) return false
  return withModes({ grad: false, anomaly: null }, () => x.ne(x).any().item() === 1)
}

/** The first stack frame outside this library. */
export function userLine(stack: string | undefined): string {
  const frames = (stack ?? '').split('\n').filter((line) => /^\s*at |@/.test(line))
  const frame = frames.find((line) => !isLibraryFrame(line) && !line.includes('node:') && !line.includes('(<anonymous>)')) ?? frames.at(-1)
  return frame?.trim().replace(/^at /, '') ?? 'an unknown place'
}

/** Whether a line of a stack lies in this library. */
export const isLibraryFrame = (line: string): boolean => line.includes(ownDirectory)

/**
 * Where this library's code lies: `.../src/` from source (tests beside it are users), its package's `dist/`, or the file that it
 * was bundled into. As a path, which the frames of all hosts contain: some show URLs, some do not.
 */
const ownDirectory = import.meta.url
  .replace(/\/autograd\/[^/]*$/, '/')
  .replace(/\/(cotangent|core)\/dist\/.*$/, '/$1/dist/')
  .replace(/^file:\/\//, '')

import type { DType } from '../dtype.ts'
import type { Shape } from '../layout.ts'
import { Tensor } from '../tensor/tensor.ts'

/** An input that the tests make up: random values between `low` and `high`. */
export interface SampleTensor {
  readonly shape: Shape
  readonly dtype?: DType
  readonly low?: number
  readonly high?: number
  /** These very values instead of random ones. */
  readonly values?: readonly number[]
  /** The op is not differentiated by it (class weights, for one). */
  readonly constant?: boolean
}

/** One call of an op for the tests: tensors are described, other arguments are given. */
export interface Sample {
  readonly args: readonly unknown[]
  /** Where the op's gradient does not exist, or not twice, at these arguments. */
  readonly gradient?: 'none' | 'first-order'
}

/** Marks a tensor in a sample's arguments. */
export function sampleTensor(shape: Shape, options: Omit<SampleTensor, 'shape'> = {}): SampleTensor {
  return { shape, ...options }
}

/** What the table knows about one op, whatever it is made of. */
export interface OpEntry {
  readonly name: string
  /** One sentence; formulas in plain text. */
  readonly doc: string
  readonly call: (...args: never[]) => unknown
  /** Arguments for the tests: every op is run on every engine, forward and backward, with each of them. */
  readonly samples: () => readonly Sample[]
  /** Random and stateful ops give other values each time, so tests only check their shape and distribution. */
  readonly random?: boolean
}

/** The table of ops. Tests, docs and the tensor's methods are made from it. */
export const table = new Map<string, OpEntry>()

/**
 * Declares an op: enters it into the table and, unless its first argument is no tensor (`method: false`), makes it a method
 * of `Tensor`. Returns the function.
 */
export function define<F extends (...args: never[]) => unknown>(entry: Omit<OpEntry, 'call'> & { readonly call: F; readonly method?: boolean }): F {
  const { method = true, ...rest } = entry
  if (table.has(entry.name)) throw new TypeError(`the op ${entry.name} is declared twice`)
  table.set(entry.name, rest)
  // Stack traces and models that hold the function show it by its own name.
  Object.defineProperty(entry.call, 'name', { value: entry.name })
  if (method) {
    const call = entry.call as unknown as (...args: unknown[]) => unknown
    Object.defineProperty(Tensor.prototype, entry.name, {
      value(this: Tensor, ...args: unknown[]) {
        return call(this, ...args)
      },
      writable: true,
      configurable: true,
    })
  }
  return entry.call
}

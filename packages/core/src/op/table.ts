import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import type { Precision } from '../tensor/autocast.ts'
import { modes } from '../tensor/modes.ts'
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
/* @__NO_SIDE_EFFECTS__ */
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
  /** What `autocast` casts its float tensors to. Default: nothing; what it calls may have a rule of its own. */
  readonly precision?: Precision
}

/** The table of ops. Tests, docs and the tensor's methods are made from it. */
export const table = new Map<string, OpEntry>()

type AnyFunction = (...args: never[]) => unknown

/** What families of ops say of each member. Always a property, so that packages leave it out: see `scripts/strip-table.ts`. */
export type Documented = Pick<OpEntry, 'doc'>

export type Declaration<F extends AnyFunction> = Omit<OpEntry, 'call'> & { readonly call: F }

function enter<F extends AnyFunction>(entry: Declaration<F>): F {
  const { name, precision, call } = entry
  if (table.has(name)) throw new TypeError(`the op ${name} is declared twice`)
  const entered = (...args: never[]): unknown => {
    try {
      return precision && modes.autocast ? modes.autocast.call(precision, call, args) : call(...args)
    } catch (error) {
      throw error instanceof TypeError ? wrongArguments(name, args, error) : error
    }
  }
  table.set(name, { ...entry, call: entered })
  // Stack traces and models that hold the function show it by its own name.
  Object.defineProperty(entered, 'name', { value: name })
  return entered as F
}

/** What is no tensor fails somewhere within an op. What the op was given says more than where, and looking only then costs nothing. */
const wrongArguments = (op: string, args: readonly unknown[], cause: TypeError) =>
  new CotangentError('invalid-argument', { op, message: `cannot take ${kindOf(args)}`, hint: 'Make tensors with tensor(...).', cause })

/** `[tensor, [number, undefined]]` */
const kindOf = (x: unknown): string =>
  x instanceof Tensor ? 'tensor' : Array.isArray(x) ? `[${x.slice(0, 9).map(kindOf).join(', ')}]` : x === null ? 'null' : typeof x

/**
 * Declares an op: enters it into the table and makes it a method of `Tensor`. Returns the function. Methods are what arrays do: arithmetic,
 * reductions, movement, indexing, sorting. Every program holds them.
 */
export function define<F extends AnyFunction>(entry: Declaration<F>): F {
  const entered = enter(entry)
  const call = entered as unknown as (...args: unknown[]) => unknown
  Object.defineProperty(Tensor.prototype, entry.name, {
    value(this: Tensor, ...args: unknown[]) {
      return call(this, ...args)
    },
    writable: true,
    configurable: true,
  })
  return entered
}

/**
 * Declares an op that is a function only: what makes or draws tensors, what neural networks are made of (PyTorch's `nn.functional`) and special
 * functions. Bundlers leave it out of programs that do not name it.
 */
/* @__NO_SIDE_EFFECTS__ */
export function defineFunction<F extends AnyFunction>(entry: Declaration<F>): F {
  return enter(entry)
}

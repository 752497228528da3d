import { Kept, type Saved } from '../autograd/tape.ts'
import { type DType, dtypeInfo, promote } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { leavesOf, mapTree } from '../tree.ts'
import { modes, type Saver, type Tracer, withModes } from './modes.ts'
import type { Scalar } from './scalar.ts'
import { Tensor } from './tensor.ts'

/**
 * What `autocast` makes of the float tensors that an op is called with: `lower` casts them to the low precision, `float32` to
 * float32, and `widest` to the widest dtype among them. Ops that say nothing take them as they come. float64 is left alone.
 */
export type Precision = 'lower' | 'float32' | 'widest'

const lowDTypes = ['bfloat16', 'float16'] as const
type LowDType = (typeof lowDTypes)[number]

/** The mode that ops look at: a value that does the casting, so that programs without `autocast` need not carry it. */
export interface Autocast {
  readonly dtype: LowDType
  /** Weights that have been cast already; null: none are kept. */
  readonly weights: Map<Tensor, CastWeight> | null
  /** Calls an op on operands cast for it. */
  call(precision: Precision, op: (...args: never[]) => unknown, args: readonly unknown[]): unknown
}

interface CastWeight {
  readonly cast: Tensor
  readonly dtype: DType
  readonly version: number
  readonly grad: boolean
  readonly tracer: Tracer | null
}

/** What ops compute in within `autocast`. */
export interface AutocastOptions {
  /** What matrix products, convolutions and the like compute in. Default bfloat16. */
  readonly dtype?: LowDType
  /** False: ops within run in the dtypes of their operands, also inside another `autocast`. Default true. */
  readonly enabled?: boolean
  /** Whether a parameter that is used several times within the outermost `autocast` is cast only once. Default true. */
  readonly cacheWeights?: boolean
}

/**
 * Runs `body` in mixed precision: each op casts its float operands as its declaration in the table says (`Precision`). Parameters
 * stay as they are, and so do their gradients: casts are ops, whose gradient casts back. Gradients are computed in the dtypes of
 * the forward pass, wherever `backward` is called. Inside `compile` the casts become part of the kernels around them.
 *
 *     const loss = autocast(() => crossEntropy(model.forward(x), y))
 *     loss.backward()
 *
 * @throws {CotangentError} `invalid-argument` for another dtype, and if `body` is async: the mode would end at its first `await`.
 */
export function autocast<T>(body: () => T, options: AutocastOptions = {}): T {
  const { dtype = 'bfloat16', enabled = true, cacheWeights = true } = options
  if (!lowDTypes.includes(dtype)) {
    throw new CotangentError('invalid-argument', {
      op: 'autocast',
      message: `${String(dtype)} is no dtype of low precision`,
      hint: `Use one of ${lowDTypes.join(', ')}.`,
    })
  }
  const shared = modes.autocast?.weights
  const weights = cacheWeights ? (shared ?? new Map<Tensor, CastWeight>()) : null
  try {
    return withModes({ autocast: enabled ? new Casting(dtype, weights) : null }, body, 'autocast')
  } finally {
    if (!shared) weights?.clear()
  }
}

/** `f` as it would run now, for when it runs again in order to compute its gradient. */
export function inAutocastOfNow<F extends (...args: never[]) => unknown>(f: F): F {
  const { autocast: mode } = modes
  return ((...args) => (modes.autocast === mode ? f(...args) : withModes({ autocast: mode }, () => f(...args)))) as F
}

const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

const isCastable = ({ dtype }: Tensor): boolean => dtypeInfo[dtype].kind === 'float' && dtype !== 'float64'

class Casting implements Autocast {
  readonly dtype: LowDType
  readonly weights: Autocast['weights']

  constructor(dtype: LowDType, weights: Autocast['weights']) {
    this.dtype = dtype
    this.weights = weights
  }

  call(precision: Precision, op: (...args: never[]) => unknown, args: readonly unknown[]): unknown {
    const { autocast: mode, saver } = modes
    modes.autocast = null
    try {
      const operands = this.#operands(precision, args) as never[]
      if (precision === 'lower') modes.saver ??= recasting
      return op(...operands)
    } finally {
      modes.autocast = mode
      modes.saver = saver
    }
  }

  #operands(precision: Precision, args: readonly unknown[]): unknown {
    const dtype = precision === 'lower' ? this.dtype : precision === 'float32' ? 'float32' : widest(args)
    return mapTree(args, isTensor, (x) => (x.dtype === dtype || !isCastable(x) ? x : castTo(x, dtype, this.weights)))
  }
}

const widest = (args: readonly unknown[]): DType =>
  leavesOf(args, isTensor)
    .filter(isCastable)
    .map((x) => x.dtype)
    .reduce(promote, 'bool')

function castTo(x: Tensor, dtype: DType, weights: Autocast['weights']): Tensor {
  if (dtype === 'float32' || !x.requiresGrad || !x.isLeaf) return x.cast(dtype)
  const known = weights?.get(x)
  const { grad, tracer } = modes
  if (known && known.dtype === dtype && known.version === x.version && known.grad === grad && known.tracer === tracer) {
    // A scope may have taken it away, and a backward pass its place on the tape.
    if (!known.cast.released && !known.cast.edge?.node.freed) return known.cast
  }
  const cast = x.cast(dtype)
  sources.set(cast, x)
  weights?.set(x, { cast, dtype, version: x.version, grad, tracer })
  return cast
}

/** The weights that low-precision ones were cast from. */
const sources = new WeakMap<Tensor, Tensor>()

/** A weight is cast again for the gradient rather than kept until then in low precision too. */
class Recast implements Saved {
  readonly #source: Tensor
  readonly #dtype: DType
  readonly #version: number

  constructor(source: Tensor, dtype: DType) {
    this.#source = source
    this.#dtype = dtype
    this.#version = source.version
  }

  get(): Tensor | null {
    if (this.#source.version !== this.#version) return null
    return withModes({ autocast: null, saver: recasting }, () => this.#source.cast(this.#dtype))
  }
}

class Recasting implements Saver {
  /** A compiled function, too, computes it twice. */
  readonly again = this

  save(value: Tensor | Scalar): Saved {
    const source = value instanceof Tensor ? sources.get(value) : undefined
    return source ? new Recast(source, (value as Tensor).dtype) : new Kept(value)
  }
}

const recasting = /* @__PURE__ */ new Recasting()

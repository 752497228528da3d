import type { DType } from '../dtype.ts'
import type { Engine } from '../engine/engine.ts'
import { currentEngine } from '../engine/registry.ts'
import type { Spec } from '../layout.ts'
import { changes } from '../tensor/changes.ts'
import { matmulPrecision } from '../tensor/matmul-precision.ts'
import { modes } from '../tensor/modes.ts'
import { Tensor } from '../tensor/tensor.ts'
import { isPlain } from '../tree.ts'
import { identityOf } from './arguments.ts'
import type { Guard } from './graph.ts'

/** What an argument was, or a part of one. */
interface Known {
  /** Of a tensor; null for all else. */
  readonly spec: Spec | null
  /** Of arrays and plain objects, else null. */
  readonly parts: readonly Known[] | null
  /** The keys of a plain object, else null. */
  readonly names: readonly string[] | null
  /** Of an object that is no tree, so that it is not held here; null for all else. */
  readonly id: number | null
  /** Whether a tensor requires a gradient, or a plain value. */
  readonly value: unknown
}

/**
 * The arguments of a call, and all else that its program depends on, so that the next call is seen to be alike without a key
 * being made.
 */
export class LastCall {
  readonly #args: Known
  /** How many tensors there are among them. */
  readonly #tensors: number
  /** Those that last, and the count of changes at which they held; and all others. */
  readonly #lasting: readonly Guard[]
  #heldAt: number
  readonly #guards: readonly Guard[]
  readonly #engine: Engine
  readonly #grad = modes.grad
  readonly #autocast: DType | undefined = modes.autocast?.dtype
  readonly #precision = matmulPrecision()

  /**
   * For a call whose guards hold.
   *
   * @param engine Where the arguments live.
   */
  constructor(args: readonly unknown[], guards: readonly Guard[], engine: Engine) {
    this.#args = knownOf(args)
    this.#tensors = countOf(this.#args)
    this.#lasting = guards.filter(({ lasting }) => lasting)
    this.#heldAt = changes.count
    this.#guards = guards.filter(({ lasting }) => !lasting)
    this.#engine = engine
  }

  /** The tensors among the arguments of a call that is like this one; null if it is another. */
  tensorsOf(args: readonly unknown[]): readonly Tensor[] | null {
    if (modes.grad !== this.#grad || modes.autocast?.dtype !== this.#autocast || matmulPrecision() !== this.#precision) return null
    if (this.#tensors === 0 && currentEngine() !== this.#engine) return null
    const tensors = new Array<Tensor>(this.#tensors)
    if (this.#take(args, this.#args.parts!, tensors, 0) < 0) return null
    if (changes.count !== this.#heldAt && !this.#stillLast(tensors)) return null
    const guards = this.#guards
    for (let i = 0; i < guards.length; i++) if (!guards[i]!.check(tensors)) return null
    return tensors
  }

  // Nothing is made on the way, as small steps take a few microseconds.

  /**
   * Puts the tensors among `parts` into `tensors`.
   *
   * @param at How many are there already. @returns How many are there now; negative if the parts are not as they were.
   */
  #take(parts: readonly unknown[], known: readonly Known[], tensors: Tensor[], at: number): number {
    if (parts.length !== known.length) return -1
    for (let i = 0; i < known.length && at >= 0; i++) at = this.#takePart(parts[i], known[i]!, tensors, at)
    return at
  }

  #takePart(x: unknown, known: Known, tensors: Tensor[], at: number): number {
    const { spec, parts, id, value } = known
    if (spec !== null) {
      if (!(x instanceof Tensor) || x.spec !== spec || x.requiresGrad !== value || x.engine !== this.#engine) return -1
      tensors[at] = x
      return at + 1
    }
    if (id !== null) return isObject(x) && identityOf(x) === id ? at : -1
    if (parts === null) return Object.is(x, value) ? at : -1
    if (known.names !== null) return isPlain(x) ? this.#takeNamed(x, known, tensors, at) : -1
    return Array.isArray(x) ? this.#take(x, parts, tensors, at) : -1
  }

  #takeNamed(x: Readonly<Record<string, unknown>>, { names, parts }: Known, tensors: Tensor[], at: number): number {
    let i = 0
    for (const name in x) {
      if (name !== names![i] || at < 0) return -1
      at = this.#takePart(x[name], parts![i]!, tensors, at)
      i++
    }
    return i === names!.length ? at : -1
  }

  #stillLast(tensors: readonly Tensor[]): boolean {
    if (!this.#lasting.every(({ check }) => check(tensors))) return false
    this.#heldAt = changes.count
    return true
  }
}

const isObject = (x: unknown): x is object => (typeof x === 'object' && x !== null) || typeof x === 'function'

const nothing: Known = { spec: null, parts: null, names: null, id: null, value: undefined }

function knownOf(x: unknown): Known {
  if (x instanceof Tensor) return { ...nothing, spec: x.spec, value: x.requiresGrad }
  if (Array.isArray(x)) return { ...nothing, parts: Array.from(x, knownOf) }
  if (isPlain(x)) return { ...nothing, parts: Object.values(x).map(knownOf), names: Object.keys(x) }
  return isObject(x) ? { ...nothing, id: identityOf(x) } : { ...nothing, value: x }
}

const countOf = ({ spec, parts }: Known): number => (parts ? parts.reduce((sum, part) => sum + countOf(part), 0) : Number(spec !== null))

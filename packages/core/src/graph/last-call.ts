import type { DType } from '../dtype.ts'
import type { Engine } from '../engine/engine.ts'
import { currentEngine } from '../engine/registry.ts'
import type { Spec } from '../layout.ts'
import { changes } from '../tensor/changes.ts'
import { matmulPrecision } from '../tensor/matmul-precision.ts'
import { modes } from '../tensor/modes.ts'
import { Tensor } from '../tensor/tensor.ts'
import type { Guard } from './graph.ts'

/**
 * The arguments of a call, and all else that its program depends on, so that the next call is seen to be alike without a key
 * being made. Only for arguments that are tensors and plain values, not trees.
 */
export class LastCall {
  /** By argument: what a tensor has to be like, or else null. */
  readonly #specs: readonly (Spec | null)[]
  /** By argument: what a plain value has to be, or whether a tensor has to require a gradient. */
  readonly #values: readonly unknown[]
  /** How many arguments are tensors. */
  readonly #tensors: number
  /** Those that last, and the count of changes at which they held; and all others. */
  readonly #lasting: readonly Guard[]
  #heldAt: number
  readonly #guards: readonly Guard[]
  readonly #engine: Engine
  readonly #grad = modes.grad
  readonly #autocast: DType | undefined = modes.autocast?.dtype
  readonly #precision = matmulPrecision()

  private constructor(args: readonly unknown[], guards: readonly Guard[], engine: Engine) {
    this.#specs = args.map((x) => (x instanceof Tensor ? x.spec : null))
    this.#values = args.map((x) => (x instanceof Tensor ? x.requiresGrad : x))
    this.#tensors = this.#specs.filter((spec) => spec !== null).length
    this.#lasting = guards.filter(({ lasting }) => lasting)
    this.#heldAt = changes.count
    this.#guards = guards.filter(({ lasting }) => !lasting)
    this.#engine = engine
  }

  /**
   * For a call whose guards hold.
   *
   * @param engine Where the arguments live.
   */
  static of(args: readonly unknown[], guards: readonly Guard[], engine: Engine): LastCall | null {
    const isLeaf = (x: unknown) => x instanceof Tensor || x === null || (typeof x !== 'object' && typeof x !== 'function')
    if (!args.every(isLeaf)) return null
    return new LastCall(args, guards, engine)
  }

  /** The tensors among the arguments of a call that is like this one; null if it is another. */
  tensorsOf(args: readonly unknown[]): readonly Tensor[] | null {
    const specs = this.#specs
    if (args.length !== specs.length || modes.grad !== this.#grad || modes.autocast?.dtype !== this.#autocast) return null
    if (matmulPrecision() !== this.#precision) return null
    for (let i = 0; i < args.length; i++) {
      const x = args[i]
      const spec = specs[i]
      if (spec === null) {
        if (!Object.is(x, this.#values[i])) return null
      } else if (!(x instanceof Tensor) || x.spec !== spec || x.requiresGrad !== this.#values[i] || x.engine !== this.#engine) return null
    }
    if (this.#tensors === 0 && currentEngine() !== this.#engine) return null
    const tensors = this.#tensors === args.length ? (args as readonly Tensor[]) : args.filter((x) => x instanceof Tensor)
    if (changes.count !== this.#heldAt && !this.#stillLast(tensors)) return null
    const guards = this.#guards
    for (let i = 0; i < guards.length; i++) if (!guards[i]!.check(tensors)) return null
    return tensors
  }

  #stillLast(tensors: readonly Tensor[]): boolean {
    if (!this.#lasting.every(({ check }) => check(tensors))) return false
    this.#heldAt = changes.count
    return true
  }
}

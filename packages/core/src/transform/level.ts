import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { run } from '../tensor/bind.ts'
import { type GuardOptions, modes, type Tracer, withModes } from '../tensor/modes.ts'
import type { Plan, Primitive } from '../tensor/primitive.ts'
import { Scalar } from '../tensor/scalar.ts'
import { Placeholder } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'
import { leavesOf } from '../tree.ts'

export const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

/**
 * A tensor of one transformation: what user code sees has the spec of a plain tensor, and this as its memory. The values behind
 * it are tensors of the levels around, or plain ones.
 */
export abstract class Lifted extends Placeholder {
  readonly level: Level

  constructor(level: Level) {
    super()
    this.level = level
  }

  override get refusal(): { readonly message: string; readonly hint: string } {
    return {
      message: `this tensor stands for a value within ${this.level.name}(), so it has no numbers of its own`,
      hint: 'Return it from the function and read it outside, or use where() instead of a JavaScript condition on it.',
    }
  }
}

/**
 * One transformation at work. Ops on its tensors come here from the door; it says what they mean in terms of ops on the values
 * behind, which go through the door again, to the transformation around it. So they nest in any order, and with gradients: tensors
 * of every level have edges on the tape of their own.
 */
export abstract class Level implements Tracer {
  /** What the user called. */
  readonly name: string
  readonly #around: Tracer | null = modes.tracer

  constructor(name: string) {
    this.name = name
  }

  /** What an op on tensors of this level gives. Runs in the level around. */
  protected abstract apply(op: Primitive, inputs: readonly (Tensor | Scalar)[], attrs: unknown, plan: Plan): Tensor[]

  /** A tensor of this level with a value that it does not transform. */
  abstract constant(x: Tensor): Tensor

  /** Whether an op that reads no tensor of this level is transformed all the same. */
  protected concerns(_op: Primitive<never>): boolean {
    return false
  }

  get runs(): boolean {
    return this.#around === null || this.#around.runs === true
  }

  /** Runs `body` within this level. */
  within<T>(body: () => T): T {
    return withModes({ tracer: this }, body, this.name)
  }

  bind(op: Primitive<never>, inputs: readonly (Tensor | Scalar)[], attrs: unknown, plan: Plan, into?: readonly Tensor[]): Tensor[] {
    const own = inputs.some((x) => this.owns(x))
    if (into?.some((x) => this.owns(x)) || (into && own)) this.#refuseWrite(op.name, into)
    if (own || this.concerns(op)) return this.#outside(() => this.apply(op as Primitive, inputs, attrs, plan))
    return this.#outside(() => (modes.tracer ? modes.tracer.bind(op, inputs, attrs, plan, into) : run(op, plan, inputs, into as Tensor[])))
  }

  variable(x: Tensor): Tensor {
    return this.owns(x) ? new Tensor(x.spec, x.memory, x.offset) : this.constant(x)
  }

  lift(count: number, dtype: DType, compute: () => readonly number[]): Scalar[] {
    return this.#around ? this.#around.lift(count, dtype, compute) : compute().map((value) => new Scalar(value, dtype))
  }

  effect(action: () => void): void {
    if (this.#around) this.#around.effect(action)
    else action()
  }

  guard(what: string, check: () => boolean, options?: GuardOptions): void {
    this.#around?.guard(what, check, options)
  }

  gradOf(x: Tensor): Tensor | null {
    return this.#outside(() => x.grad)
  }

  setGrad(x: Tensor, gradient: Tensor | null): void {
    if (gradient && this.owns(gradient) && !this.owns(x)) {
      throw new CotangentError('unsupported', {
        op: this.name,
        message: 'backward() within it would leave a .grad that exists only there',
        hint: 'Use grad() or vjp() inside, and return the gradient.',
      })
    }
    this.#outside(() => (x.grad = gradient))
  }

  protected owns(x: Tensor | Scalar): boolean {
    return x instanceof Tensor && x.memory instanceof Lifted && x.memory.level === this
  }

  /** What is saved of values behind stays as it is: a checkpoint keeps those that its own function sees. */
  #outside<T>(body: () => T): T {
    return withModes({ tracer: this.#around, saver: null, autocast: null }, body)
  }

  #refuseWrite(op: string, into: readonly Tensor[]): never {
    throw new CotangentError('modified-in-place', {
      op,
      message: `writing in place is not possible with values of ${this.name}()`,
      shapes: into.map((x) => x.shape),
      hint: 'Make a new tensor, with where(), indexPut() or scatter(), and return what should be kept.',
    })
  }
}

/** The tensors of `tree`, which must fit those of `like` one by one. */
export function matching(op: string, what: string, tree: unknown, like: readonly Tensor[]): Tensor[] {
  const leaves = leavesOf(tree, isTensor)
  if (leaves.length !== like.length) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `${leaves.length} ${what}s were given for ${like.length} tensors`,
      hint: `Give one ${what} for each, in the same structure.`,
    })
  }
  return leaves.map((leaf, i) => {
    const { shape, dtype } = like[i]!
    if (leaf.shape.length !== shape.length || leaf.shape.some((n, axis) => n !== shape[axis])) {
      throw new CotangentError('shape-mismatch', {
        op,
        message: `${what} ${i} has another shape than its tensor`,
        shapes: [leaf.shape, shape],
        hint: `A ${what} has the shape of what it belongs to.`,
      })
    }
    return leaf.cast(dtype)
  })
}

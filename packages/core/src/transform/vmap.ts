import { CotangentError } from '../errors.ts'
import { normalizeAxis, spec } from '../layout.ts'
import { bind } from '../tensor/bind.ts'
import type { Plan, Primitive } from '../tensor/primitive.ts'
import type { Scalar } from '../tensor/scalar.ts'
import { Tensor } from '../tensor/tensor.ts'
import { mapTree } from '../tree.ts'
import { type BatchedAttrs, batchedPrimitive, examples } from './batched.ts'
import { tangentsOf } from './jvp.ts'
import { isTensor, Level, Lifted } from './level.ts'

/** What drawing random numbers inside of `vmap` does: it is refused, or examples get numbers of their own, or all the same ones. */
export type Randomness = 'error' | 'different' | 'same'

/** What every example has, or (not `mapped`) one value for all. The examples lie along axis 0. */
class Examples extends Lifted {
  readonly value: Tensor
  readonly mapped: boolean

  constructor(level: VmapLevel, value: Tensor, mapped: boolean) {
    super(level)
    this.value = value
    this.mapped = mapped
  }

  override detached(): Examples {
    return new Examples(this.level as VmapLevel, this.value.detach(), this.mapped)
  }
}

class VmapLevel extends Level {
  readonly size: number
  readonly #randomness: Randomness

  constructor(size: number, randomness: Randomness) {
    super('vmap')
    this.size = size
    this.#randomness = randomness
  }

  /** A tensor that stands for one example of `value`, whose axis 0 counts them. */
  example(value: Tensor, mapped = true): Tensor {
    return new Tensor(spec(value.dtype, mapped ? value.shape.slice(1) : value.shape), new Examples(this, value, mapped), 0)
  }

  constant(x: Tensor): Tensor {
    return this.example(x, false)
  }

  /** What stands behind a tensor that the function made. */
  behind(x: Tensor): { readonly value: Tensor; readonly mapped: boolean } {
    return this.owns(x) ? (x.memory as Examples) : { value: x, mapped: false }
  }

  protected override concerns(op: Primitive<never>): boolean {
    return op.random === true
  }

  protected apply(op: Primitive, inputs: readonly (Tensor | Scalar)[], attrs: unknown, _plan: Plan): Tensor[] {
    if (op.random && this.#randomness === 'error') {
      throw new CotangentError('invalid-argument', {
        op: op.name,
        message: 'draws random numbers inside vmap(), which was not told whether every example gets its own',
        hint: "Pass vmap(f, { randomness: 'different' }), or 'same'.",
      })
    }
    const parts = inputs.map((x) => (x instanceof Tensor ? this.behind(x) : { value: x, mapped: false }))
    const values = parts.map((p) => p.value)
    const mapped = parts.map((p) => p.mapped)
    const different = op.random === true && this.#randomness === 'different'
    if (!different && !mapped.includes(true)) return bind(op, values, attrs).map((y) => this.example(y, false))
    const batched = batchedPrimitive(op, rulesOf)
    return bind(batched, values, { attrs, mapped, size: this.size, different }).map((y) => this.example(y))
  }
}

/** Runs a rule of the op itself on tensors that stand for one example each. */
function inLevel<T>({ size, different }: BatchedAttrs, body: (level: VmapLevel) => T): T {
  const level = new VmapLevel(size, different ? 'different' : 'same')
  return level.within(() => body(level))
}

function rulesOf(op: Primitive): Pick<Primitive<BatchedAttrs>, 'gradient' | 'tangent'> {
  const inExamples = (level: VmapLevel, tensors: readonly (Tensor | null)[], mapped?: readonly boolean[]) =>
    tensors.map((x, i) => (x instanceof Tensor && (mapped?.[i] ?? true) ? level.example(x) : x))
  const all = (list: readonly unknown[]) => list.map(() => true)
  return {
    gradient(gradients, { attrs: batch, inputs, outputs, inputSpecs, outputSpecs, wanted }) {
      const { attrs, mapped, size } = batch
      const { level, found } = inLevel(batch, (own) => ({
        level: own,
        found: op.gradient!(inExamples(own, gradients) as Tensor[], {
          attrs,
          inputs: inExamples(own, inputs, mapped),
          outputs: inExamples(own, outputs),
          inputSpecs: examples(inputSpecs, mapped),
          outputSpecs: examples(outputSpecs, all(outputSpecs)),
          wanted,
        }),
      }))
      return found.map((g, i) => {
        if (!g) return null
        const { value, mapped: own } = level.behind(g)
        if (mapped[i]) return own ? value : value.expand([size, ...value.shape])
        return own ? value.sum(0) : value.mul(size)
      })
    },
    tangent(tangents, { attrs: batch, inputs, outputs, inputSpecs, outputSpecs }) {
      const { attrs, mapped, size } = batch
      const { level, found } = inLevel(batch, (own) => ({
        level: own,
        found: tangentsOf(op, inExamples(own, tangents, mapped), {
          attrs,
          inputs: inExamples(own, inputs, mapped),
          outputs: inExamples(own, outputs),
          inputSpecs: examples(inputSpecs, mapped),
          outputSpecs: examples(outputSpecs, all(outputSpecs)),
        }),
      }))
      return found.map((t) => {
        if (!t) return null
        const { value, mapped: own } = level.behind(t)
        return own ? value : value.expand([size, ...value.shape])
      })
    },
  }
}

/** An axis for all tensors of an argument, null for one that all examples share, or a tree of both. */
export type Axes = number | null | readonly Axes[] | { readonly [key: string]: Axes }

/** Which axes of arguments and results are the examples, and what random ops do for them. */
export interface VmapOptions {
  /** Where each argument has its examples: one axis for all (default 0), or a list with an entry an argument. */
  readonly inAxes?: Axes
  /** Where the results have theirs (default 0); null for results that are the same for all examples. */
  readonly outAxes?: Axes
  /** What random ops do: `error` (default), draw anew for each example (`different`), or once for all (`same`). */
  readonly randomness?: Randomness
}

const isAxis = (x: unknown): x is number | null => x === null || typeof x === 'number'

/**
 * Makes a function of one example a function of a batch, without a loop: every op takes all examples at once, whichever op it is.
 * As JAX's and torch.func's `vmap`; nests with itself, `grad`, `vjp` and `jvp`.
 *
 *     const perExample = vmap(grad(loss), { inAxes: [null, 0, 0] })
 *
 * Inside, tensors have the shape of one example and no values to look at: a JavaScript condition on them is an error.
 *
 * @throws `shape-mismatch` if arguments differ in how many examples they have, `invalid-argument` if none has an axis of them,
 *   `modified-in-place` on a write into a tensor of the function.
 */
export function vmap<A extends readonly unknown[], R>(f: (...args: A) => R, options: VmapOptions = {}): (...args: A) => R {
  const { inAxes = 0, outAxes = 0, randomness = 'error' } = options
  return (...args) => {
    const size = batchSize(args, inAxes)
    const level = new VmapLevel(size, randomness)
    const own = mapWithAxes(args, inAxes, (x, axis) => (axis === null ? x : level.example(toFront(x, axis)))) as unknown as A
    const result = level.within(() => f(...own))
    return mapWithAxes(result, outAxes, (y, axis) => {
      const { value, mapped } = level.behind(y)
      if (axis !== null) {
        const whole = mapped ? value : value.expand([size, ...value.shape])
        return whole.moveAxis(0, normalizeAxis('vmap', axis, whole.rank))
      }
      if (!mapped) return value
      throw new CotangentError('invalid-argument', {
        op: 'vmap',
        message: 'outAxes is null for a result that differs from example to example',
        shapes: [y.shape],
        hint: 'Give the axis along which the results are to be stacked.',
      })
    }) as R
  }
}

/** Changes every tensor of a tree; an axis holds for all tensors below its place. */
function mapWithAxes(tree: unknown, axes: unknown, change: (leaf: Tensor, axis: number | null) => Tensor | void): unknown {
  if (isAxis(axes)) return mapTree(tree, isTensor, (leaf) => change(leaf, axes))
  const own = axes as Record<string, unknown> | undefined
  if (Array.isArray(tree)) return tree.map((part, i) => mapWithAxes(part, own?.[i], change))
  if (own === undefined || isTensor(tree)) {
    if (!isTensor(tree)) return tree
    throw new CotangentError('invalid-argument', {
      op: 'vmap',
      message: 'inAxes and outAxes must follow the structure of what they are for: one tensor has no axis',
      shapes: [tree.shape],
      hint: 'Give one number (or null) for everything, or a tree like the arguments or results.',
    })
  }
  if (typeof tree !== 'object' || tree === null) return tree
  return Object.fromEntries(Object.entries(tree).map(([key, part]) => [key, mapWithAxes(part, own[key], change)]))
}

const toFront = (x: Tensor, axis: number): Tensor => x.moveAxis(normalizeAxis('vmap', axis, x.rank), 0)

function batchSize(args: readonly unknown[], inAxes: Axes): number {
  const shapes: Tensor['shape'][] = []
  const sizes: number[] = []
  if (Array.isArray(inAxes) && inAxes.length !== args.length) {
    throw new CotangentError('invalid-argument', {
      op: 'vmap',
      message: `inAxes has ${inAxes.length} entries for ${args.length} arguments`,
      hint: 'Give one axis for all, or one entry an argument (null for those that all examples share).',
    })
  }
  mapWithAxes(args, inAxes, (x, axis) => {
    if (axis === null) return
    shapes.push(x.shape)
    sizes.push(x.shape[normalizeAxis('vmap', axis, x.rank)]!)
  })
  const [size] = sizes
  if (size === undefined) {
    throw new CotangentError('invalid-argument', {
      op: 'vmap',
      message: 'no argument has an axis of examples',
      hint: 'Pass a tensor whose inAxes entry is not null.',
    })
  }
  if (sizes.some((n) => n !== size)) {
    throw new CotangentError('shape-mismatch', {
      op: 'vmap',
      message: `the arguments have different numbers of examples: ${sizes.join(', ')}`,
      shapes,
      hint: 'Check inAxes; use null for arguments that all examples share.',
    })
  }
  return size
}

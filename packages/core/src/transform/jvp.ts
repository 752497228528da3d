import { gradientsOf } from '../autograd/backward.ts'
import type { TangentRule } from '../autograd/tape.ts'
import { isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { spec } from '../layout.ts'
import { bind } from '../tensor/bind.ts'
import { modes, withModes } from '../tensor/modes.ts'
import type { Plan, Primitive } from '../tensor/primitive.ts'
import { Scalar } from '../tensor/scalar.ts'
import { Tensor } from '../tensor/tensor.ts'
import { leavesOf, mapTree } from '../tree.ts'
import { kernelTangents } from './kernel-tangents.ts'
import { isTensor, Level, Lifted, matching } from './level.ts'

type Context = Parameters<TangentRule>[1]
type Tangents = readonly (Tensor | null)[]

/** A value with its tangent; null where that is zero. */
class Dual extends Lifted {
  readonly primal: Tensor
  readonly tangent: Tensor | null

  constructor(level: JvpLevel, primal: Tensor, tangent: Tensor | null) {
    super(level)
    this.primal = primal
    this.tangent = tangent
  }

  override detached(): Dual {
    return new Dual(this.level as JvpLevel, this.primal.detach(), null)
  }
}

class JvpLevel extends Level {
  constructor() {
    super('jvp')
  }

  pair(primal: Tensor, tangent: Tensor | null): Tensor {
    return new Tensor(spec(primal.dtype, primal.shape), new Dual(this, primal, tangent), 0)
  }

  constant(x: Tensor): Tensor {
    return this.pair(x, null)
  }

  /** A result as value and tangent. */
  split(x: Tensor): { primal: Tensor; tangent: Tensor | null } {
    return this.owns(x) ? (x.memory as Dual) : { primal: x, tangent: null }
  }

  protected apply(op: Primitive, inputs: readonly (Tensor | Scalar)[], attrs: unknown, plan: Plan): Tensor[] {
    const pairs = inputs.map((x) => (x instanceof Tensor ? this.split(x) : { primal: x, tangent: null }))
    const values = pairs.map((p) => p.primal)
    const outputs = bind(op, values, attrs)
    const tangents = pairs.map((p) => p.tangent)
    const context = { attrs, inputs: values as Tensor[], outputs, inputSpecs: values.map((x) => x.spec), outputSpecs: plan.outputs }
    const pushed = tangents.every((t) => t === null) ? [] : tangentsOf(op, tangents, context)
    return outputs.map((y, i) => this.pair(y, pushed[i] ?? null))
  }
}

/** The forward rule of an op, whichever it has. */
export function tangentsOf(op: Primitive, tangents: Tangents, context: Context): Tangents {
  if (!op.gradient) return context.outputs.map(() => null)
  if (op.code) return kernelTangents(op.code, tangents, context)
  if (typeof op.tangent === 'function') return op.tangent(tangents, context)
  if (op.tangent === 'linear') return linear(op, tangents, context)
  if (op.tangent === 'bilinear') return [bilinear(op, tangents, context)]
  return transposed(op, tangents, context)
}

function linear(op: Primitive, tangents: Tangents, { inputs, attrs }: Context): Tensor[] {
  const moved = inputs.map((x, i) => {
    if (!(x instanceof Tensor)) return new Scalar(0, (x as unknown as Scalar).spec.dtype)
    return tangents[i] ?? (isFloat(x.dtype) ? x.newFull(x.shape, 0) : x)
  })
  return bind(op, moved, attrs)
}

function bilinear(op: Primitive, [ta, tb, ...others]: Tangents, { inputs: [a, b], attrs, outputs }: Context): Tensor | null {
  const parts = [
    ...(ta ? [bind(op, [ta, b!], attrs)[0]!] : []),
    ...(tb ? [bind(op, [a!, tb], attrs)[0]!] : []),
    ...others.filter((t) => t != null).map((t) => t.expand(outputs[0]!.shape)),
  ]
  return parts.length === 0 ? null : parts.reduce((x, y) => x.add(y))
}

/** A gradient rule is linear in the gradients that it is given: the gradient of that map is the forward rule. */
function transposed(op: Primitive, tangents: Tangents, context: Context): Tangents {
  const recorded = modes.grad
  return withModes({ grad: true }, () => {
    const seeds = context.outputs.map((y) => {
      const seed = y!.newFull(y!.shape, 0)
      return isFloat(seed.dtype) ? (modes.tracer?.variable?.(seed) ?? seed).setRequiresGrad() : seed
    })
    const gradients = op.gradient!(seeds, { ...context, wanted: tangents.map((t) => t !== null) })
    const roots = gradients.flatMap((g, i) => (g?.edge && tangents[i] ? [{ g, tangent: tangents[i] }] : []))
    const variables = seeds.filter((s) => s.requiresGrad)
    const found = gradientsOf(
      roots.map((r) => r.g),
      variables,
      roots.map((r) => r.tangent),
      { createGraph: recorded },
    )
    return seeds.map((s) => found[variables.indexOf(s)] ?? null)
  })
}

/**
 * Value and directional derivative of a function (forward mode, "Jacobian-vector product"): with `f` at `primals` moving along
 * `tangents`, how its result moves. One pass, no tape; as JAX's and torch.func's `jvp`. Nests with itself, `grad` and `vmap`.
 *
 * @param primals Arguments of `f`: tensors and trees of them.
 * @param tangents Trees of the same structure, with tensors of the same shapes.
 * @returns `f`'s result, and a tree of the same structure that holds its tangents (zeros where it does not depend on `primals`).
 * @throws `invalid-argument` or `shape-mismatch` where tangents do not fit, `dtype-mismatch` where a primal is not of a float dtype.
 */
export function jvp<A extends readonly unknown[], R>(f: (...args: A) => R, primals: A, tangents: A): [value: R, tangent: R] {
  const values = leavesOf(primals, isTensor)
  for (const x of values) {
    if (isFloat(x.dtype)) continue
    throw new CotangentError('dtype-mismatch', {
      op: 'jvp',
      message: 'only floats have tangents',
      dtypes: [x.dtype],
      hint: 'Let the function take it from outside: jvp((x) => f(x, indices), ...).',
    })
  }
  const directions = matching('jvp', 'tangent', tangents, values)
  const level = new JvpLevel()
  let next = 0
  const args = mapTree(primals, isTensor, (x) => level.pair(x, directions[next++]!)) as unknown as A
  const result = level.within(() => f(...args))
  return [
    mapTree(result, isTensor, (y) => level.split(y).primal) as R,
    mapTree(result, isTensor, (y) => {
      const { primal, tangent } = level.split(y)
      return tangent ?? primal.newFull(primal.shape, 0)
    }) as R,
  ]
}

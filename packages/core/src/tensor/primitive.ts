import type { GradientRule, TangentRule } from '../autograd/tape.ts'
import { BoundedMap } from '../bounded-map.ts'
import type { DType } from '../dtype.ts'
import type { Control } from '../engine/control.ts'
import type { Engine, Executable, Program, Sequence } from '../engine/engine.ts'
import { CotangentError } from '../errors.ts'
import { sameShape, type Shape, type Spec, spec as specOf } from '../layout.ts'
import type { KernelOp } from '../op/kernel-op.ts'
import { attrsKey } from './attrs-key.ts'

/** Another way to read the same memory. `offset` and `strides` in elements. */
export interface View {
  readonly kind: 'view'
  readonly shape: Shape
  readonly strides: readonly number[]
  readonly offset: number
}

export interface OutputSpec {
  readonly dtype: DType
  readonly shape: Shape
}

/** Per input and per output, whether the gradient rule needs its value. */
interface Saves {
  readonly inputs: readonly boolean[]
  readonly outputs: readonly boolean[]
}

/** Everything about running an op on inputs of given specs, worked out once. */
export interface Plan {
  readonly inputs: readonly Spec[]
  /** How many inputs are scalars. */
  readonly params: number
  readonly outputs: readonly Spec[]
  /** Other ways to read the first input's memory, one an output, where nothing has to run. */
  readonly views: readonly View[] | null
  readonly program: Program | Sequence | Control | null
  /** See `savesOf`. */
  saves: Saves | null
  engine: Engine | null
  executable: Executable | null
}

/**
 * An op that the door knows: how shapes and dtypes follow from the inputs', what engines run for it, and its gradient.
 * Whatever asks about an op asks for these properties, never for its name.
 */
export interface Primitive<A = unknown> {
  readonly name: string
  /** Shape and dtype rule; throws a `CotangentError` on inputs that do not fit. */
  infer(inputs: readonly Spec[], attrs: A): readonly OutputSpec[]
  /**
   * What runs for it; null where a view cannot be had without moving elements (the door makes the input dense then). Kernels
   * write the strides that `outputs` have, which are dense except in place.
   */
  lower(inputs: readonly Spec[], outputs: readonly Spec[], attrs: A): Program | Sequence | Control | View | readonly View[] | null
  /** Absent where the op has no gradient. */
  readonly gradient?: GradientRule<A>
  /**
   * Forward mode: tangents of the outputs from those of the inputs. `linear`: the op itself on the tangents of its float
   * inputs; `bilinear`: linear in each of the first two inputs, and the rest is added. Absent: the transpose of `gradient`.
   */
  readonly tangent?: TangentRule<A> | 'linear' | 'bilinear'
  /** The scalar code that it is made of, if it is; tangents are derived from it then. */
  readonly code?: KernelOp<unknown>
  /** Whether it draws random numbers, by the position along the first axis of its one kernel. */
  readonly random?: boolean
  /** Which values the rule needs; all of them, if not said. */
  saves?(inputs: readonly Spec[], outputs: readonly Spec[], attrs: A): Saves
}

interface HasSpec {
  readonly spec: Spec
}

const plans = new WeakMap<Primitive<never>, Map<number | string, Plan>>()

/** Plans of one op that are kept: programs whose shapes never come again would fill the memory. */
const MOST_PLANS = 1024

/** Room for two spec ids in one exact integer. */
const pairBase = 2 ** 26

/** @param into What the outputs are written into, where that is not new memory. */
export function planOf<A>(op: Primitive<A>, inputs: readonly HasSpec[], attrs: A, into?: readonly HasSpec[]): Plan {
  let known = plans.get(op)
  if (!known) {
    known = new BoundedMap(MOST_PLANS)
    plans.set(op, known)
  }
  const strided = into?.some((t) => !t.spec.contiguous) ? into.map((t) => t.spec) : undefined
  const key = strided ? `${planKey(inputs, attrs)}>${strided.map((s) => s.id)}` : planKey(inputs, attrs)
  let plan = known.get(key)
  if (!plan) {
    plan = makePlan(
      op,
      inputs.map((i) => i.spec),
      attrs,
      strided,
    )
    known.set(key, plan)
  }
  return plan
}

function planKey(inputs: readonly HasSpec[], attrs: unknown): number | string {
  if (attrs === undefined) {
    if (inputs.length === 1) return inputs[0]!.spec.id
    if (inputs.length === 2) return (inputs[0]!.spec.id + 1) * pairBase + inputs[1]!.spec.id
  }
  let key = ''
  for (const input of inputs) key += `${input.spec.id},`
  return attrs === undefined ? key : key + attrsKey(attrs)
}

export const isViews = (lowered: unknown): lowered is readonly View[] => Array.isArray(lowered)

function makePlan<A>(op: Primitive<A>, specs: readonly Spec[], attrs: A, into: readonly Spec[] | undefined): Plan {
  const inferred = op.infer(specs, attrs)
  const targets = inferred.map((o, i) => {
    const target = into?.[i]
    return target && target.dtype === o.dtype && sameShape(target.shape, o.shape) ? target : specOf(o.dtype, o.shape)
  })
  const lowered = op.lower(specs, targets, attrs)
  const views = isViews(lowered) ? lowered : lowered?.kind === 'view' ? [lowered] : null
  const program = views || !lowered ? null : (lowered as Program | Sequence | Control)
  if (program && program.kind !== 'kernel' && targets.some((t) => !t.contiguous)) {
    throw new CotangentError('unsupported', {
      op: op.name,
      message: 'writes dense memory only, not into a view of other strides',
      shapes: targets.map((t) => t.shape),
      hint: 'Assign its result to the view instead.',
    })
  }
  const outputs = views ? views.map(({ shape, strides }, i) => specOf(inferred[i]!.dtype, shape, strides)) : targets
  return {
    inputs: specs,
    params: specs.filter((s) => s.scalar).length,
    outputs,
    views,
    program,
    saves: null,
    engine: null,
    executable: null,
  }
}

/** What is kept for the gradient of a planned op, worked out when it is first recorded: most shapes are seen without gradients only. */
export function savesOf<A>(op: Primitive<A>, plan: Plan, attrs: A): Saves {
  const { inputs, outputs } = plan
  plan.saves ??= op.saves?.(inputs, outputs, attrs) ?? { inputs: inputs.map(() => true), outputs: outputs.map(() => true) }
  return plan.saves
}

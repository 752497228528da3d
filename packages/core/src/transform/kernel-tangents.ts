import type { TangentRule } from '../autograd/tape.ts'
import { isFloat } from '../dtype.ts'
import { argsOf, type KernelBuilder, liveNodes, type Node, type NodeId, type Value } from '../engine/kernel.ts'
import { isFloatScalar, scalarTypeOf } from '../engine/scalar.ts'
import type { Spec } from '../layout.ts'
import { contributions, reduceAdjoint } from '../op/differentiate.ts'
import {
  builderFor,
  castInputs,
  computeDType,
  kernelPrimitive,
  type KernelOp,
  layOut,
  levelOf,
  loadInput,
  type RowAttrs,
} from '../op/kernel-op.ts'
import { attrsKey } from '../tensor/attrs-key.ts'
import { bind } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'

type Context = Parameters<TangentRule>[1]
type Tangents = readonly (Tensor | null)[]

const zero = (k: KernelBuilder, like: Value): Value => k.like(like, 0)

/**
 * Forward-mode differentiation of scalar code, within the kernel under construction: the derivative of an instruction is linear
 * in what it is given, so that of its result is the sum over operands of what each would contribute for its own tangent.
 *
 * @param of Values to differentiate.
 * @param known Tangents (each of its value's type) of the values to differentiate by; how those came about is not looked into.
 * @returns Their tangents, undefined where zero.
 */
function pushForward(k: KernelBuilder, of: readonly Value[], known: ReadonlyMap<NodeId, Value>): (Value | undefined)[] {
  const nodes = k.nodes.slice(0, Math.max(-1, ...of) + 1)
  const tangents: (Value | undefined)[] = []
  nodes.forEach((node, id) => {
    const given = known.get(id)
    const args = argsOf(node) as readonly Value[]
    tangents.push(given ?? (isFloatScalar(node.type) ? tangentOf(k, node, id as Value, args, (a) => tangents[a]) : undefined))
  })
  return of.map((id) => tangents[id])
}

function tangentOf(
  k: KernelBuilder,
  node: Node,
  y: Value,
  args: readonly Value[],
  tangent: (arg: Value) => Value | undefined,
): Value | undefined {
  const own = args.map(tangent)
  if (own.every((t) => t === undefined)) return undefined
  switch (node.op) {
    case 'select':
      return k.select(args[0]!, own[1] ?? zero(k, y), own[2] ?? zero(k, y))
    case 'cast':
    case 'narrow':
      return k.cast(own[0]!, node.type)
    case 'reduce': {
      const each = reduceAdjoint(k, node, own[0]!, y, args[0]!)
      return each === undefined ? undefined : k.reduce('sum', each)
    }
    default: {
      const parts = own.map((t, i) => (t === undefined ? undefined : contributions(k, node, t, y, args)[i]))
      return parts.filter((part) => part !== undefined).reduce<Value | undefined>((a, b) => (a === undefined ? b : k.add(a, b)), undefined)
    }
  }
}

/** How the tangents of an op are had: one kernel for all its outputs. */
interface Jvp {
  readonly primitive: Primitive<undefined> | null
  /** Which inputs' values the kernel reads. */
  readonly live: readonly boolean[]
  /** For each output, its position among the kernel's; null where it has no tangent. */
  readonly positions: readonly (number | null)[]
}

function makeJvp<A>(op: KernelOp<A>, inputs: readonly Spec[], outputs: readonly Spec[], attrs: A, given: readonly boolean[]): Jvp {
  const { space, axes } = layOut(op, inputs, attrs)
  const compute = computeDType(op, inputs, attrs)
  const keepDims = op.keepDims ?? (attrs as RowAttrs | undefined)?.keepDims === true

  const tangentsOf = (k: KernelBuilder, raw: readonly Value[], tangents: readonly (Value | undefined)[]) => {
    const ys = op.code(k, castInputs(op, k, raw, inputs, compute), attrs)
    const known = new Map(raw.flatMap((value, i) => (tangents[i] === undefined ? [] : [[value, tangents[i]] as const])))
    return pushForward(k, ys, known).map((t, i) => (isFloat(outputs[i]!.dtype) ? t : undefined))
  }

  // A first build with everything at hand shows which values the tangents need.
  const probe = builderFor(op.name, space, axes)
  const load = (s: Spec) => loadInput(probe, s, space, axes)
  const values = inputs.map(load)
  const found = tangentsOf(
    probe,
    values,
    inputs.map((s, i) => (given[i] ? load(s) : undefined)),
  )
  const computed = found.flatMap((t, i) => (t === undefined ? [] : [i]))
  const needed = liveNodes(
    probe.nodes,
    found.filter((t) => t !== undefined),
  )
  const live = values.map((v) => needed.has(v))
  if (computed.length === 0) return { primitive: null, live, positions: outputs.map(() => null) }
  const primitive = kernelPrimitive<undefined>({
    name: `${op.name}Tangent`,
    ...(op.random && { random: true }),
    operands: ['own'],
    axes: () => axes,
    space: () => space,
    levels: computed.map((i) => levelOf(op, i)),
    keepDims,
    code(k, all) {
      const left = [...all]
      const tangents = inputs.map((_, i) => (given[i] ? left.shift()! : undefined))
      const raw = inputs.map((s, i) => (live[i] ? left.shift()! : k.placeholder(scalarTypeOf[s.dtype], i)))
      const pushed = tangentsOf(k, raw, tangents)
      return computed.map((i) => pushed[i]!)
    },
    result: (_, __, index) => outputs[computed[index]!]!.dtype,
  })
  return { primitive, live, positions: outputs.map((_, i) => (computed.includes(i) ? computed.indexOf(i) : null)) }
}

const known = new WeakMap<KernelOp<never>, Map<string, Jvp>>()

/** The forward rule of an op in scalar code: one kernel that computes the tangents of all outputs. */
export function kernelTangents(op: KernelOp<unknown>, tangents: Tangents, { inputs, inputSpecs, outputSpecs, attrs }: Context): Tangents {
  let jvps = known.get(op)
  if (!jvps) known.set(op, (jvps = new Map()))
  const given = tangents.map((t) => t !== null)
  const key = `${inputSpecs.map(({ id }, i) => `${given[i] ? ',' : '|'}${id}`).join('')}${attrs === undefined ? '' : attrsKey(attrs)}`
  let jvp = jvps.get(key)
  if (!jvp) jvps.set(key, (jvp = makeJvp(op, inputSpecs, outputSpecs, attrs, given)))
  const { primitive, live, positions } = jvp
  if (!primitive) return positions.map(() => null)
  const values = inputs.filter((_, i) => live[i]) as Tensor[]
  const pushed = bind(primitive, [...tangents.filter((t) => t !== null), ...values], undefined)
  return positions.map((at) => (at === null ? null : pushed[at]!))
}

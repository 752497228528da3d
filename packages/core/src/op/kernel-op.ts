import type { GradientContext } from '../autograd/tape.ts'
import { BoundedMap } from '../bounded-map.ts'
import { type DType, dtypeInfo, type DTypeKind, isFloat, promote } from '../dtype.ts'
import { KernelBuilder, liveNodes, type Value } from '../engine/kernel.ts'
import { isFloatScalar, scalarTypeOf } from '../engine/scalar.ts'
import { CotangentError } from '../errors.ts'
import { broadcastShapes, broadcastStrides, rowMajor, type Shape, type Spec } from '../layout.ts'
import { attrsKey } from '../tensor/attrs-key.ts'
import { bind } from '../tensor/bind.ts'
import type { OutputSpec, Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { differentiate } from './differentiate.ts'

/** Attributes of ops that reduce: sorted non-negative axes. */
export interface RowAttrs {
  readonly axes: readonly number[]
  readonly keepDims?: boolean
}

export interface KernelOp<A> {
  readonly name: string
  /**
   * What each input computes as: `promote` joins type promotion with the others, `own` keeps its type, a dtype casts to it.
   * The last entry holds for all further inputs. Default: promote all.
   */
  readonly operands?: readonly ('promote' | 'own' | DType)[]
  /** The dtype to compute in, from the promoted one. */
  readonly compute?: (promoted: DType, attrs: A) => DType
  /** Which kinds of computing dtype the op is defined on. Default: all that its code is. */
  readonly accepts?: readonly DTypeKind[]
  /** Axes to reduce over (attributes are `RowAttrs` then); absent for elementwise ops. */
  readonly axes?: (attrs: A) => readonly number[]
  /** Whether each output has one value a row (reductions) or one an element (softmax). The last entry holds for the rest. Default: element. */
  readonly levels?: readonly Level[]
  /** Whether outputs of one value a row keep the reduced axes, with size 1. Default: as `attrs.keepDims` says. */
  readonly keepDims?: boolean
  /** Dtype of output `index`, where it is not the computing dtype or the value's own type. */
  readonly result?: (compute: DType, attrs: A, index: number) => DType
  /** The index space, where it is not what the inputs broadcast to. */
  readonly space?: (shapes: readonly Shape[], attrs: A) => Shape
  /** The op itself: scalar code from input values to output values. */
  readonly code: (k: KernelBuilder, inputs: readonly Value[], attrs: A) => readonly Value[]
  /**
   * Adjoints of the inputs, where better code is known than differentiating `code` gives (e.g. from the output, so that the
   * input need not be kept).
   */
  readonly adjoint?: (
    k: KernelBuilder,
    gradients: readonly Value[],
    inputs: readonly Value[],
    outputs: readonly Value[],
    attrs: A,
  ) => readonly (Value | undefined)[]
  /** Says so where the op has no useful derivative (comparisons, rounding). */
  readonly differentiable?: boolean
  /** See `Primitive`. */
  readonly random?: boolean
}

type Level = 'row' | 'element'

/** Gradients of one op that are kept, one for the specs of each call: those of shapes that never come again would fill the memory. */
const MOST_VJPS = 512

/** An op that is one kernel of scalar code. Its gradient comes from differentiating the code. */
/* @__NO_SIDE_EFFECTS__ */
export function kernelPrimitive<A>(op: KernelOp<A>): Primitive<A> {
  const vjps = new BoundedMap<string, Vjp>(MOST_VJPS)
  const vjpFor = (inputs: readonly Spec[], outputs: readonly Spec[], attrs: A, wanted: readonly boolean[]): Vjp => {
    let key = attrs === undefined ? '' : attrsKey(attrs)
    for (let i = 0; i < inputs.length; i++) key += wanted[i] ? `,${inputs[i]!.id}` : `|${inputs[i]!.id}`
    for (const { id } of outputs) key += `>${id}`
    let vjp = vjps.get(key)
    if (!vjp) vjps.set(key, (vjp = makeVjp(op, inputs, outputs, attrs, wanted)))
    return vjp
  }
  /** What shapes follow from is the code already, which is asked for next. */
  let inferred: { readonly inputs: readonly Spec[]; readonly attrs: A; readonly laid: Laid } | undefined
  const primitive: Primitive<A> = {
    name: op.name,
    ...(op.random && { random: true }),
    infer(inputs, attrs) {
      inferred = { inputs, attrs, laid: layOut(op, inputs, attrs) }
      return inferred.laid.outputs
    },
    lower(inputs, outputs, attrs) {
      const known = inferred?.inputs === inputs && inferred.attrs === attrs ? inferred.laid : undefined
      inferred = undefined
      const { k, values, space, axes, outputs: levels } = known ?? layOut(op, inputs, attrs)
      values.forEach((value, i) => k.output(outputs[i]!.dtype, value, outputStrides(outputs[i]!, space, axes, levels[i]!.perElement)))
      return k.build()
    },
  }
  if (op.differentiable === false) return primitive
  return {
    ...primitive,
    gradient: (gradients, context) =>
      applyVjp(vjpFor(context.inputSpecs, context.outputSpecs, context.attrs, context.wanted), gradients, context),
    code: op as KernelOp<unknown>,
    saves(inputs, outputs, attrs) {
      const wanted = inputs.map((s) => isFloat(s.dtype) && !s.scalar)
      return wanted.includes(true) ? vjpFor(inputs, outputs, attrs, wanted).live : { inputs: wanted, outputs: outputs.map(() => false) }
    },
  }
}

interface Laid {
  k: KernelBuilder
  /** The inputs as loaded, and as the code sees them. */
  raw: Value[]
  values: readonly Value[]
  space: Shape
  axes: readonly number[]
  outputs: (OutputSpec & { perElement: boolean })[]
}

/** Builds the op's code over its index space. */
export function layOut<A>(op: KernelOp<A>, inputs: readonly Spec[], attrs: A): Laid {
  const shapes = inputs.filter((s) => !s.scalar).map((s) => s.shape)
  const space = op.space?.(shapes, attrs) ?? broadcastShapes(op.name, ...shapes)
  const axes = op.axes?.(attrs) ?? []
  const k = builderFor(op.name, space, axes)
  const compute = computeDType(op, inputs, attrs)
  const raw = inputs.map((s) => loadInput(k, s, space, axes))
  const values = op.code(k, castInputs(op, k, raw, inputs, compute), attrs)
  const keepDims = op.keepDims ?? (attrs as RowAttrs | undefined)?.keepDims === true
  const rowShape = keepDims ? keptDims(space, axes) : space.filter((_, axis) => !axes.includes(axis))
  const outputs = values.map((value, i) => {
    const type = k.typeOf(value)
    const dtype = op.result?.(compute, attrs, i) ?? (scalarTypeOf[compute] === type ? compute : type)
    const row = levelOf(op, i) === 'row'
    return { dtype, shape: row ? rowShape : space, perElement: axes.length > 0 && !row }
  })
  return { k, raw, values, space, axes, outputs }
}

export function computeDType<A>(op: KernelOp<A>, inputs: readonly Spec[], attrs: A): DType {
  let promoted: DType | undefined
  const take = (scalar: boolean) =>
    inputs.forEach((s, i) => {
      if (operandRule(op, i) === 'promote' && s.scalar === scalar) promoted = promoted === undefined ? s.dtype : promote(promoted, s.dtype)
    })
  // Scalars already took their dtype from the array beside them.
  take(false)
  take(true)
  const dtype = promoted ?? inputs[0]?.dtype ?? 'float32'
  const compute = op.compute?.(dtype, attrs) ?? dtype
  if (op.accepts && !op.accepts.includes(dtypeInfo[compute].kind)) {
    throw new CotangentError('dtype-mismatch', {
      op: op.name,
      message: `is defined on ${op.accepts.map((kind) => kindNames[kind]).join(' and ')} only`,
      dtypes: inputs.map((s) => s.dtype),
      hint: 'Cast with x.cast(dtype), or compare first.',
    })
  }
  return compute
}

const kindNames = { bool: 'bools', int: 'integers', float: 'floats' } as const satisfies Record<DTypeKind, string>

export const levelOf = <A>(op: KernelOp<A>, i: number): Level => op.levels?.[Math.min(i, op.levels.length - 1)] ?? 'element'

const keptDims = (space: Shape, axes: readonly number[]): number[] => space.map((n, axis) => (axes.includes(axis) ? 1 : n))

const operandRule = <A>(op: KernelOp<A>, i: number) => op.operands?.[Math.min(i, op.operands.length - 1)] ?? 'promote'

export function castInputs<A>(op: KernelOp<A>, k: KernelBuilder, raw: readonly Value[], inputs: readonly Spec[], compute: DType): Value[] {
  return raw.map((value, i) => {
    const rule = operandRule(op, i)
    return k.cast(value, scalarTypeOf[rule === 'promote' ? compute : rule === 'own' ? inputs[i]!.dtype : rule])
  })
}

const inOrder = <T>(perAxis: readonly T[], axes: readonly number[]): T[] => [
  ...perAxis.filter((_, axis) => !axes.includes(axis)),
  ...axes.map((axis) => perAxis[axis]!),
]

export function builderFor(name: string, space: Shape, axes: readonly number[]): KernelBuilder {
  for (const axis of axes) {
    if (axis < 0 || axis >= space.length) {
      throw new CotangentError('axis-out-of-range', {
        op: name,
        message: `axis ${axis} does not exist in an array of rank ${space.length}`,
        hint: 'Axes count from 0, or from -1 backwards.',
      })
    }
  }
  const ordered = inOrder(space, axes)
  const rank = space.length - axes.length
  return new KernelBuilder(name, ordered.slice(0, rank), ordered.slice(rank))
}

export function loadInput(k: KernelBuilder, s: Spec, space: Shape, axes: readonly number[]): Value {
  if (s.scalar) return k.param(scalarTypeOf[s.dtype])
  return k.load(k.input(s.dtype), inOrder(broadcastStrides(s.shape, s.strides, space), axes))
}

function outputStrides({ strides }: Spec, space: Shape, axes: readonly number[], perElement: boolean): number[] {
  if (perElement) return inOrder(strides, axes)
  const kept = strides.length === space.length
  return [...(kept ? strides.filter((_, axis) => !axes.includes(axis)) : strides), ...axes.map(() => 0)]
}

/** How the gradient of an op is had: one kernel, or none at all where the adjoint passes through. */
interface Vjp {
  readonly primitive: Primitive<undefined>
  readonly live: { readonly inputs: readonly boolean[]; readonly outputs: readonly boolean[] }
  readonly space: Shape
  readonly axes: readonly number[]
  /** Where each input's gradient comes from. */
  readonly sources: readonly ({ readonly pass: number } | { readonly output: number } | null)[]
}

function makeVjp<A>(op: KernelOp<A>, inputs: readonly Spec[], outputs: readonly Spec[], attrs: A, wanted: readonly boolean[]): Vjp {
  const { space, axes } = layOut(op, inputs, attrs)
  const varies = inputs.map((s) => variesAlong(s.shape, space, axes))
  const compute = computeDType(op, inputs, attrs)

  /** Adjoints of the wanted inputs, from values for the gradients, inputs and outputs. */
  const adjoints = (k: KernelBuilder, gradients: readonly Value[], raw: readonly Value[], ys: readonly Value[]) => {
    const xs = castInputs(op, k, raw, inputs, compute)
    let found: readonly (Value | undefined)[]
    if (op.adjoint) {
      const asComputed = (v: Value) => k.cast(v, scalarTypeOf[compute])
      found = op.adjoint(k, gradients.map(asComputed), xs, ys.map(asComputed), attrs)
    } else {
      const seeds = op.code(k, xs, attrs).flatMap((of, i) => {
        const type = k.typeOf(of)
        return isFloatScalar(type) ? [{ of, adjoint: k.cast(gradients[i]!, type) }] : []
      })
      const variables = raw.map((value, i) => ({ value, perElement: varies[i]! }))
      found = differentiate(k, seeds, variables)
    }
    return inputs.map((s, i) => (found[i] === undefined || !wanted[i] ? undefined : k.cast(found[i], scalarTypeOf[s.dtype])))
  }

  // A first build with everything at hand shows what the gradient really needs.
  const probe = builderFor(op.name, space, axes)
  const load = (s: Spec, shape: Shape) =>
    s.scalar
      ? probe.param(scalarTypeOf[s.dtype])
      : probe.load(probe.input(s.dtype), inOrder(broadcastStrides(shape, rowMajor(shape), space), axes))
  const loadOutput = (s: Spec, i: number) => load(s, axes.length > 0 && levelOf(op, i) === 'row' ? keptDims(space, axes) : s.shape)
  const probeGradients = outputs.map(loadOutput)
  const probeInputs = inputs.map((s) => load(s, s.shape))
  const probeOutputs = outputs.map(loadOutput)
  const sources: ({ pass: number } | { output: number } | null)[] = []
  const computed: { value: Value; input: number }[] = []
  adjoints(probe, probeGradients, probeInputs, probeOutputs).forEach((value, i) => {
    if (value === undefined) sources.push(null)
    else if (probeGradients.includes(value)) sources.push({ pass: probeGradients.indexOf(value) })
    else sources.push({ output: computed.push({ value, input: i }) - 1 })
  })
  const needed = liveNodes(
    probe.nodes,
    computed.map((c) => c.value),
  )
  const live = { inputs: probeInputs.map((v) => needed.has(v)), outputs: probeOutputs.map((v) => needed.has(v)) }

  const primitive = kernelPrimitive<undefined>({
    name: `${op.name}Grad`,
    ...(op.random && { random: true }),
    operands: ['own'],
    axes: () => axes,
    space: () => space,
    levels: computed.map((c) => (varies[c.input] ? 'element' : 'row')),
    keepDims: true,
    code(k, values) {
      const given = [...values]
      const gradients = outputs.map(() => given.shift()!)
      const raw = inputs.map((s, i) => (live.inputs[i] ? given.shift()! : k.placeholder(scalarTypeOf[s.dtype], i)))
      const ys = outputs.map((s, i) => (live.outputs[i] ? given.shift()! : k.placeholder(scalarTypeOf[s.dtype], inputs.length + i)))
      const found = adjoints(k, gradients, raw, ys)
      return computed.map((c) => found[c.input]!)
    },
    result: (_, __, index) => inputs[computed[index]!.input]!.dtype,
  })
  return { primitive, live, space, axes, sources }
}

/** Whether an input of `shape` has a value of its own at each element of a row. */
function variesAlong(shape: Shape, space: Shape, axes: readonly number[]): boolean {
  return axes.some((axis) => {
    const own = axis - (space.length - shape.length)
    return own >= 0 && (shape[own] !== 1 || space[axis] === 1)
  })
}

function applyVjp<A>(vjp: Vjp, gradients: readonly Tensor[], context: GradientContext<A>): (Tensor | null)[] {
  const kept = keptDims(vjp.space, vjp.axes)
  const align = (y: Tensor) => (y.shape.length === vjp.space.length ? y : y.reshape(kept))
  const aligned = gradients.map(align)
  let computed: Tensor[] = []
  if (vjp.sources.some((s) => s && 'output' in s)) {
    const saved = [
      ...context.inputs.filter((_, i) => vjp.live.inputs[i]),
      ...context.outputs.filter((_, i) => vjp.live.outputs[i]).map((y) => align(y!)),
    ]
    computed = bind(vjp.primitive, [...aligned, ...(saved as Tensor[])], undefined)
  }
  return vjp.sources.map((source, i) => {
    if (!source || !context.wanted[i]) return null
    const { shape, dtype } = context.inputSpecs[i]!
    const gradient = 'pass' in source ? aligned[source.pass]! : computed[source.output]!
    return gradient.fitTo(shape).cast(dtype)
  })
}

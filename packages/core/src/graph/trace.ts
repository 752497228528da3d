import { userLine } from '../autograd/anomaly.ts'
import { nodesCreated } from '../autograd/tape.ts'
import { type DType, isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { scalarSpec, type Spec } from '../layout.ts'
import { checkTarget } from '../tensor/bind.ts'
import { type EffectOrigin, modes, type NumbersOrigin, type Tracer, withModes } from '../tensor/modes.ts'
import type { Plan, Primitive } from '../tensor/primitive.ts'
import { Scalar } from '../tensor/scalar.ts'
import { outsideScopes, Placeholder, Storage } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'
import { leavesOf } from '../tree.ts'
import type { Graph, GraphNode, Guard, HostStep, LiveNumber, Operand, Read, Source, Value } from './graph.ts'

export const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

/** The stack frames that are looked through for the user's line. */
const STACK_FRAMES = 40

/** What is known of a tensor that a function is traced with. */
export interface ArgumentSpec {
  readonly spec: Spec
  readonly requiresGrad: boolean
  /** Of the `.grad` that it has, if it has one. */
  readonly grad?: Spec | null
}

export interface Traced {
  readonly graph: Graph
  /** What the function returned, with tensors that stand for the graph's outputs, in order. */
  readonly result: unknown
  /** What the function recorded for gradients are tape nodes of this id and up. */
  readonly firstNode: number
  /** Goes on recording where the function left off, with more arguments, and gives the graph of everything so far. */
  extend(specs: readonly Spec[], body: (...placeholders: Tensor[]) => readonly Tensor[]): Graph
}

/**
 * Runs `f` on tensors that have a spec but no numbers, and records the ops that it calls. Tensors that `f` takes from elsewhere
 * (parameters) are captured; what it writes to them, and the `.grad`s that it leaves, are part of the graph. Nothing outside
 * changes meanwhile.
 */
export function trace(f: (...args: Tensor[]) => unknown, specs: readonly ArgumentSpec[]): Traced {
  const recorder = new Recorder()
  const placeholders = specs.map((x) => recorder.argument(x))
  const run = <T>(body: () => T): T => outsideScopes(() => withModes({ tracer: recorder, saver: null }, () => withStack(body), 'compile'))
  const firstNode = nodesCreated()
  const result = run(() => f(...placeholders))
  const graph = recorder.graph(leavesOf(result, isTensor))
  return {
    graph,
    result,
    firstNode,
    extend(more, body) {
      const added = more.map((spec) => recorder.argument({ spec, requiresGrad: false }))
      return recorder.graph(run(() => body(...added)))
    },
  }
}

function withStack<T>(body: () => T): T {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = STACK_FRAMES
  try {
    return body()
  } finally {
    Error.stackTraceLimit = limit
  }
}

type Memory = Storage | Placeholder

class Recorder implements Tracer {
  readonly #arguments: Tensor[] = []
  readonly #inputs: Read[] = []
  /** The specs of the arguments' `.grad`s. */
  readonly #argumentGrads = new Map<Tensor, Spec | null>()
  readonly #nodes: GraphNode[] = []
  readonly #host: HostStep[] = []
  readonly #guards: Guard[] = []
  readonly #live = new Map<Scalar, LiveNumber>()
  /** What memory held at first, and what it holds now. */
  readonly #initial = new Map<Memory, Value>()
  readonly #current = new Map<Memory, Value>()
  /** `before` is undefined where the function did not look. */
  readonly #gradients = new Map<Tensor, { readonly before: Tensor | null | undefined; now: Tensor | null }>()
  /** Whether tensors from outside required gradients when they were used. */
  readonly #required = new Map<Tensor, boolean>()
  /** Views that the function has made. */
  readonly #views = new WeakSet<Tensor>()
  #values = 0
  #lifts = 0

  /** A tensor that stands for one more argument. */
  argument({ spec, requiresGrad, grad = null }: ArgumentSpec): Tensor {
    const placeholder = new Placeholder()
    this.#enter(placeholder, this.#value(spec.dtype, spec.size, { kind: 'argument', index: this.#arguments.length }))
    const x = new Tensor(spec, placeholder, 0).setRequiresGrad(requiresGrad)
    this.#arguments.push(x)
    this.#inputs.push(this.#read(x))
    this.#argumentGrads.set(x, grad)
    return x
  }

  bind(op: Primitive<never>, inputs: readonly (Tensor | Scalar)[], attrs: unknown, plan: Plan, into?: readonly Tensor[]): Tensor[] {
    for (const x of inputs) if (x instanceof Tensor) this.#notice(x)
    if (plan.views) {
      const x = inputs[0] as Tensor
      const views = plan.views.map(({ offset }, i) => new Tensor(plan.outputs[i]!, x.memory, x.offset + offset))
      for (const view of views) this.#views.add(view)
      return views
    }
    const node: GraphNode = { op, inputs: inputs.map((x) => this.#operand(x)), attrs, plan, outputs: [], origin: new Error(op.name) }
    const outputs = plan.outputs.map((spec, index) => {
      const target = into?.[index]
      if (target) return this.#write(target, node, index)
      const placeholder = new Placeholder()
      this.#current.set(placeholder, this.#value(spec.dtype, spec.size, { kind: 'result', node, index }))
      return new Tensor(spec, placeholder, 0)
    })
    for (const x of outputs) node.outputs.push(this.#read(x))
    this.#nodes.push(node)
    return outputs
  }

  lift(count: number, dtype: DType, compute: () => readonly number[], origin?: NumbersOrigin): Scalar[] {
    this.#host.push({ kind: 'numbers', count, compute, origin })
    const lift = this.#lifts++
    return Array.from({ length: count }, (_, index) => {
      const scalar = new Scalar(Number.NaN, dtype)
      this.#live.set(scalar, { spec: scalarSpec(dtype), lift, index })
      return scalar
    })
  }

  effect(run: () => void, origin?: EffectOrigin): void {
    this.#host.push({ kind: 'effect', run, origin })
  }

  guard(what: string, check: Guard['check']): void {
    this.#guards.push({ what, check })
  }

  look(x: Tensor): void {
    const { memory } = x
    if (memory instanceof Placeholder) return
    if (this.#current.get(memory) !== this.#initial.get(memory)) {
      throw new CotangentError('tracer-read', {
        message: `the traced function has changed this tensor in place, so what it holds here is known only when the program runs; read at ${userLine(new Error().stack)}`,
        shapes: [x.shape],
        dtypes: [x.dtype],
        hint: 'Read it outside of the function, or use where() instead of a JavaScript condition on it.',
      })
    }
    const { version } = memory
    this.guard('the numbers of a tensor that JavaScript read', () => memory.version === version)
  }

  gradOf(x: Tensor): Tensor | null {
    let found = this.#gradients.get(x)
    if (!found) {
      const before = this.#gradientBefore(x)
      found = { before, now: before }
      this.#gradients.set(x, found)
    }
    return found.now
  }

  setGrad(x: Tensor, gradient: Tensor | null): void {
    const found = this.#gradients.get(x)
    if (found) found.now = gradient
    else this.#gradients.set(x, { before: undefined, now: gradient })
  }

  graph(outputs: readonly Tensor[]): Graph {
    const gradients = new Map<Tensor, Read | null>()
    for (const [x, { before, now }] of this.#gradients) {
      // Nobody sees those of tensors that exist only here.
      if (x.isTracer && !this.#argumentGrads.has(x)) continue
      // Memory of others is no place for a gradient.
      const lent = now && this.#initial.has(now.memory)
      if (now !== before) gradients.set(x, now && this.#read(lent ? this.#copy(now) : now))
    }
    const writes = new Map<Value, Value>()
    for (const [memory, before] of this.#initial) {
      const now = this.#current.get(memory)!
      if (now !== before) writes.set(before, now)
    }
    return {
      inputs: [...this.#inputs],
      arguments: [...this.#arguments],
      nodes: [...this.#nodes],
      outputs: outputs.map((x) => this.#read(x)),
      writes,
      gradients,
      host: [...this.#host],
      guards: this.#required.size > 0 ? [...this.#guards, this.#requirement()] : [...this.#guards],
    }
  }

  #notice(x: Tensor): void {
    if (modes.grad && !x.isTracer && isFloat(x.dtype) && !this.#views.has(x)) this.#required.set(x, x.requiresGrad)
  }

  /** Holds as long as no parameter is frozen or thawed. */
  #requirement(): Guard {
    const required = [...this.#required]
    return { what: 'which tensors require gradients', check: () => required.every(([x, wanted]) => x.requiresGrad === wanted) }
  }

  /** Stands for the gradient that a tensor has when the program starts. */
  #gradientBefore(x: Tensor): Tensor | null {
    const spec = x.isTracer ? this.#argumentGrads.get(x) : withModes({ tracer: null }, () => x.grad?.spec)
    const at = this.#arguments.indexOf(x)
    if (at >= 0) this.guard(`whether argument ${at} has a .grad`, (args) => (args[at]!.grad?.spec ?? null) === spec)
    else if (!x.isTracer) this.guard('which .grad are null', () => x.grad?.spec === spec)
    if (!spec) return null
    const placeholder = new Placeholder()
    this.#enter(placeholder, this.#value(spec.dtype, spec.size, { kind: 'gradient', of: x }))
    return new Tensor(spec, placeholder, 0)
  }

  #copy(x: Tensor): Tensor {
    return withModes({ tracer: this, grad: false }, () => x.clone())
  }

  #write(target: Tensor, node: GraphNode, index: number): Tensor {
    const spec = node.plan.outputs[index]!
    checkTarget(node.op.name, target, spec)
    const of = this.#valueOf(target)
    target.memory.version++
    const whole = target.offset === 0 && target.spec.contiguous && target.size === of.size
    this.#current.set(
      target.memory,
      this.#value(of.dtype, of.size, whole ? { kind: 'result', node, index } : { kind: 'update', of, node, index }),
    )
    return target
  }

  #operand(x: Tensor | Scalar): Operand {
    return x instanceof Tensor ? this.#read(x) : (this.#live.get(x) ?? x)
  }

  #read(x: Tensor): Read {
    return { value: this.#valueOf(x), spec: x.spec, offset: x.offset }
  }

  #valueOf({ memory, dtype }: Tensor): Value {
    const known = this.#current.get(memory)
    if (known) return known
    if (memory instanceof Placeholder) {
      throw new CotangentError('tracer-read', {
        message: 'a tensor of another traced program is used here; it stands for a value that exists only there',
        hint: 'Return it from the function that made it, and pass it in as an argument.',
      })
    }
    return this.#enter(memory, this.#value(dtype, memory.elements, { kind: 'captured', storage: memory }))
  }

  #enter(memory: Memory, value: Value): Value {
    this.#initial.set(memory, value)
    this.#current.set(memory, value)
    return value
  }

  #value(dtype: DType, size: number, source: Source): Value {
    return { id: this.#values++, dtype, size, source }
  }
}

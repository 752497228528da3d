import { userLine } from '../autograd/anomaly.ts'
import { nodesCreated } from '../autograd/tape.ts'
import { type DType, isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { scalarSpec, type Spec, spec as specOf } from '../layout.ts'
import { checkTarget } from '../tensor/bind.ts'
import { type EffectOrigin, type GuardOptions, modes, type NumbersOrigin, type Tracer, withModes } from '../tensor/modes.ts'
import type { Plan, Primitive } from '../tensor/primitive.ts'
import { Scalar } from '../tensor/scalar.ts'
import { outsideScopes, Placeholder, type Storage } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'
import { leavesOf, mapTree } from '../tree.ts'
import type { Graph, GraphNode, Guard, HostStep, LiveNumber, Operand, Read, Source, Value } from './graph.ts'

export const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

/** The stack frames that are looked through for the user's line. */
const STACK_FRAMES = 40

/** What is known of a tensor that a function is traced with. */
interface ArgumentSpec {
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

/**
 * Numbers that the host gave to a function: its own as one tensor, if there are any, then those of each control flow in it, which
 * are trees of the kind again.
 */
export type Packs = readonly unknown[]

/** A function that runs within another trace, as a graph of its own. */
interface TracedWithin {
  /** Its inputs are the arguments, then what it captured. */
  readonly graph: Graph
  readonly result: unknown
  /** Of control flow in it; outputs of the graph behind those of the result. */
  readonly packs: Packs
  /** What it uses of the trace around and of the world, as the trace around sees it: whole memories, flat. */
  readonly captured: readonly Tensor[]
  /** The tensors among them that gradients go to. */
  readonly sources: readonly Tensor[]
  /** Those captured memories that it writes; what they hold in the end are the last outputs of the graph. */
  readonly written: readonly Tensor[]
}

/**
 * Runs `f` within the trace of `around`, on its own tensors, and records its ops apart. Its results are memory that it made, one each.
 *
 * @param op What the user called, for errors.
 */
export function traceWithin(op: string, around: Recorder, f: (...args: Tensor[]) => unknown, specs: readonly Spec[]): TracedWithin {
  const recorder = new Recorder({ recorder: around, op, firstNode: nodesCreated() })
  const placeholders = specs.map((spec) => recorder.argument({ spec, requiresGrad: false }))
  const seen = new Set<Memory>()
  const owned = (x: Tensor): Tensor => {
    const made = recorder.owns(x) && !seen.has(x.memory) ? x : x.clone()
    seen.add(made.memory)
    return made
  }
  const run = () => mapTree([f(...placeholders), recorder.packs], isTensor, owned) as [unknown, Packs]
  const [result, packs] = outsideScopes(() => withModes({ tracer: recorder, saver: null, grad: false }, run, op))
  const { captured, sources, written } = recorder
  return { graph: recorder.graph([...leavesOf([result, packs], isTensor), ...written]), result, packs, captured, sources, written }
}

function refuseNumbers(op: string | undefined): never {
  throw new CotangentError('unsupported', {
    ...(op !== undefined && { op }),
    message: 'a loop that draws random numbers lies in a function that runs again for its gradient',
    hint: 'Use scan(), or draw the numbers outside and pass them in.',
  })
}

/** What a nested trace lies in. */
interface Around {
  readonly recorder: Recorder
  readonly op: string
  /** Tape nodes before this one are not of the nested function. */
  readonly firstNode: number
}

/** Numbers that an earlier run was given, for a second run of the same function. */
interface Replay {
  readonly packs: Packs
  /** How many packs have been used. */
  used: number
  /** How many numbers of the function's own have been used. */
  numbers: number
}

/** Memory from outside as it was when a function ran first, for a second run of it. */
export interface Past {
  readonly memory: Tensor
  readonly value: Tensor
}

export class Recorder implements Tracer {
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
  readonly #around: Around | undefined
  readonly #sources: Tensor[] = []
  readonly captured: Tensor[] = []
  /** Memory from around that is written here, as the trace around sees it. */
  readonly #written = new Map<Memory, Tensor>()
  /** Memory from around that has a past value here, and what is written to it goes nowhere. */
  readonly #past = new Set<Memory>()
  /** What control flow within this function was given, in order. */
  readonly packs: Packs[] = []
  #replay: Replay | null = null
  #values = 0
  #lifts = 0

  constructor(around?: Around) {
    this.#around = around
  }

  /** Of a nested trace: the tensors from around that gradients go to. */
  get sources(): Tensor[] {
    return this.#sources
  }

  /** Of a nested trace: captured memory that it writes. */
  get written(): Tensor[] {
    return [...this.#written.values()]
  }

  /** Whether a function runs again for its gradient: its effects have been seen to. */
  get replaying(): boolean {
    return this.#replay !== null
  }

  /** Runs a function again with the numbers that the host gave it the first time, and with what it has overwritten since. */
  replay<T>(packs: Packs, past: readonly Past[], body: () => T): T {
    const before = this.#replay
    this.#replay = { packs, used: 1, numbers: 0 }
    for (const {
      memory: { memory },
      value,
    } of past) {
      this.#past.add(memory)
      this.#enter(memory, this.#valueOf(this.#copy(value)))
    }
    try {
      return body()
    } finally {
      this.#replay = before
    }
  }

  /** What the next control flow was given the first time; null if this is the first time. */
  nextPacks(): Packs | null {
    return this.#replay && ((this.#replay.packs[this.#replay.used++] ?? [null]) as Packs)
  }

  /** Whether it is the whole of memory that this function made. */
  owns(x: Tensor): boolean {
    const value = this.#current.get(x.memory)
    return value !== undefined && !this.#initial.has(x.memory) && x.offset === 0 && x.spec.contiguous && x.size === value.size
  }

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
    const operands = inputs.map((x) => this.#operand(x))
    const node: GraphNode = { op, inputs: operands, attrs, plan, outputs: [], origin: new Error(op.name), again: modes.saver?.again }
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
    const replay = this.#replay
    if (replay) {
      if (!(replay.packs[0] instanceof Tensor)) refuseNumbers(this.#around?.op)
      const argument = this.#argumentAt(replay.packs[0] as Tensor)
      this.#host.push({ kind: 'given', argument, first: replay.numbers, count })
      replay.numbers += count
    } else this.#host.push({ kind: 'numbers', count, compute, origin })
    const lift = this.#lifts++
    return Array.from({ length: count }, (_, index) => {
      const scalar = new Scalar(Number.NaN, dtype)
      this.#live.set(scalar, { spec: scalarSpec(dtype), lift, index })
      return scalar
    })
  }

  effect(run: () => void, origin?: EffectOrigin): void {
    if (!this.#replay) this.#host.push({ kind: 'effect', run, origin })
  }

  guard(what: string, check: Guard['check'], { lasting = false }: GuardOptions = {}): void {
    if (this.#around) this.#around.recorder.guard(what, check, { lasting })
    else this.#guards.push({ what, check, lasting })
  }

  look(x: Tensor): void {
    // Nothing from outside changes within.
    if (this.#around) return this.#around.recorder.look(x)
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
    this.#refuseGrad(x)
    let found = this.#gradients.get(x)
    if (!found) {
      const before = this.#gradientBefore(x)
      found = { before, now: before }
      this.#gradients.set(x, found)
    }
    return found.now
  }

  setGrad(x: Tensor, gradient: Tensor | null): void {
    this.#refuseGrad(x)
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
      if (now !== before && !this.#written.has(memory) && !this.#past.has(memory)) writes.set(before, now)
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
    const { edge } = x
    if (this.#around && edge && edge.node.id < this.#around.firstNode) {
      if (!this.#sources.some((known) => known.edge!.node === edge.node && known.edge!.index === edge.index)) this.#sources.push(x)
    }
    if (modes.grad && !x.isTracer && isFloat(x.dtype) && !this.#views.has(x)) this.#required.set(x, x.requiresGrad)
  }

  /** Holds as long as no parameter is frozen or thawed. */
  #requirement(): Guard {
    const tensors = [...this.#required.keys()]
    const required = [...this.#required.values()]
    const check = () => tensors.every((x, i) => x.requiresGrad === required[i])
    return { what: 'which tensors require gradients', check, lasting: true }
  }

  /** Stands for the gradient that a tensor has when the program starts. */
  #gradientBefore(x: Tensor): Tensor | null {
    const spec = x.isTracer ? this.#argumentGrads.get(x) : withModes({ tracer: null }, () => x.grad?.spec)
    const at = this.#arguments.indexOf(x)
    if (at >= 0) this.guard(`whether argument ${at} has a .grad`, (args) => (args[at]!.grad?.spec ?? null) === spec)
    else if (!x.isTracer) this.guard('which .grad are null', () => x.grad?.spec === spec, { lasting: true })
    if (!spec) return null
    const placeholder = new Placeholder()
    this.#enter(placeholder, this.#value(spec.dtype, spec.size, { kind: 'gradient', of: x }))
    return new Tensor(spec, placeholder, 0)
  }

  /** `.grad` of what lies around belongs to the trace around. */
  #refuseGrad(x: Tensor): void {
    if (!this.#around || !x.edge || x.edge.node.id >= this.#around.firstNode) return
    throw new CotangentError('unsupported', {
      op: this.#around.op,
      message: 'a branch or body reads or leaves a .grad of a tensor from outside',
      shapes: [x.shape],
      hint: 'Use grad() inside and return the gradient, or call backward() on the result, outside.',
    })
  }

  /** Which argument a tensor is. */
  #argumentAt(x: Tensor): number {
    const source = this.#valueOf(x).source
    if (source.kind !== 'argument') throw new TypeError('numbers that were given before have to be an argument')
    return source.index
  }

  /** Makes memory from around an argument. */
  #capture(x: Tensor, around: Recorder): Value {
    const size = x.memory instanceof Placeholder ? around.#valueOf(x).size : x.memory.elements
    const spec = specOf(x.dtype, [size])
    const value = this.#value(x.dtype, size, { kind: 'argument', index: this.#arguments.length })
    const whole = new Tensor(spec, x.memory, 0)
    this.#arguments.push(whole)
    this.captured.push(whole)
    this.#inputs.push({ value, spec, offset: 0 })
    return this.#enter(x.memory, value)
  }

  #copy(x: Tensor): Tensor {
    return withModes({ tracer: this, grad: false }, () => x.clone())
  }

  #write(target: Tensor, node: GraphNode, index: number): Tensor {
    const spec = node.plan.outputs[index]!
    if (this.#around && (this.#initial.has(target.memory) || !this.#current.has(target.memory))) this.#lift(node, target, this.#around)
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

  /** Writes to memory from around go to a copy here; the trace around takes it over in the end. */
  #lift({ op }: GraphNode, target: Tensor, around: Around): void {
    const { memory } = target
    if (this.#written.has(memory) || this.#past.has(memory)) return
    this.#valueOf(target)
    const whole = this.captured.find((x) => x.memory === memory)
    if (!whole) {
      throw new CotangentError('modified-in-place', {
        op: around.op,
        message: `${op.name} in a branch or body writes in place to one of its operands, which may be a copy of what was passed`,
        shapes: [target.shape],
        hint: 'Return the new value instead, or write to the tensor itself from within (do not pass it).',
      })
    }
    this.#current.set(memory, this.#valueOf(this.#copy(whole)))
    this.#written.set(memory, whole)
  }

  #operand(x: Tensor | Scalar): Operand {
    return x instanceof Tensor ? this.#read(x) : (this.#live.get(x) ?? x)
  }

  #read(x: Tensor): Read {
    return { value: this.#valueOf(x), spec: x.spec, offset: x.offset }
  }

  #valueOf(x: Tensor): Value {
    const { memory, dtype } = x
    const known = this.#current.get(memory)
    if (known) return known
    if (this.#around) return this.#capture(x, this.#around.recorder)
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

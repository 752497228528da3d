import { gradientsOf } from '../autograd/backward.ts'
import { type Edge, type GradientRule, save, TapeNode } from '../autograd/tape.ts'
import type { Engine } from '../engine/engine.ts'
import { CotangentError } from '../errors.ts'
import { type Spec, spec as specOf } from '../layout.ts'
import { modes } from '../tensor/modes.ts'
import { Scalar } from '../tensor/scalar.ts'
import { outsideScopes } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'
import { leavesOf } from '../tree.ts'
import { ProgramExecutable } from './executor.ts'
import { type Graph, type GraphNode, type HostStep, isLive, isRead, type Read, type Value } from './graph.ts'
import { lower } from './lower.ts'
import { optimize } from './passes.ts'
import { type Program, rootOf } from './program.ts'
import { isTensor, type Traced } from './trace.ts'

/** Where gradients leave a compiled function: to a tensor among its arguments, or to one that it captured. */
type Exit = { readonly argument: number } | { readonly edge: Edge }

/**
 * The tape of a compiled function: makes the results of each call depend on arguments and parameters, so that `backward()`
 * goes on through it. Forward and backward are traced together, and what the backward half needs of the forward half is
 * handed from one to the other (Chen et al., "AOTAutograd", PyTorch 2).
 */
export class Joint {
  readonly #parts: JointParts
  #backward: ProgramExecutable | undefined

  /** Null if no result depends on anything that requires gradients. */
  static of(name: string, traced: Traced): Joint | null {
    const results = leavesOf(traced.result, isTensor)
    const depends = results.flatMap(({ edge }, i) => (edge && !edge.node.leaf && edge.node.id >= traced.firstNode ? [i] : []))
    return depends.length > 0 ? new Joint(partsOf(name, traced, results, depends)) : null
  }

  private constructor(parts: JointParts) {
    this.#parts = parts
  }

  /** The function with what its backward pass needs as further outputs. */
  get forward(): Graph {
    const { split, graph } = this.#parts
    return split instanceof CotangentError ? graph : split.forward
  }

  get parts(): JointParts {
    return this.#parts
  }

  /** The same for results of other sizes. */
  resized(specs: readonly Spec[], backward: (() => Program) | null): Joint {
    const parts = this.#parts
    const { split } = parts
    return new Joint({ ...parts, specs, split: split instanceof CotangentError || !backward ? split : { ...split, program: backward } })
  }

  /** Makes the results of a call depend on what they were computed from; `outputs` has the values for the backward pass too. */
  attach(engine: Engine, outputs: readonly Tensor[], args: readonly Tensor[]): void {
    const { name, results, roots, spent, specs, exits, split } = this.#parts
    for (let n = 0; n < spent.roots.length; n++) outputs[spent.roots[n]!]!.attach(spent.edge)
    if (roots.length === 0) return
    const saved = split instanceof CotangentError ? [] : [...outputs.slice(results), ...split.numbers()]
    const rule: GradientRule = (gradients, { inputs }) => {
      if (split instanceof CotangentError) throw split
      return this.#run(engine, split, gradients, inputs as readonly (Tensor | Scalar)[])
    }
    const node = new TapeNode(name, {
      ...emptyRecord(),
      rule,
      edges: exits.map((exit) => ('edge' in exit ? exit.edge : args[exit.argument]!.edge)),
      outputSpecs: specs,
      inputs: saved.map(save),
      trace: modes.anomaly ? new Error().stack : undefined,
    })
    roots.forEach((i, index) => outputs[i]!.attach({ node, index }))
  }

  #run(engine: Engine, split: Split, gradients: readonly Tensor[], saved: readonly (Tensor | Scalar)[]): readonly (Tensor | null)[] {
    if (modes.grad || modes.tracer) {
      throw new CotangentError('unsupported', {
        op: this.#parts.name,
        message: 'the gradient of a compiled function is a program too, whose own gradient nobody has recorded',
        hint: 'Compile the function that computes the gradient: compile((x) => grad(f)(x)) rather than grad(compile(f)).',
      })
    }
    split.give(saved.flatMap((x) => (x instanceof Scalar ? [x.value] : [])))
    this.#backward ??= outsideScopes(() => new ProgramExecutable(engine, optimize(split.program(), { engine, frozen: false })))
    const seeds = gradients.map((g) => (g.spec.contiguous ? g : g.contiguous()))
    const found = this.#backward.run([...seeds, ...saved.filter((x) => x instanceof Tensor)])
    return split.gradients.map((at) => (at === null ? null : found[at]!))
  }
}

interface JointParts {
  readonly name: string
  readonly graph: Graph
  /** How many the function has. */
  readonly results: number
  /** Positions of the results that gradients come in by. */
  readonly roots: readonly number[]
  /** Positions of those whose gradients the function itself has taken already. */
  readonly spent: { readonly roots: readonly number[]; readonly edge: Edge }
  /** Of the results at `roots`. */
  readonly specs: readonly Spec[]
  readonly exits: readonly Exit[]
  /** An error is said when somebody asks for the gradient. */
  readonly split: Split | CotangentError
}

function partsOf(name: string, traced: Traced, results: readonly Tensor[], depends: readonly number[]): JointParts {
  const { graph, firstNode } = traced
  const reached = new Map(depends.map((i) => [i, nodesBelow(results[i]!.edge!.node, firstNode)]))
  const isSpent = (i: number) => [...reached.get(i)!].some((node) => node.freed)
  const node = new TapeNode(name, emptyRecord())
  node.free()
  const roots = depends.filter((i) => !isSpent(i))
  const specs = roots.map((i) => specOf(results[i]!.dtype, results[i]!.shape))
  const edges = exitsOf(
    roots.flatMap((i) => [...reached.get(i)!]),
    firstNode,
  )
  const exits = edges.map((edge): Exit => {
    const argument = graph.arguments.findIndex((x) => x === edge.node.leaf)
    return argument < 0 ? { edge } : { argument }
  })
  const parts = {
    name,
    graph,
    results: results.length,
    roots,
    spent: { roots: depends.filter(isSpent), edge: { node, index: 0 } },
    specs,
    exits,
  }
  return { ...parts, split: edges.length > 0 ? traceBackward(traced, results, parts, edges) : { ...emptySplit, forward: graph } }
}

function traceBackward(
  traced: Traced,
  results: readonly Tensor[],
  { name, roots, specs }: Omit<JointParts, 'split'>,
  edges: readonly Edge[],
): Split | CotangentError {
  const { graph, firstNode } = traced
  const outside = edges.find(({ node }) => !node.leaf && node.id < firstNode)
  if (outside) {
    return new CotangentError('unsupported', {
      op: name,
      message: `it captured a result of ${outside.node.name}, whose gradient was recorded outside`,
      hint: 'Pass that tensor as an argument, or compute it inside; x.detach() if its gradient is not wanted.',
    })
  }
  try {
    const found: (Tensor | null)[] = []
    const joint = traced.extend(specs, (...seeds) => {
      const leaves = edges.map(({ node }) => node.leaf!)
      found.push(
        ...withoutHooks(edges, () =>
          gradientsOf(
            roots.map((i) => results[i]!),
            leaves,
            seeds,
          ),
        ),
      )
      return found.filter((x) => x !== null)
    })
    let next = 0
    const gradients = found.map((x) => (x ? next++ : null))
    return split(graph, joint, roots.length, gradients)
  } catch (error) {
    // Said when somebody asks for the gradient: until then nothing is wrong.
    if (error instanceof CotangentError) return error
    throw error
  }
}

const emptyRecord = () => ({ rule: () => [], attrs: undefined, edges: [], inputSpecs: [], outputSpecs: [], inputs: [], trace: undefined })

/** A node, and the nodes behind it that the function recorded. */
function nodesBelow(node: TapeNode, firstNode: number): Set<TapeNode> {
  const reached = new Set([node])
  for (const { edges } of reached) for (const edge of edges) if (edge && edge.node.id >= firstNode) reached.add(edge.node)
  return reached
}

/** The edges to what was there before the function ran; leaves that it made itself are nobody else's business. */
function exitsOf(nodes: readonly TapeNode[], firstNode: number): Edge[] {
  const exits = new Map<TapeNode, Edge[]>()
  for (const { edges } of new Set(nodes)) {
    for (const edge of edges) {
      if (!edge || (edge.node.id >= firstNode && (!edge.node.leaf || edge.node.leaf.isTracer))) continue
      const known = exits.get(edge.node)
      if (!known) exits.set(edge.node, [edge])
      else if (!known.some(({ index }) => index === edge.index)) known.push(edge)
    }
  }
  return [...exits.values()].flat()
}

/** Hooks on what lies outside run there, on each call of `backward()`. */
function withoutHooks<T>(edges: readonly Edge[], body: () => T): T {
  const hooks = edges.map(({ node }) => node.hooks)
  for (const { node } of edges) node.hooks = undefined
  try {
    return body()
  } finally {
    edges.forEach(({ node }, i) => (node.hooks = hooks[i]))
  }
}

/** A joint graph in two. */
interface Split {
  readonly forward: Graph
  /** Takes the gradients of results, then what the forward half has given out for it; not optimised yet. */
  program(): Program
  /** For each exit, which output of the backward half is its gradient. */
  readonly gradients: readonly (number | null)[]
  /** The numbers from the host that the last run of the forward half used, and a way to give them to the backward half. */
  numbers(): Scalar[]
  give(numbers: readonly number[]): void
}

const emptySplit = { gradients: [], numbers: () => [], give: () => {} } as unknown as Omit<Split, 'forward'>

function split(forward: Graph, joint: Graph, seeds: number, gradients: readonly (number | null)[]): Split {
  if ([...joint.writes].some(([memory, value]) => forward.writes.get(memory) !== value)) {
    throw new CotangentError('unsupported', {
      op: 'compile',
      message: 'its backward pass (a hook, for instance) changes tensors in place, which only a program that has it inside can do',
      hint: 'Call backward() inside the compiled function.',
    })
  }
  const given = joint.inputs.slice(-seeds)
  const { nodes, saved } = backwardOf(forward, joint, new Set(given.map((x) => x.value)))
  const whole = (value: Value): Read => ({ value, spec: specOf(value.dtype, [value.size]), offset: 0 })
  const numbers = new Numbers(forward.host, nodes)
  const backward: Graph = {
    inputs: [...given, ...saved.map((value) => whole(rootOf(value)))],
    arguments: [],
    nodes,
    outputs: joint.outputs,
    writes: new Map(),
    gradients: new Map(),
    host: [...numbers.backward, ...joint.host.slice(forward.host.length)],
    guards: [],
  }
  return {
    forward: { ...forward, outputs: [...forward.outputs, ...saved.map(whole)], host: numbers.forward },
    program: () => lower(backward),
    gradients,
    numbers: () => numbers.used(),
    give: (values) => numbers.give(values),
  }
}

/** The nodes that lead to the gradients, and the values that they need of the forward half. */
function backwardOf(forward: Graph, joint: Graph, seeds: ReadonlySet<Value>): { nodes: GraphNode[]; saved: Value[] } {
  const needed = new Set<Value>()
  const need = (value: Value): void => {
    needed.add(value)
    if (value.source.kind === 'update') need(value.source.of)
  }
  for (const { value } of joint.outputs) need(value)
  const nodes: GraphNode[] = []
  const take = (node: GraphNode): void => {
    nodes.unshift(node)
    for (const x of node.inputs) if (isRead(x)) need(x.value)
    for (const { value } of node.outputs) if (value.source.kind === 'update') need(value.source.of)
  }
  const wanted = (node: GraphNode) => node.outputs.some((x) => needed.has(x.value))
  for (const node of joint.nodes.slice(forward.nodes.length).reverse()) if (wanted(node)) take(node)
  // What is made of nothing is made again rather than kept.
  const isConstant = (node: GraphNode) =>
    node.plan.program?.kind !== 'control' &&
    node.inputs.every((x) => !isRead(x) && !isLive(x)) &&
    node.outputs.every((x) => x.value.source.kind === 'result')
  for (const node of forward.nodes) if (isConstant(node) && wanted(node)) nodes.unshift(node)
  const made = new Set(nodes.flatMap((node) => node.outputs.map((x) => x.value)))
  const saved = new Map<Value, Value>()
  // Of memory that changes on the way, the last state is the one that is left.
  for (const value of needed) {
    const root = rootOf(value)
    if (!made.has(value) && !seeds.has(value) && (saved.get(root)?.id ?? -1) < value.id) saved.set(root, value)
  }
  return { nodes, saved: [...saved.values()] }
}

/** Numbers that the host gives to the forward half, kept for the backward half where it needs them. */
class Numbers {
  readonly forward: readonly HostStep[]
  readonly backward: readonly HostStep[]
  readonly #counts: readonly number[]
  #last: (readonly number[])[] = []
  #given: (readonly number[])[] = []

  constructor(host: readonly HostStep[], backward: readonly GraphNode[]) {
    const steps = host.filter((step) => step.kind === 'numbers')
    const needed = backward.some(({ inputs }) => inputs.some((x) => isLive(x) && x.lift < steps.length))
    this.#counts = needed ? steps.map(({ count }) => count) : []
    let lift = 0
    this.forward = needed
      ? host.map((step): HostStep => {
          if (step.kind !== 'numbers') return step
          const at = lift++
          return { ...step, compute: () => (this.#last[at] = step.compute()) }
        })
      : host
    this.backward = steps.map((step, at) => ({ ...step, compute: () => this.#given[at] ?? [] }))
  }

  used(): Scalar[] {
    return this.#last.flatMap((values) => values.map((value) => new Scalar(value, 'float64')))
  }

  give(values: readonly number[]): void {
    let next = 0
    this.#given = this.#counts.map((count) => values.slice(next, (next += count)))
  }
}

import type { DType } from '../dtype.ts'
import { type Combiner, inDomain, type ScalarOp, type ScalarType, scalarOps, scalarTypeOf } from './scalar.ts'

/**
 * A kernel: an index space and scalar SSA code over strided views.
 *
 * The index space has parallel axes first, then reduction axes. A node is *row-level* if its value depends on parallel
 * indices only, else *element-level*; a `reduce` node combines its operand's value at every element of the row (a row-level
 * operand counts once an element) into a row-level one. Row-level results may be used by later element-level code, so one kernel holds e.g. the whole of
 * softmax: two reductions over the same rows and an element-level output.
 */
export interface Kernel {
  readonly kind: 'kernel'
  /** For people: profiles, errors. */
  readonly name: string
  readonly parallel: readonly number[]
  readonly reduce: readonly number[]
  /** Dtypes of the input buffers. */
  readonly inputs: readonly DType[]
  /** Types of the scalar arguments that are given anew on every run. */
  readonly params: readonly ScalarType[]
  /** In SSA order: a node's arguments come before it. */
  readonly nodes: readonly Node[]
  readonly outputs: readonly KernelOutput[]
}

export type NodeId = number

/** A line of scalar code in single assignment form: what it computes, of which earlier lines. */
export type Node =
  | { readonly op: 'const'; readonly type: ScalarType; readonly value: number | bigint }
  | { readonly op: 'param'; readonly type: ScalarType; readonly index: number }
  /** The position along an axis of the index space. */
  | { readonly op: 'index'; readonly type: 'int32'; readonly axis: number }
  /** Element `offset + Σ index·stride` of an input; strides in elements, one an axis. */
  | { readonly op: 'load'; readonly type: ScalarType; readonly input: number; readonly offset: number; readonly strides: readonly number[] }
  /** Element `at` (int32, counted from the input's start) of an input. The code must keep `at` in range. */
  | { readonly op: 'gather'; readonly type: ScalarType; readonly input: number; readonly args: readonly [NodeId] }
  | { readonly op: 'reduce'; readonly type: ScalarType; readonly combine: Combiner; readonly args: readonly [NodeId] }
  | { readonly op: 'select'; readonly type: ScalarType; readonly args: readonly [NodeId, NodeId, NodeId] }
  /** Conversion between scalar types: float to int truncates and saturates (NaN gives 0); anything non-zero is true. */
  | { readonly op: 'cast'; readonly type: ScalarType; readonly args: readonly [NodeId] }
  /** Rounding to what a narrow dtype can hold (integers wrap), within the scalar type. */
  | { readonly op: 'narrow'; readonly type: ScalarType; readonly dtype: DType; readonly args: readonly [NodeId] }
  | { readonly op: ScalarOp; readonly type: ScalarType; readonly args: readonly NodeId[] }

interface KernelOutput {
  readonly dtype: DType
  readonly node: NodeId
  /**
   * Elements; one an axis. An output with stride 0 on every reduction axis is written once a row, another one at every
   * element (also if its value is row-level).
   */
  readonly strides: readonly number[]
}

export const argsOf = (node: Node): readonly NodeId[] => ('args' in node ? node.args : [])

/** For each node, whether its value depends on the reduction axes. */
export function elementLevels(kernel: Pick<Kernel, 'nodes' | 'parallel'>): boolean[] {
  const levels: boolean[] = []
  const rank = kernel.parallel.length
  for (const node of kernel.nodes) {
    if (node.op === 'load') levels.push(node.strides.some((s, axis) => axis >= rank && s !== 0))
    else if (node.op === 'index') levels.push(node.axis >= rank)
    else if (node.op === 'reduce') levels.push(false)
    else levels.push(argsOf(node).some((a) => levels[a]))
  }
  return levels
}

/** The nodes that `roots` depend on, themselves included. */
export function liveNodes(nodes: readonly Node[], roots: readonly NodeId[]): Set<NodeId> {
  const live = new Set<NodeId>(roots)
  for (let id = nodes.length - 1; id >= 0; id--) if (live.has(id)) for (const a of argsOf(nodes[id]!)) live.add(a)
  return live
}

declare const valueBrand: unique symbol
/** A handle on an SSA value of the kernel under construction. */
export type Value = NodeId & { readonly [valueBrand]: true }

type ScalarMethods = { [K in ScalarOp]: (...args: Value[]) => Value }

/** Builds a kernel's code. Equal pure nodes are shared, so writing an expression twice costs nothing. */
export interface KernelBuilder extends ScalarMethods {}

export class KernelBuilder {
  readonly parallel: readonly number[]
  readonly reduceAxes: readonly number[]
  readonly #name: string
  readonly #inputs: DType[] = []
  readonly #params: ScalarType[] = []
  readonly #nodes: Node[] = []
  readonly #outputs: KernelOutput[] = []
  readonly #known = new Map<string, Value>()

  constructor(name: string, parallel: readonly number[], reduce: readonly number[] = []) {
    this.#name = name
    this.parallel = parallel
    this.reduceAxes = reduce
  }

  /** Declares the next input buffer; returns its position. */
  input(dtype: DType): number {
    return this.#inputs.push(dtype) - 1
  }

  /** Declares the next scalar argument. */
  param(type: ScalarType): Value {
    return this.#push({ op: 'param', type, index: this.#params.push(type) - 1 })
  }

  constant(type: ScalarType, value: number | bigint | boolean): Value {
    const v = type === 'int64' ? BigInt(value) : Number(value)
    return this.#push({ op: 'const', type, value: type === 'float32' ? Math.fround(v as number) : v })
  }

  /** A constant of the same type as `like`. */
  like(like: Value, value: number): Value {
    return this.constant(this.typeOf(like), value)
  }

  index(axis: number): Value {
    return this.#push({ op: 'index', type: 'int32', axis })
  }

  load(input: number, strides: readonly number[], offset = 0): Value {
    return this.#push({ op: 'load', type: scalarTypeOf[this.#inputs[input]!], input, offset, strides })
  }

  /** Stands for input `which` of code whose value turns out not to be needed; `build` throws if it is. */
  placeholder(type: ScalarType, which: number): Value {
    return this.#push({ op: 'load', type, input: -1 - which, offset: 0, strides: [] })
  }

  gather(input: number, at: Value): Value {
    return this.#push({ op: 'gather', type: scalarTypeOf[this.#inputs[input]!], input, args: [at] })
  }

  reduce(combine: Combiner, x: Value): Value {
    const type = combine === 'argmax' || combine === 'argmin' ? 'int32' : this.typeOf(x)
    return this.#push({ op: 'reduce', type, combine, args: [x] })
  }

  select(condition: Value, a: Value, b: Value): Value {
    return this.#push({ op: 'select', type: this.typeOf(a), args: [condition, a, b] })
  }

  cast(x: Value, type: ScalarType): Value {
    return this.typeOf(x) === type ? x : this.#push({ op: 'cast', type, args: [x] })
  }

  narrow(x: Value, dtype: DType): Value {
    const type = scalarTypeOf[dtype]
    const value = this.cast(x, type)
    return type === dtype ? value : this.#push({ op: 'narrow', type, dtype, args: [value] })
  }

  not(x: Value): Value {
    return this.xor(x, this.like(x, this.typeOf(x) === 'bool' ? 1 : -1))
  }

  isNaN(x: Value): Value {
    return this.ne(x, x)
  }

  /** Declares the next output buffer. Strides default to the dense row-major order of the axes that `node` lives on. */
  output(dtype: DType, node: Value, strides?: readonly number[]): void {
    this.#outputs.push({ dtype, node: this.cast(node, scalarTypeOf[dtype]), strides: strides ?? this.#denseStrides(node) })
  }

  typeOf(x: Value): ScalarType {
    return this.#nodes[x]!.type
  }

  /** The code so far; a view for code that analyses or differentiates it. */
  get nodes(): readonly Node[] {
    return this.#nodes
  }

  /** The finished kernel, without the nodes that no output needs. */
  build(): Kernel {
    const live = liveNodes(
      this.#nodes,
      this.#outputs.map((o) => o.node),
    )
    const renumbered: NodeId[] = []
    const nodes: Node[] = []
    this.#nodes.forEach((node, id) => {
      if (!live.has(id)) return
      if (node.op === 'load' && node.input < 0) throw new TypeError(`kernel ${this.#name}: a value it needs was not given`)
      renumbered[id] = nodes.length
      const moves = 'args' in node && node.args.some((a) => renumbered[a] !== a)
      nodes.push(moves ? ({ ...node, args: node.args.map((a) => renumbered[a]!) } as Node) : node)
    })
    return {
      kind: 'kernel',
      name: this.#name,
      parallel: this.parallel,
      reduce: this.reduceAxes,
      inputs: this.#inputs,
      params: this.#params,
      nodes,
      outputs: this.#outputs.map(({ dtype, node, strides }) => ({ dtype, node: renumbered[node]!, strides })),
    }
  }

  #denseStrides(node: Value): number[] {
    const perElement = elementLevels({ nodes: this.#nodes, parallel: this.parallel })[node]
    const extents = perElement ? [...this.parallel, ...this.reduceAxes] : [...this.parallel]
    const strides = new Array<number>(this.parallel.length + this.reduceAxes.length).fill(0)
    let step = 1
    for (let axis = extents.length - 1; axis >= 0; axis--) {
      strides[axis] = step
      step *= extents[axis]!
    }
    return strides
  }

  #push(node: Node): Value {
    const key = keyOf(node)
    let value = this.#known.get(key)
    if (value === undefined) {
      value = (this.#nodes.push(node) - 1) as Value
      this.#known.set(key, value)
    }
    return value
  }

  /** Appends the scalar instruction `op`; all operands must have one type, in the instruction's domain. */
  apply(op: ScalarOp, args: readonly Value[]): Value {
    const type = this.typeOf(args[0]!)
    if (!inDomain(op, type) || args.some((a) => this.typeOf(a) !== type)) {
      throw new TypeError(`kernel ${this.#name}: ${op} is not defined on (${args.map((a) => this.typeOf(a)).join(', ')})`)
    }
    return this.#push({ op, type: scalarOps[op].result === 'bool' ? 'bool' : type, args })
  }
}

/** Equal for equal nodes of one kernel. */
function keyOf(node: Node): string {
  if (node.op === 'const') return `${typeof node.value} ${node.type} ${Object.is(node.value, -0) ? '-0' : node.value}`
  return Object.values(node).join()
}

for (const op of Object.keys(scalarOps) as ScalarOp[]) {
  Object.defineProperty(KernelBuilder.prototype, op, {
    value(this: KernelBuilder, ...args: Value[]) {
      return this.apply(op, args)
    },
  })
}

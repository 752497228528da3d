import type { DType } from '../dtype.ts'
import { rowMajor, sizeOf } from '../layout.ts'
import type { Step } from './engine.ts'
import { argsOf, elementLevels, type Kernel, type Node, type NodeId } from './kernel.ts'
import { simplify } from './simplify.ts'

/** Elements below which a kernel's operands stay in a core's cache from one pass over them to the next. */
const SMALL = 2 ** 16
/** Rows this long do not stay there either. */
const LONG_ROW = 2 ** 17
/** Shorter ones are cut, too, where there are fewer than can keep threads busy. */
const CUT_ROW = 8192
const FEW_ROWS = 16
/** Sums across rows of memory: going down one row at a time leaves most of each page that it touches for later. */
const LONG_COLUMN = 512

/** Whether passes over the rows of reductions are passes over memory, one kernel each of which is then fastest. */
export function isLong({ nodes, parallel, reduce }: Pick<Kernel, 'nodes' | 'parallel' | 'reduce'>): boolean {
  const [rows, length] = [sizeOf(parallel), sizeOf(reduce)]
  if (rows * length < SMALL) return false
  const acrossMemory = nodes.some((n) => {
    const steps = n.op === 'load' ? n.strides.slice(parallel.length).filter((s, axis) => s !== 0 && reduce[axis]! > 1) : []
    return steps.length > 0 && steps.every((s) => Math.abs(s) > 1)
  })
  return length > (acrossMemory ? LONG_COLUMN : rows < FEW_ROWS ? CUT_ROW : LONG_ROW)
}

/** A kernel as several, which hand values of whole rows on in memory. */
interface Stages {
  /** Buffers are those of the kernel, then the temporaries; scalars are its params. */
  readonly steps: readonly Step[]
  readonly temporaries: readonly { readonly dtype: DType; readonly size: number }[]
}

/** A kernel that goes over long rows several times, one pass a kernel; undefined where that is no better. */
export function stagesOf(original: Kernel): Stages | undefined {
  if (original.reduce.length === 0 || !isLong(original)) return undefined
  // Without axes of extent 1, which make elements of rows' values.
  const kernel = simplify(original)
  const { nodes, parallel, outputs } = kernel
  const stages = passesBefore(nodes)
  const perElement = elementLevels(kernel)
  const ofElements = outputs.map(({ node, strides }) => perElement[node]! || strides.some((s, axis) => axis >= parallel.length && s !== 0))
  const passes = Math.max(...stages)
  if (passes + Number(ofElements.includes(true)) < 2) return undefined
  /** The pass behind which a row's value is known. */
  const home = (id: NodeId) => Math.max(0, stages[id]! - 1)
  /** Rows' values that go from one kernel to a later one. What outputs write over must not be read again, so loads are among them. */
  const handed: NodeId[] = []
  const placeOf = (id: NodeId) => {
    if (!handed.includes(id)) handed.push(id)
    return kernel.inputs.length + outputs.length + handed.indexOf(id)
  }
  const steps: Step[] = []
  for (let pass = passes; pass >= 0; pass--) {
    const isLast = pass === passes
    const space = isLast ? { parallel: [...parallel, ...kernel.reduce], reduce: [] } : { parallel, reduce: kernel.reduce }
    const stage = new Stage(kernel, (id) => {
      const { op } = nodes[id]!
      const known = !perElement[id] && op !== 'const' && op !== 'param' && op !== 'index' && (isLast || home(id) < pass)
      return known ? placeOf(id) : undefined
    })
    outputs.forEach(({ dtype, node, strides }, i) => {
      if (ofElements[i] ? isLast : !isLast && home(node) === pass) stage.output(kernel.inputs.length + i, dtype, stage.value(node), strides)
    })
    for (const id of handed) {
      if (!isLast && home(id) === pass) stage.output(placeOf(id), nodes[id]!.type, stage.value(id), stage.perRow)
    }
    if (stage.outputs.length > 0) steps.unshift(stage.step(space))
  }
  return { steps, temporaries: handed.map((id) => ({ dtype: nodes[id]!.type, size: sizeOf(parallel) })) }
}

/** For each node, how many passes over the row have to be done before it is known. */
function passesBefore(nodes: readonly Node[]): number[] {
  const stages: number[] = []
  for (const node of nodes) {
    const before = Math.max(0, ...argsOf(node).map((a) => stages[a]!))
    stages.push(before + Number(node.op === 'reduce'))
  }
  return stages
}

/** One of the kernels, under construction. */
class Stage {
  readonly outputs: Kernel['outputs'][number][] = []
  /** Strides of one value a row. */
  readonly perRow: readonly number[]
  readonly #kernel: Kernel
  readonly #placeOf: (id: NodeId) => number | undefined
  readonly #nodes: Node[] = []
  readonly #values = new Map<NodeId, NodeId>()
  readonly #inputs: { readonly buffer: number; readonly dtype: DType }[] = []
  readonly #params: number[] = []
  readonly #written: number[] = []

  /** @param placeOf The buffer in which a value is found, if in any. */
  constructor(kernel: Kernel, placeOf: (id: NodeId) => number | undefined) {
    this.#kernel = kernel
    this.#placeOf = placeOf
    this.perRow = [...rowMajor(kernel.parallel), ...kernel.reduce.map(() => 0)]
  }

  output(buffer: number, dtype: DType, node: NodeId, strides: readonly number[]): void {
    this.outputs.push({ dtype, node, strides })
    this.#written.push(buffer)
  }

  /** A node of the kernel, in this one. */
  value(id: NodeId): NodeId {
    let value = this.#values.get(id)
    if (value === undefined) this.#values.set(id, (value = this.#nodes.push(this.#copyOf(id)) - 1))
    return value
  }

  step({ parallel, reduce }: Pick<Kernel, 'parallel' | 'reduce'>): Step {
    const { name, params } = this.#kernel
    const inputs = this.#inputs.map(({ dtype }) => dtype)
    return {
      program: {
        kind: 'kernel',
        name,
        parallel,
        reduce,
        inputs,
        params: this.#params.map((i) => params[i]!),
        nodes: this.#nodes,
        outputs: this.outputs,
      },
      operands: [...this.#inputs.map(({ buffer }) => buffer), ...this.#written].map((buffer) => ({ buffer, offset: 0 })),
      scalars: this.#params,
    }
  }

  #copyOf(id: NodeId): Node {
    const node = this.#kernel.nodes[id]!
    const place = this.#placeOf(id)
    if (place !== undefined) return { op: 'load', type: node.type, input: this.#input(place, node.type), offset: 0, strides: this.perRow }
    if (node.op === 'param') return { ...node, index: indexIn(this.#params, node.index) }
    const own = node.op === 'load' || node.op === 'gather' ? { input: this.#input(node.input, this.#kernel.inputs[node.input]!) } : {}
    return { ...node, ...own, ...('args' in node && { args: node.args.map((a) => this.value(a)) }) } as Node
  }

  #input(buffer: number, dtype: DType): number {
    const known = this.#inputs.findIndex((x) => x.buffer === buffer)
    return known < 0 ? this.#inputs.push({ buffer, dtype }) - 1 : known
  }
}

function indexIn(list: number[], item: number): number {
  const known = list.indexOf(item)
  return known < 0 ? list.push(item) - 1 : known
}

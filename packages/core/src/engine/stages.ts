import type { DType } from '../dtype.ts'
import { rowMajor, sizeOf } from '../layout.ts'
import type { Step } from './engine.ts'
import { argsOf, elementLevels, type Kernel, liveNodes, type Node, type NodeId } from './kernel.ts'
import { workOfNode } from './scalar.ts'
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
/** Work on a row's values, in additions, that may as well be done at each element. */
const FREE = 2

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
  const early = neededEarly(kernel, stages, perElement)
  if (passes + Number(ofElements.includes(true)) + Number(early.size > 0) < 2) return undefined
  /** The pass behind which a row's value is known. */
  const home = (id: NodeId) => (early.has(id) ? -1 : Math.max(0, stages[id]! - 1))
  /** Strides of one value a row. */
  const perRow = [...rowMajor(parallel), ...kernel.reduce.map(() => 0)]
  /** Rows' values that go from one kernel to a later one. What outputs write over must not be read again, so loads are among them. */
  const handed: NodeId[] = []
  const placeOf = (id: NodeId): Place => {
    const { type } = nodes[id]!
    const written = early.has(id) ? -1 : outputs.findIndex(({ node, dtype }, o) => node === id && dtype === type && !ofElements[o])
    if (written >= 0) return { buffer: kernel.inputs.length + written, strides: outputs[written]!.strides }
    return { buffer: kernel.inputs.length + outputs.length + indexIn(handed, id), strides: perRow }
  }
  const steps: Step[] = []
  for (let pass = passes; pass >= -1; pass--) {
    const isLast = pass === passes
    const space = { parallel: isLast ? [...parallel, ...kernel.reduce] : parallel, reduce: isLast || pass < 0 ? [] : kernel.reduce }
    const stage = new Stage(kernel, (id) => {
      const { op } = nodes[id]!
      const known = !perElement[id] && op !== 'const' && op !== 'param' && op !== 'index' && (isLast || home(id) < pass)
      return known ? placeOf(id) : undefined
    })
    outputs.forEach(({ dtype, node, strides }, i) => {
      if (ofElements[i] ? isLast : !isLast && Math.max(0, home(node)) === pass)
        stage.output(kernel.inputs.length + i, dtype, stage.value(node), strides)
    })
    for (const id of handed) {
      if (!isLast && home(id) === pass) stage.output(placeOf(id).buffer, nodes[id]!.type, stage.value(id), perRow)
    }
    if (stage.outputs.length > 0) steps.unshift(stage.step(space))
  }
  return { steps, temporaries: handed.map((id) => ({ dtype: nodes[id]!.type, size: sizeOf(parallel) })) }
}

/** Values of rows that the first pass needs at each element, where they take more to compute than to load. */
function neededEarly({ nodes }: Kernel, stages: readonly number[], perElement: readonly boolean[]): Set<NodeId> {
  const early = new Set<NodeId>()
  nodes.forEach((node, id) => {
    if (!perElement[id] && node.op !== 'reduce') return
    for (const a of argsOf(node)) if (!perElement[a] && stages[a] === 0 && 'args' in nodes[a]!) early.add(a)
  })
  const work = [...liveNodes(nodes, [...early])].reduce((sum, id) => sum + (perElement[id] ? 0 : workOfNode(nodes[id]!)), 0)
  return work > FREE ? early : new Set()
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

interface Place {
  readonly buffer: number
  readonly strides: readonly number[]
}

/** One of the kernels, under construction. */
class Stage {
  readonly outputs: Kernel['outputs'][number][] = []
  readonly #kernel: Kernel
  readonly #placeOf: (id: NodeId) => Place | undefined
  readonly #nodes: Node[] = []
  readonly #values = new Map<NodeId, NodeId>()
  readonly #inputs: { readonly buffer: number; readonly dtype: DType }[] = []
  readonly #params: number[] = []
  readonly #written: number[] = []

  /** @param placeOf Where a value is found in memory, if it is. */
  constructor(kernel: Kernel, placeOf: (id: NodeId) => Place | undefined) {
    this.#kernel = kernel
    this.#placeOf = placeOf
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
    const rank = parallel.length + reduce.length
    return {
      program: {
        kind: 'kernel',
        name,
        parallel,
        reduce,
        inputs,
        params: this.#params.map((i) => params[i]!),
        nodes: this.#nodes.map((node) => (node.op === 'load' ? { ...node, strides: node.strides.slice(0, rank) } : node)),
        outputs: this.outputs.map(({ strides, ...output }) => ({ ...output, strides: strides.slice(0, rank) })),
      },
      operands: [...this.#inputs.map(({ buffer }) => buffer), ...this.#written].map((buffer) => ({ buffer, offset: 0 })),
      scalars: this.#params,
    }
  }

  #copyOf(id: NodeId): Node {
    const node = this.#kernel.nodes[id]!
    const place = this.#placeOf(id)
    if (place) return { op: 'load', type: node.type, input: this.#input(place.buffer, node.type), offset: 0, strides: place.strides }
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

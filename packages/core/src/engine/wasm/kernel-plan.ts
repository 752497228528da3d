import { type DType, dtypeInfo } from '../../dtype.ts'
import { argsOf, elementLevels, type Kernel, liveNodes, type Node, type NodeId } from '../kernel.ts'
import { type ScalarOp, type ScalarType, scalarTypeOf } from '../scalar.ts'
import { simplify } from '../simplify.ts'
import { scalarCost } from './emit-scalar.ts'
import { programCode } from './program-code.ts'

/** A strided walk over memory: a load or an output. */
interface Access {
  /** Position among the buffers: inputs, then outputs. */
  readonly buffer: number
  readonly dtype: DType
  readonly node: NodeId
  /** Elements. */
  readonly offset: number
  /** Elements, one an axis. */
  readonly strides: readonly number[]
  /** How lanes that are neighbours on the vector axis lie in memory. */
  readonly lanes: 'same' | 'contiguous' | 'strided'
}

/**
 * How a kernel becomes loops.
 *
 * The outer loop walks rows: all parallel axes but the vector axis. Vectors run along the vector axis, which is either
 * parallel (each lane is a row of its own; a loop over it is the next one inwards, and the reduction loops lie within) or the
 * innermost reduction axis (each lane is an element of the row, and reductions end with one across the lanes).
 *
 * Everything but extents, strides and offsets is in `key`: kernels of one key share their code.
 */
export interface KernelPlan {
  readonly key: string
  /** The kernel, simplified. */
  readonly kernel: Kernel
  readonly lanes: 2 | 4
  readonly vectorAxis: number
  readonly lanesAreRows: boolean
  /**
   * A parallel axis along which lie, side by side, elements that are strided along the vector axis. Vectors are processed as
   * many at once as they have lanes, neighbours along this axis, so that such loads become whole vectors, transposed.
   */
  readonly tile: number | undefined
  /** Axes of the outer loop. */
  readonly outer: readonly number[]
  /** Reduction axes, outermost first; the vector axis is the last of them unless lanes are rows. Or axes of rows that are swept. */
  readonly inner: readonly number[]
  /** Whether the inner axes are some of rows: see `sweptAxes`. */
  readonly swept: boolean
  /** Vectors that are processed at once. */
  readonly unroll: number
  /** Loads in node order, then outputs. */
  readonly accesses: readonly Access[]
  readonly loads: number
  /** For each node, the loop that its value changes in: 0 none, 1 the outer loop, then inwards. */
  readonly depths: readonly number[]
  /** For each node, whether its lanes differ. */
  readonly varies: readonly boolean[]
  readonly perElement: readonly boolean[]
  /** Depth at which a row is whole. */
  readonly rowDepth: number
  /** For each `reduce` node, the pass over the row that computes it, from 0. */
  readonly passes: ReadonlyMap<NodeId, number>
  readonly passCount: number
  /** Whether reductions are cut into chunks: long ones of a kernel that does nothing else with its elements. */
  readonly chunked: boolean
  /** Whether a row's first reductions, and its outputs, are made along with the last reductions of the rows before and after it. */
  readonly pipelined: boolean
  /** Whether chunks are reduced row by row, with running results in memory. */
  readonly sweepsColumns: boolean
  /** Vectors that a chunk's reductions leave, for a vector of rows. */
  readonly partials: number
  /** Products of one use that are fused into the sum that uses them. */
  readonly fused: ReadonlySet<NodeId>
  /**
   * A costly value that both the last reductions and an element-level output need: the last reduction pass leaves it in that
   * output's memory, where the pass over the outputs finds it.
   */
  readonly kept: { readonly node: NodeId; readonly access: number } | undefined
  /** For each `gather`, how its index runs along the vector axis. */
  readonly gatherLanes: ReadonlyMap<NodeId, Access['lanes']>
  /** Constants that are not part of the code but of its descriptor, such as the strides in the index of a `gather`. */
  readonly numbers: readonly NodeId[]
  /** Relative cost of one element, an addition being 1. */
  readonly cost: number
  readonly live: ReadonlySet<NodeId>
}

/** Elements of a row, across lanes or within one, from which on its reduction is cut: for threads, and for accuracy. */
const LONG_ROW = 32768
const LONG_COLUMN = 4096

/** Vectors of elementwise code that are processed at once. Of rows with no more, what is the same for all of them stays in registers. */
const MOST_VECTORS = 4

export function planKernel(original: Kernel, relaxed: boolean): KernelPlan {
  const kernel = simplify(original)
  const live = liveNodes(
    kernel.nodes,
    kernel.outputs.map((o) => o.node),
  )
  const walk = walkOf(kernel, live)
  const loads = walk.accesses.length - kernel.outputs.length
  const rowDepth = walk.lanesAreRows ? 2 : 1
  const placed = placeNodes(kernel, walk, live, rowDepth)
  const { depths, varies, passes } = placed
  const cost = costOfElement(kernel, walk, live, depths, rowDepth)
  const perElement = elementLevels(kernel)
  const code = programCode()
  const onlyReduces = isOneReduction(kernel, walk, passes, perElement)
  const sweepsColumns = (onlyReduces && code?.sweepsColumns(kernel, { ...walk, ...placed })) || false
  const chunked = sweepsColumns || (onlyReduces && hasLongRows(walk))
  const partials = partialsOf(kernel, passes)
  const pipelined = code?.isPipelined(kernel, { ...walk, ...placed }) ?? false
  const plan = {
    ...walk,
    ...placed,
    kernel,
    // Three rows at once take all registers.
    unroll: pipelined ? 1 : sweepsColumns ? (partials > 1 ? 2 : 4) : unrollOf(walk, { cost, passes, chunked }),
    loads,
    perElement,
    rowDepth,
    passCount: Math.max(0, ...[...passes.values()].map((p) => p + 1)),
    fused: relaxed ? fusedProducts(kernel, live, depths, varies) : new Set<NodeId>(),
    gatherLanes: gatherLanesOf(kernel, walk.vectorAxis, varies),
    numbers: numbersOf(kernel, live),
    kept: code?.keptValue(kernel, { loads, perElement, varies, passes }),
    chunked,
    pipelined,
    sweepsColumns,
    partials,
    cost,
    live,
  }
  return { ...plan, key: keyOf(plan, relaxed) }
}

/** How a kernel's index space is walked, and its operands with it. */
interface Walk extends Pick<KernelPlan, 'lanes' | 'accesses' | 'vectorAxis' | 'lanesAreRows' | 'tile' | 'outer' | 'inner' | 'swept'> {
  readonly extents: readonly number[]
}

function walkOf(kernel: Kernel, live: ReadonlySet<NodeId>): Walk {
  const rank = kernel.parallel.length
  const extents = [...kernel.parallel, ...kernel.reduce]
  const lanes = hasWideType(kernel, live) ? 2 : 4
  const bare = accessesOf(kernel, live)
  const vectorAxis = chooseVectorAxis(kernel, bare, extents, lanes)
  const accesses = bare.map(({ buffer, dtype, node, offset, strides }): Access => {
    return { buffer, dtype, node, offset, strides, lanes: laneClass(strides[vectorAxis]!) }
  })
  const axes = extents.map((_, axis) => axis)
  const tile = lanes === 4 && rank === extents.length ? tileAxis(kernel, accesses, live, vectorAxis) : undefined
  const swept = programCode()?.sweptAxes(kernel, { lanes, vectorAxis, tile })
  const lanesAreRows = vectorAxis < rank && !(swept && extents[vectorAxis]! > MOST_VECTORS * lanes)
  return {
    extents,
    lanes,
    accesses,
    vectorAxis,
    lanesAreRows,
    tile,
    outer: axes.filter((axis) => axis < rank && axis !== vectorAxis && axis !== tile && !swept?.includes(axis)),
    inner: [...(swept ?? axes.filter((axis) => axis >= rank && axis !== vectorAxis)), ...(lanesAreRows ? [] : [vectorAxis])],
    swept: swept !== undefined,
  }
}

const laneClass = (stride: number | undefined): Access['lanes'] => (stride === 0 ? 'same' : stride === 1 ? 'contiguous' : 'strided')

const depthOfAxis = ({ outer, inner, vectorAxis, lanesAreRows, tile }: Walk, axis: number): number => {
  if (axis === tile) return 2
  if (outer.includes(axis)) return 1
  if (lanesAreRows) return axis === vectorAxis ? 2 : 3 + inner.indexOf(axis)
  return 2 + inner.indexOf(axis)
}

/** Where in the loops each node is computed, whether it varies between lanes, and in which pass over the row. */
function placeNodes(
  { nodes }: Kernel,
  walk: Walk,
  live: ReadonlySet<NodeId>,
  rowDepth: number,
): { readonly depths: number[]; readonly varies: boolean[]; readonly passes: Map<NodeId, number> } {
  const { vectorAxis, lanesAreRows, tile } = walk
  const depths: number[] = []
  const varies: boolean[] = []
  const stages: number[] = []
  const passes = new Map<NodeId, number>()
  nodes.forEach((node, id) => {
    const args = argsOf(node)
    depths[id] = Math.max(0, ...args.map((a) => depths[a]!))
    varies[id] = args.some((a) => varies[a])
    stages[id] = Math.max(0, ...args.map((a) => stages[a]!))
    if (node.op === 'load') {
      depths[id] = Math.max(0, ...node.strides.map((s, axis) => (s === 0 ? 0 : depthOfAxis(walk, axis))))
      varies[id] = node.strides[vectorAxis] !== 0 || (tile !== undefined && node.strides[tile] !== 0)
    } else if (node.op === 'index') {
      depths[id] = depthOfAxis(walk, node.axis)
      varies[id] = node.axis === vectorAxis
    } else if (node.op === 'reduce') {
      depths[id] = rowDepth
      varies[id] = lanesAreRows
      if (!live.has(id)) return
      passes.set(id, stages[id]!)
      stages[id]!++
    }
  })
  return { depths, varies, passes }
}

const countOf = ({ extents }: Walk, axes: readonly number[]): number => axes.reduce((product, axis) => product * extents[axis]!, 1)

function costOfElement(kernel: Kernel, walk: Walk, live: ReadonlySet<NodeId>, depths: readonly number[], rowDepth: number): number {
  // What a row computes once is shared by its elements.
  const perRow = 1 / Math.max(1, countOf(walk, walk.inner))
  return [...live].reduce((sum, id) => {
    if (depths[id]! < rowDepth) return sum
    return sum + costOf(kernel, walk.accesses, id) * (depths[id] === rowDepth ? perRow : 1)
  }, 0)
}

function gatherLanesOf(kernel: Kernel, vectorAxis: number, varies: readonly boolean[]): Map<NodeId, Access['lanes']> {
  const gatherLanes = new Map<NodeId, Access['lanes']>()
  kernel.nodes.forEach((node, id) => {
    if (node.op === 'gather') gatherLanes.set(id, laneClass(slopeOf(kernel, node.args[0], vectorAxis, varies)))
  })
  return gatherLanes
}

/** Whether rows are passed over once, and nothing else is done with their elements. */
function isOneReduction(
  { outputs }: Kernel,
  { inner }: Walk,
  passes: ReadonlyMap<NodeId, number>,
  perElement: readonly boolean[],
): boolean {
  const ofRows = outputs.every(({ node, strides }) => !perElement[node] && inner.every((axis) => strides[axis] === 0))
  return ofRows && passes.size > 0 && Math.max(...passes.values()) === 0
}

/** Whether rows are long enough to be cut. */
const hasLongRows = (walk: Walk): boolean =>
  countOf(walk, walk.inner) >= (walk.lanesAreRows ? LONG_COLUMN : LONG_ROW) && walk.extents[walk.inner[0]!]! > 1

/** Vectors that the reductions of a chunk leave: of those that look for NaN or a position, two. */
function partialsOf({ nodes }: Kernel, passes: ReadonlyMap<NodeId, number>): number {
  return [...passes.keys()].reduce((sum, id) => {
    const node = nodes[id]!
    const type = nodes[argsOf(node)[0]!]!.type
    const two =
      node.op === 'reduce' &&
      (node.combine.startsWith('arg') || ((node.combine === 'max' || node.combine === 'min') && type.startsWith('float')))
    return sum + (two ? 2 : 1)
  }, 0)
}

function unrollOf(walk: Walk, { cost, passes, chunked }: Pick<KernelPlan, 'cost' | 'passes' | 'chunked'>): number {
  const { extents, vectorAxis, lanes, lanesAreRows, tile, outer, accesses } = walk
  if (tile !== undefined) return 1
  let unroll = unrollFor(cost, passes.size, lanesAreRows, extents[vectorAxis]! / lanes)
  if (accesses.some((a) => a.lanes === 'strided')) unroll = Math.min(unroll, cost <= 8 ? 2 : 1)
  // Few rows that are not cut otherwise make narrower tasks, down to a cache line.
  const vectors = (countOf(walk, outer) * extents[vectorAxis]!) / lanes
  if (passes.size > 0 && lanesAreRows && !chunked) while (unroll > 4 && vectors / unroll < 4) unroll /= 2
  return unroll
}

/** Vectors at once: many for cheap code, few for long code, no more than `vectors`, which a row has. */
function unrollFor(cost: number, reductions: number, lanesAreRows: boolean, vectors: number): number {
  const wanted = reductions && cost <= 8 ? (lanesAreRows ? 8 : 4) : cost <= 24 ? MOST_VECTORS : cost <= 60 ? 2 : 1
  let unroll = wanted
  while (unroll > 1 && unroll > vectors) unroll /= 2
  return unroll
}

function hasWideType({ nodes, inputs, outputs }: Kernel, live: ReadonlySet<NodeId>): boolean {
  const wide = (type: ScalarType) => type === 'int64' || type === 'float64'
  return (
    nodes.some((n, id) => live.has(id) && (wide(n.type) || (n.op === 'load' && wide(scalarTypeOf[inputs[n.input]!])))) ||
    outputs.some((o) => wide(scalarTypeOf[o.dtype]))
  )
}

function accessesOf({ nodes, inputs, outputs }: Kernel, live: ReadonlySet<NodeId>): Omit<Access, 'lanes'>[] {
  const loads = nodes.flatMap((node, id) =>
    node.op === 'load' && live.has(id)
      ? [{ buffer: node.input, dtype: inputs[node.input]!, node: id, offset: node.offset, strides: node.strides }]
      : [],
  )
  return [...loads, ...outputs.map(({ dtype, node, strides }, o) => ({ buffer: inputs.length + o, dtype, node, offset: 0, strides }))]
}

/** The axis along which operands cost least: what lies side by side is loaded at once, what does not, lane by lane. */
function chooseVectorAxis(kernel: Kernel, accesses: readonly Omit<Access, 'lanes'>[], extents: readonly number[], lanes: number): number {
  const rank = kernel.parallel.length
  const candidates = extents.map((_, axis) => axis).filter((axis) => axis < rank || axis === extents.length - 1)
  const elements = Math.max(
    1,
    extents.slice(rank).reduce((a, b) => a * b, 1),
  )
  let best = 0
  let bestCost = Number.POSITIVE_INFINITY
  for (const axis of candidates) {
    const extent = extents[axis]!
    const waste = (Math.ceil(extent / lanes) * lanes) / Math.max(1, extent)
    let cost = 1
    for (const { strides } of accesses) {
      // What is read or written once a row is shared by the row's elements.
      const weight = elements === 1 || strides.some((s, a) => a >= rank && s !== 0) ? 1 : 1 / elements
      cost += weight * (strides[axis] === 0 ? 0.25 : strides[axis] === 1 ? 1 : lanes)
    }
    cost *= waste
    // Every row has its overhead, less so those that are swept, and a reduction ends with one across lanes.
    const overhead = axis >= rank ? 18 : programCode() && rank === extents.length ? 3 : 12
    cost += (overhead * lanes) / Math.max(1, extent)
    if (cost < bestCost || (cost === bestCost && axis < rank)) {
      best = axis
      bestCost = cost
    }
  }
  return best
}

function tileAxis(
  { nodes, outputs }: Kernel,
  accesses: readonly Access[],
  live: ReadonlySet<NodeId>,
  vectorAxis: number,
): number | undefined {
  if ([...live].some((id) => ['reduce', 'gather', 'index'].includes(nodes[id]!.op))) return undefined
  if (accesses.slice(-outputs.length).some((a) => a.lanes !== 'contiguous')) return undefined
  const crossing = accesses.find((a) => a.lanes === 'strided' && a.strides.includes(1))
  return crossing && crossing.strides.findIndex((s, axis) => s === 1 && axis !== vectorAxis)
}

function costOf({ nodes, inputs }: Kernel, accesses: readonly Access[], id: NodeId): number {
  const node = nodes[id]!
  switch (node.op) {
    case 'const':
    case 'param':
      return 0
    case 'load':
      return (accesses.find((a) => a.node === id)!.lanes === 'strided' ? 4 : 1) + (dtypeInfo[inputs[node.input]!].size < 4 ? 1 : 0)
    case 'gather':
      return 4
    case 'index':
    case 'select':
    case 'cast':
    case 'reduce':
      return 1
    case 'narrow':
      return 6
    default:
      return scalarCost(node.op as ScalarOp, nodes[node.args[0]!]!.type)
  }
}

/** By how much an int32 value grows from one position of the axis to the next; undefined where that is not constant. */
function slopeOf({ nodes }: Kernel, id: NodeId, axis: number, varies: readonly boolean[]): number | undefined {
  if (!varies[id]) return 0
  const node = nodes[id]!
  if (node.op === 'index') return Number(node.axis === axis)
  if (node.op !== 'add' && node.op !== 'sub') return undefined
  const [a, b] = node.args.map((arg) => slopeOf({ nodes } as Kernel, arg, axis, varies))
  return a === undefined || b === undefined ? undefined : node.op === 'add' ? a + b : a - b
}

/** Integers that are only added and multiplied: they follow from sizes, and kernels that differ in them share their code. */
function numbersOf({ nodes }: Kernel, live: ReadonlySet<NodeId>): NodeId[] {
  const isNumber = (node: Node) => node.op === 'const' && node.type === 'int32' && Math.abs(Number(node.value)) > 1
  const elsewhere = new Set<NodeId>()
  for (const id of live) if (!['add', 'sub', 'mul'].includes(nodes[id]!.op)) argsOf(nodes[id]!).forEach((a) => elsewhere.add(a))
  return [...live].filter((id) => isNumber(nodes[id]!) && !elsewhere.has(id)).sort((a, b) => a - b)
}

export function fusedProducts(
  { nodes, outputs }: { readonly nodes: readonly Node[]; readonly outputs: readonly { readonly node: NodeId }[] },
  live: ReadonlySet<NodeId>,
  depths: readonly number[],
  varies: readonly boolean[],
): Set<NodeId> {
  const uses = nodes.map(() => 0)
  for (const id of live) for (const a of argsOf(nodes[id]!)) uses[a]!++
  for (const { node } of outputs) uses[node]!++
  const fused = new Set<NodeId>()
  const deepest = Math.max(0, ...depths)
  for (const id of live) {
    const node = nodes[id]!
    const candidates =
      node.op === 'add' ? node.args : node.op === 'sub' ? [node.args[1]!] : node.op === 'reduce' && node.combine === 'sum' ? node.args : []
    for (const a of candidates) {
      const product = nodes[a]!
      const floats = product.type === 'float32' || product.type === 'float64'
      const place = node.op === 'reduce' ? depths[a] === deepest : depths[a] === depths[id] && varies[a] === varies[id]
      if (product.op !== 'mul' || !floats || uses[a] !== 1 || !place) continue
      fused.add(a)
      break
    }
  }
  return fused
}

function keyOf(plan: Omit<KernelPlan, 'key'>, relaxed: boolean): string {
  const { kernel, accesses, outer, inner, vectorAxis } = plan
  let key = `${plan.lanes} ${plan.chunked} ${plan.pipelined} ${plan.sweepsColumns} ${plan.tile} ${relaxed} ${plan.unroll} ${outer.join()} ${inner.join()} ${vectorAxis} ${kernel.params.join()}`
  for (const dtype of kernel.inputs) key += dtypeInfo[dtype].code
  kernel.nodes.forEach((node, id) => {
    if (!plan.live.has(id)) return
    key += ` ${id} ${node.op} ${node.type}`
    if (node.op === 'const') key += plan.numbers.includes(id) ? '#' : Object.is(node.value, -0) ? '-0' : node.value
    else if (node.op === 'param') key += node.index
    else if (node.op === 'index') key += node.axis
    else if (node.op === 'load') key += node.input
    else {
      if (node.op === 'gather') key += node.input
      if (node.op === 'reduce') key += node.combine
      if (node.op === 'narrow') key += node.dtype
      for (const a of argsOf(node)) key += `,${a}`
    }
  })
  for (const { buffer, node, dtype, lanes, strides } of accesses) {
    key += ` ${buffer} ${node} ${dtypeInfo[dtype].code} ${lanes} `
    for (let axis = 0; axis < strides.length; axis++)
      key += strides[axis] === 0 ? '0' : axis === plan.tile && strides[axis] === 1 ? 't' : '1'
  }
  return key
}

import { argsOf, type Node, type NodeId } from '../kernel.ts'
import { ModuleBuilder } from './assembler.ts'
import { bfloat16Values } from './bfloat16-values.ts'
import { emitGather, emitLoad, emitStore, emitTransposedLoad } from './emit-memory.ts'
import { emitComputed, emitFusedSum, emitParam, importMath } from './emit-node.ts'
import {
  type Accumulator,
  accumulate,
  accumulated,
  accumulateProduct,
  mergeAccumulators,
  partsOf,
  reduceLanes,
  releaseAccumulator,
  startAccumulator,
} from './emit-reduce.ts'
import { decode } from './emit-scalar.ts'
import type { FunctionBuilder, Local } from './function-builder.ts'
import { assign, define, type I32, loopWhile, push } from './i32-expression.ts'
import type { DescriptorLayout } from './kernel-descriptor.ts'
import { KernelLoops, type Part, type Tail } from './kernel-loops.ts'
import type { KernelPlan } from './kernel-plan.ts'
import { programCode } from './program-code.ts'
import { type Expression, type ModuleContext, VectorCode } from './vector-code.ts'

/**
 * The module of a kernel. It exports `run(begin, end, thread, descriptor)`, which does the tasks `begin <= t < end`: rows of
 * the outer loop or, where lanes are rows, blocks of the vector axis of each. Where reductions are cut into chunks, the tasks
 * of `run` are the chunks of each of these, and `finish` then puts their results together.
 */
export function emitKernel(
  plan: KernelPlan,
  layout: DescriptorLayout,
  options: { relaxed: boolean; shared: boolean },
): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder()
  module.importMemory({ shared: options.shared })
  const math = importMath(module, plan.kernel.nodes, plan.live)
  const context: ModuleContext = { module, lanes: plan.lanes, relaxed: options.relaxed, math, helpers: new Map() }
  if (plan.chunked) {
    new KernelEmitter(plan, layout, context, 'chunk').emit()
    new KernelEmitter(plan, layout, context, 'finish').emit()
  } else {
    new KernelEmitter(plan, layout, context, 'whole').emit()
  }
  return module.toBytes()
}

export type Leaf = (copy: number) => void

export interface Output {
  readonly node: NodeId
  readonly access: number
}

export const nodeOf = ({ node }: Output): NodeId => node

/** Reductions that are made together. */
export interface Pass {
  /** What they reduce. */
  readonly args: readonly NodeId[]
  /** By reduction, its accumulators. */
  readonly sums: readonly (readonly Accumulator[])[]
  /** What is stored along with them. */
  readonly kept: readonly Output[]
  /** Takes in an element, or a vector of them. */
  readonly add: Leaf
  /** Makes values of them. */
  readonly end: () => void
}

export class KernelEmitter {
  readonly #plan: KernelPlan
  readonly #layout: DescriptorLayout
  readonly #part: Part
  readonly #f: FunctionBuilder
  readonly #c: VectorCode
  readonly loops: KernelLoops
  readonly #bfloat16: readonly boolean[]
  readonly #blind: ReadonlySet<NodeId>
  /** Those that elements of a row have places in, and those that a row has one in. */
  readonly outputs: { readonly ofElements: readonly Output[]; readonly ofRows: readonly Output[] }
  /** By buffer, those that are gathered from. */
  readonly #bases: (Local<'i32'> | undefined)[] = []
  /** By node: what is computed and in scope, a local for each vector (or one, where lanes are the same). */
  values: (Local<'v128'>[] | undefined)[] = []
  /** By node: elements of a tile that were loaded for all its positions at once, as memory holds them. */
  #transposed: (Local<'v128'>[] | undefined)[] = []
  /** Elements of the row before the innermost open loop over them, for positional reductions. */
  position: Local<'i32'> | undefined
  /** Whether the plan's kept value lies in its output's memory. */
  isKept = false

  constructor(plan: KernelPlan, layout: DescriptorLayout, context: ModuleContext, part: Part) {
    this.#plan = plan
    this.#bfloat16 = bfloat16Values(plan.kernel.nodes, plan.kernel.inputs)
    // Chunks leave all that they know in memory.
    this.#blind = (!plan.chunked && programCode()?.blindExtrema(plan.kernel)) || new Set()
    const outputs = plan.kernel.outputs.map(({ node, strides }, o) => ({ node, strides, access: plan.loads + o }))
    const ofElements = outputs.filter(({ node, strides }) => plan.perElement[node] || plan.inner.some((axis) => strides[axis] !== 0))
    this.outputs = { ofElements, ofRows: outputs.filter((o) => !ofElements.includes(o)) }
    this.#layout = layout
    this.#part = part
    this.#f = context.module.function(part === 'finish' ? 'finish' : 'run', { export: true })
    this.#c = new VectorCode(this.#f, context)
    this.loops = new KernelLoops(this.#f, plan, layout, part)
  }

  emit(): void {
    const plan = this.#plan
    const loops = this.loops
    plan.kernel.nodes.forEach((node, id) => {
      if (node.op === 'gather' && plan.live.has(id)) {
        this.#bases[node.input] ??= define(this.#f, loops.word(this.#layout.pointers + 4 * node.input))
      }
    })
    loops.locateAccesses()
    const live = [...plan.live].sort((a, b) => a - b)
    this.emitDepth(0, live, 1)
    const rows = plan.pipelined
      ? programCode()!.pipelineRows(this, plan, this.#c)
      : (copies: number) => this.scoped(() => this.#rows(copies))
    if (plan.sweepsColumns && this.#part === 'chunk')
      loops.sweep = (start, stop) => programCode()!.sweepColumns(this, plan, this.#c, start, stop)
    loops.tasks((body) => {
      this.scoped(() => {
        if (plan.lanesAreRows) this.emitDepth(1, live, 1)
        body()
      })
    }, rows)
  }

  /** Emits where `known` is computed; nodes computed in `body` are forgotten afterwards. */
  scoped(body: () => void, known = this.values): void {
    const saved = this.values
    this.values = [...known]
    body()
    this.values.forEach((locals, id) => {
      if (locals && !known[id]) this.#f.release(...locals)
    })
    this.values = saved
  }

  /** The whole of a row, or of `copies` vectors of rows. */
  #rows(copies: number): void {
    const plan = this.#plan
    this.#transposed = []
    for (let pass = 0; pass < plan.passCount; pass++) this.reduce(pass, copies)
    if (this.#part === 'chunk') return
    const { ofElements, ofRows } = this.outputs
    // Nothing of the row is stored before all of its own values are known: outputs may lie on top of inputs.
    this.emitRowDepths(this.needed(ofRows.map(nodeOf)), copies)
    if (ofElements.length) this.storeElements(copies)
    for (let copy = 0; copy < copies; copy++) this.storeAll(ofRows, copy)
    for (const locals of this.#transposed) if (locals) this.#f.release(...locals)
  }

  storeElements(copies: number): void {
    const { ofElements } = this.outputs
    this.isKept = !!this.#plan.kept
    this.#elements(ofElements.map(nodeOf), ofElements, copies, (copy) => this.storeAll(ofElements, copy))
    this.isKept = false
  }

  storeAll(outputs: readonly Output[], copy: number): void {
    for (const { access, node } of outputs) this.#store(access, node, copy)
  }

  /** Begins the reductions of a pass over the row. */
  pass(number: number, vectors: number): Pass {
    const plan = this.#plan
    const c = this.#c
    const { nodes } = plan.kernel
    const ids = [...plan.passes].filter(([, pass]) => pass === number).map(([id]) => id)
    const args = ids.map((id) => argsOf(nodes[id]!)[0]!)
    const sums = ids.map((id, i) => {
      const { combine } = nodes[id] as Extract<Node, { op: 'reduce' }>
      return Array.from({ length: vectors }, () => startAccumulator(c, combine, nodes[args[i]!]!.type, { blind: this.#blind.has(id) }))
    })
    const kept = plan.kept && number === plan.passCount - 1 ? [plan.kept] : []
    const add = (copy: number) => {
      args.forEach((arg, i) => this.#accumulate(sums[i]![copy]!, arg, copy))
      this.storeAll(kept, copy)
    }
    const end = () => {
      sums.forEach((all, i) => {
        if (!plan.lanesAreRows) {
          const [first, ...rest] = all as [Accumulator, ...Accumulator[]]
          for (const other of rest) {
            mergeAccumulators(
              c,
              first,
              partsOf(other).map((part) => c.read(part)),
            )
            releaseAccumulator(c, other)
          }
          if (this.#part !== 'chunk') reduceLanes(c, first)
        }
        if (this.#part === 'chunk') return
        this.values[ids[i]!] = (plan.lanesAreRows ? all : all.slice(0, 1)).map((sum) => {
          if (!sum.position && !sum.sawNaN) return sum.value
          const result = this.#f.local('v128')
          c.set(result, accumulated(c, sum))
          releaseAccumulator(c, sum)
          return result
        })
      })
      if (this.#part === 'chunk') this.#storeChunk(sums)
    }
    return { args, sums, kept, add, end }
  }

  reduce(number: number, copies: number): void {
    const plan = this.#plan
    const f = this.#f
    const { args, sums, kept, add, end } = this.pass(number, plan.lanesAreRows ? copies : this.#part === 'finish' ? 1 : plan.unroll)
    if (this.#part === 'finish') {
      this.#loadChunks(sums)
    } else {
      const positional = sums.some(([first]) => first!.position)
      if (positional) this.position = define(f, this.#firstPosition())
      this.#elements(args, kept, copies, (copy) => {
        add(copy)
        if (plan.lanesAreRows && positional && copy === (this.loops.tail ? 0 : plan.unroll - 1)) f.increment(this.position!, 1)
      })
      if (positional) f.release(this.position!)
      this.position = undefined
    }
    end()
  }

  /** Elements of the row before the chunk. */
  #firstPosition(): I32 {
    const { inner, vectorAxis } = this.#plan
    // Along the vector axis itself, positions count from the row's start.
    if (!this.loops.range || inner[0] === vectorAxis) return 0
    return inner.slice(1).reduce<I32>((product, axis) => ['*', product, this.loops.extent(axis)], this.loops.range.start)
  }

  /** Calls `each` with the address of every part of the accumulators, which lie one after the other, vector by vector. */
  eachPartial(
    sums: readonly (readonly Accumulator[])[],
    base: Local<'i32'>,
    each: (at: Local<'i32'>, offset: number, sum: Accumulator, part: number) => void,
  ): void {
    const plan = this.#plan
    const bytes = 16 * plan.partials
    const at = define(this.#f, base)
    if (plan.lanesAreRows) {
      const vectorBytes = bytes / plan.lanes
      assign(this.#f, at, ['+', at, ['*', ['-', this.loops.counters[plan.vectorAxis]!, this.loops.blockStart!], vectorBytes]])
    }
    const vectors = plan.lanesAreRows ? sums[0]!.length : 1
    for (let v = 0; v < vectors; v++) {
      let offset = v * bytes
      for (const all of sums) {
        partsOf(all[v]!).forEach((_, part) => {
          each(at, offset, all[v]!, part)
          offset += 16
        })
      }
    }
    this.#f.release(at)
  }

  #storeChunk(sums: readonly (readonly Accumulator[])[]): void {
    const f = this.#f
    this.eachPartial(sums, this.loops.partials!, (at, offset, sum, part) => {
      f.get(at)
      f.get(partsOf(sum)[part]!)
      f.mem('v128.store', offset)
    })
    for (const all of sums) for (const sum of this.#plan.lanesAreRows ? all : all.slice(0, 1)) releaseAccumulator(this.#c, sum)
  }

  /** Merges what all chunks have left. */
  #loadChunks(sums: readonly (readonly Accumulator[])[]): void {
    const f = this.#f
    const c = this.#c
    const at = define(f, this.loops.partials!)
    const left = define(f, this.loops.word(this.#layout.chunks))
    loopWhile(f, left, () => {
      this.eachPartial(sums, at, (pointer, offset, sum, part) => {
        if (part > 0) return
        const parts = partsOf(sum).map((_, i) => () => {
          f.get(pointer)
          f.mem('v128.load', offset + 16 * i)
        })
        mergeAccumulators(c, sum, parts)
      })
      assign(f, at, ['+', at, this.loops.word(this.#layout.taskBytes)])
      f.increment(left, -1)
    })
    f.release(at, left)
  }

  #accumulate(to: Accumulator, id: NodeId, copy: number): void {
    const c = this.#c
    c.scope(() => {
      // In a tail, lanes beyond the row keep what they have.
      const mask = this.loops.tail && !this.#plan.lanesAreRows ? c.keep(this.#laneMask(this.loops.tail)) : undefined
      if (this.#plan.fused.has(id)) {
        const [a, b] = argsOf(this.#plan.kernel.nodes[id]!)
        accumulateProduct(c, to, this.value(a!, copy), this.value(b!, copy), mask)
      } else {
        accumulate(c, to, this.value(id, copy), to.position ? c.keep(this.#positions(copy)) : () => {}, mask)
      }
    })
  }

  /** Which lanes exist, as a bool. */
  #laneMask({ remaining }: Tail): Expression {
    const c = this.#c
    const numbers = this.#laneNumbers(c.lanes === 2)
    if (c.lanes === 4) return c.op('i32x4.gt_s', c.op('i32x4.splat', c.read(remaining)), numbers)
    return c.op('i64x2.gt_s', c.op('i64x2.splat', c.op('i64.extend_i32_s', c.read(remaining))), numbers)
  }

  /** 0, 1 and so on, in lanes of 32 or 64 bits. */
  #laneNumbers(wide: boolean): Expression {
    const local = this.#f.constantOf(
      wide ? [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0] : [0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0],
    )
    return this.#c.read(local)
  }

  /** Positions of a vector's elements in their rows, for positional reductions. */
  #positions(copy: number): Expression {
    const c = this.#c
    const { lanesAreRows, vectorAxis, lanes } = this.#plan
    const at: I32 = lanesAreRows ? this.position! : ['+', ['+', this.position!, this.loops.counters[vectorAxis]!], copy * lanes]
    const scalar = () => push(this.#f, at)
    const splat = lanes === 4 ? c.op('i32x4.splat', scalar) : c.op('i64x2.splat', c.op('i64.extend_i32_s', scalar))
    return lanesAreRows ? splat : c.op(lanes === 4 ? 'i32x4.add' : 'i64x2.add', splat, this.#laneNumbers(lanes === 2))
  }

  /** Whether it is written into the code where it is used. */
  #isLiteral(id: NodeId): boolean {
    return this.#plan.kernel.nodes[id]!.op === 'const' && !this.#plan.numbers.includes(id)
  }

  /** Nodes that have to be computed for `targets`, arguments first. */
  needed(targets: readonly NodeId[]): NodeId[] {
    const { nodes } = this.#plan.kernel
    const found = new Set<NodeId>()
    const visit = (id: NodeId) => {
      if (found.has(id) || this.values[id] || this.#isLiteral(id)) return
      found.add(id)
      if (!this.isKept || id !== this.#plan.kept!.node) argsOf(nodes[id]!).forEach(visit)
    }
    targets.forEach(visit)
    return [...found].sort((a, b) => a - b)
  }

  emitRowDepths(nodes: readonly NodeId[], copies: number): void {
    for (let depth = 1; depth <= this.#plan.rowDepth; depth++) this.emitDepth(depth, nodes, copies)
  }

  /** Computes those of `nodes` that change in the loop at `depth`; then calls `leaf`, for one vector after the other. */
  emitDepth(depth: number, nodes: readonly NodeId[], copies: number, leaf?: Leaf): void {
    const plan = this.#plan
    const here = nodes.filter((id) => plan.depths[id] === depth && !this.values[id]?.length && !this.#isLiteral(id) && !plan.fused.has(id))
    for (const id of here) if (!plan.varies[id]) this.values[id] = [this.#compute(id, 0)]
    const varying = here.filter((id) => plan.varies[id])
    for (const id of varying) this.values[id] = []
    for (let copy = 0; copy < copies; copy++) {
      for (const id of varying) this.values[id]![copy] = this.#compute(id, copy)
      leaf?.(copy)
    }
  }

  /** The accesses for loads among `nodes`, and for `outputs`. */
  used(nodes: readonly NodeId[], outputs: readonly Output[]): number[] {
    const { accesses, loads } = this.#plan
    return [...accesses.keys()].filter((a) => (a < loads ? nodes.includes(accesses[a]!.node) : outputs.some(({ access }) => access === a)))
  }

  /** The reduction loops around `leaf`, for which `targets` are computed. */
  #elements(targets: readonly NodeId[], outputs: readonly Output[], copies: number, leaf: Leaf): void {
    const plan = this.#plan
    const nodes = this.needed(targets)
    this.emitRowDepths(nodes, copies)
    const used = this.used(nodes, outputs)
    if (!plan.inner.length) {
      for (let copy = 0; copy < copies; copy++) leaf(copy)
      return
    }
    const open = (at: number): void => {
      const axis = plan.inner[at]!
      const depth = plan.rowDepth + 1 + at
      const innermost = at === plan.inner.length - 1
      if (axis === plan.vectorAxis) {
        const range = at === 0 ? this.loops.range : undefined
        const stop = define(this.#f, range?.stop ?? this.loops.extent(axis))
        this.loops.vector(range?.start ?? 0, stop, used, (vectors) => this.scoped(() => this.emitDepth(depth, nodes, vectors, leaf)))
        if (this.position) assign(this.#f, this.position, ['+', this.position, stop])
        this.#f.release(stop)
        return
      }
      this.loops.scalar(axis, at === 0 ? this.loops.range : undefined, used, () => {
        this.scoped(() => {
          this.emitDepth(depth, nodes, copies, innermost ? leaf : undefined)
          if (!innermost) open(at + 1)
        })
      })
    }
    open(0)
  }

  #load(id: NodeId, copy: number): Expression {
    const { accesses, tile } = this.#plan
    const access = accesses.findIndex((a) => a.node === id)
    const { dtype, lanes, strides } = accesses[access]!
    if (lanes !== 'strided' || strides[tile!] !== 1 || !this.loops.tilePointers[access]?.length)
      return emitLoad(this.#c, this.loops.place(access, copy))
    if (copy === 0) this.#transposed[id] = emitTransposedLoad(this.#c, this.loops.place(access, 0))
    return decode(this.#c, dtype, this.#c.read(this.#transposed[id]![copy]!))
  }

  #store(access: number, id: NodeId, copy: number): void {
    emitStore(this.#c, { ...this.loops.place(access, copy), isBfloat16: this.#bfloat16[id]! }, this.value(id, copy))
  }

  value(id: NodeId, copy: number): Expression {
    const node = this.#plan.kernel.nodes[id]!
    if (node.op === 'const' && this.#isLiteral(id)) return this.#c.number(node.type, node.value)
    return this.#c.read(this.values[id]![this.#plan.varies[id] ? copy : 0]!)
  }

  #compute(id: NodeId, copy: number): Local<'v128'> {
    const local = this.#f.local('v128')
    this.#c.scope(() => this.#c.set(local, this.#expression(id, copy)))
    return local
  }

  #expression(id: NodeId, copy: number): Expression {
    const c = this.#c
    const plan = this.#plan
    const { nodes, inputs } = plan.kernel
    const node = nodes[id]!
    if (this.isKept && id === plan.kept!.node) return emitLoad(c, this.loops.place(plan.kept!.access, copy))
    const args = argsOf(node).map((a) => (plan.fused.has(a) ? () => {} : this.value(a, copy)))
    switch (node.op) {
      case 'param':
        return emitParam(c, node, this.loops.descriptor, this.#layout.params + 8 * node.index)
      case 'index':
        return this.#index(node.axis, copy)
      case 'load':
        return this.#load(id, copy)
      case 'gather':
        return emitGather(c, inputs[node.input]!, this.#bases[node.input]!, args[0]!, plan.gatherLanes.get(id)!, this.loops.tail?.remaining)
      case 'const':
        return c.op('i32x4.splat', () => push(this.#f, this.loops.word(this.#layout.numbers[plan.numbers.indexOf(id)]!)))
      case 'reduce':
        throw new TypeError(`${node.op} is not computed in place`)
      default:
        return (
          emitFusedSum(c, nodes, node, plan.fused, (a) => this.value(a, copy)) ?? emitComputed(c, nodes, node, args, (a) => !plan.varies[a])
        )
    }
  }

  #index(axis: number, copy: number): Expression {
    const c = this.#c
    const { vectorAxis, lanes } = this.#plan
    const counter = this.loops.counters[axis]!
    if (axis !== vectorAxis) return c.op('i32x4.splat', c.read(counter))
    const first = c.op('i32x4.splat', () => push(this.#f, copy ? ['+', counter, copy * lanes] : counter))
    return c.op('i32x4.add', first, this.#laneNumbers(false))
  }
}

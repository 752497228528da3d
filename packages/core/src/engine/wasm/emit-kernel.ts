import { dtypeInfo } from '../../dtype.ts'
import { argsOf, type Node, type NodeId } from '../kernel.ts'
import type { ScalarOp } from '../scalar.ts'
import { ModuleBuilder } from './assembler.ts'
import { emitGather, emitLoad, emitStore, emitTransposedLoad, type Place } from './emit-memory.ts'
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
import { decode, emitCast, emitNarrow, emitScalar, mathImport } from './emit-scalar.ts'
import type { FunctionBuilder, FunctionRef, Local } from './function-builder.ts'
import { assign, define, type I32, push } from './i32-expression.ts'
import type { DescriptorLayout } from './kernel-descriptor.ts'
import type { KernelPlan } from './kernel-plan.ts'
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
  const math = new Map<string, FunctionRef>()
  for (const id of plan.live) {
    const node = plan.kernel.nodes[id]!
    const wanted = isInstruction(node) ? mathImport(node.op, plan.kernel.nodes[node.args[0]!]!.type) : undefined
    if (wanted && !math.has(wanted.name)) {
      math.set(wanted.name, module.importFunction(wanted.name, wanted.arity === 2 ? ['f64', 'f64'] : ['f64'], ['f64'], 'Math'))
    }
  }
  const context: ModuleContext = { module, lanes: plan.lanes, relaxed: options.relaxed, math, helpers: new Map() }
  if (plan.chunked) {
    new KernelEmitter(plan, layout, context, 'chunk').emit()
    new KernelEmitter(plan, layout, context, 'finish').emit()
  } else {
    new KernelEmitter(plan, layout, context, 'whole').emit()
  }
  return module.toBytes()
}

type Instruction = Extract<Node, { op: ScalarOp }>

const others: readonly string[] = ['const', 'param', 'index', 'load', 'gather', 'reduce', 'select', 'cast', 'narrow']

const isInstruction = (node: Node): node is Instruction => !others.includes(node.op)

/** The last vector of a row, or one of the last. */
interface Tail {
  /** Lanes that exist; may be more than a vector has. */
  readonly remaining: Local<'i32'>
}

type Leaf = (copy: number) => void

/** What a function does: whole rows; reductions over a chunk of the row, whose results go to memory; or the rest of the row. */
type Part = 'whole' | 'chunk' | 'finish'

/** An axis of the tasks that is not one of the kernel: its size, and the position along it. */
interface TaskAxis {
  readonly size: Local<'i32'>
  readonly position: Local<'i32'>
}

class KernelEmitter {
  readonly #plan: KernelPlan
  readonly #layout: DescriptorLayout
  readonly #f: FunctionBuilder
  readonly #c: VectorCode
  readonly #begin: Local<'i32'>
  readonly #end: Local<'i32'>
  readonly #descriptor: Local<'i32'>
  /** The position along each axis. */
  readonly #counters: Local<'i32'>[]
  /** By buffer, those that are gathered from. */
  readonly #bases: (Local<'i32'> | undefined)[] = []
  /** By access: its address at the innermost open loop. */
  #pointers: Local<'i32'>[] = []
  /** By access: bytes between lanes, where they are strided. */
  #steps: (Local<'i32'> | undefined)[] = []
  /** By node: what is computed and in scope, a local for each vector (or one, where lanes are the same). */
  #values: (Local<'v128'>[] | undefined)[] = []
  #tail: Tail | undefined
  /** Elements of the row before the innermost open loop over them, for positional reductions. */
  #position: Local<'i32'> | undefined
  readonly #part: Part
  /** The part [start, stop) of the outermost reduction axis that a chunk has. */
  #range: { start: Local<'i32'>; stop: Local<'i32'> } | undefined
  /** In a tile: by access, the address at each position of the tile axis (none where it is the same at all). */
  #tilePointers: Local<'i32'>[][] = []
  /** By node: elements of a tile that were loaded for all its positions at once, as memory holds them. */
  #transposed: (Local<'v128'>[] | undefined)[] = []
  /** Whether the plan's kept value lies in its output's memory. */
  #isKept = false
  /** Where the chunk's results go, or the first chunk's lie; for the first vector of the block. */
  #partials: Local<'i32'> | undefined
  /** First position of the block on the vector axis. */
  #blockStart: Local<'i32'> | undefined

  constructor(plan: KernelPlan, layout: DescriptorLayout, context: ModuleContext, part: Part) {
    this.#plan = plan
    this.#layout = layout
    this.#part = part
    const f = context.module.function(part === 'finish' ? 'finish' : 'run', { export: true })
    this.#f = f
    this.#begin = f.param('i32')
    this.#end = f.param('i32')
    f.param('i32')
    this.#descriptor = f.param('i32')
    this.#c = new VectorCode(f, context)
    this.#counters = [...plan.kernel.parallel, ...plan.kernel.reduce].map(() => f.local('i32'))
  }

  emit(): void {
    const plan = this.#plan
    const f = this.#f
    plan.kernel.nodes.forEach((node, id) => {
      if (node.op === 'gather' && plan.live.has(id))
        this.#bases[node.input] ??= define(f, this.#word(this.#layout.pointers + 4 * node.input))
    })
    this.#pointers = plan.accesses.map(({ buffer }, a) =>
      define(f, ['+', this.#word(this.#layout.pointers + 4 * buffer), this.#word(this.#layout.offsets[a]!)]),
    )
    this.#steps = plan.accesses.map(({ lanes }, a) =>
      lanes === 'strided' ? define(f, this.#word(this.#layout.strides[a]![plan.vectorAxis]!)) : undefined,
    )
    this.#emitDepth(
      0,
      [...plan.live].sort((a, b) => a - b),
      1,
    )
    const taskAxis = (at: number): TaskAxis => ({ size: define(f, this.#word(at)), position: f.local('i32') })
    const chunk = this.#part === 'chunk' ? taskAxis(this.#layout.chunks) : undefined
    const block = plan.lanesAreRows && (plan.outer.length || plan.chunked) ? taskAxis(this.#layout.blocks) : undefined
    const body = () => {
      if (plan.chunked) this.#locateChunk(chunk)
      if (block) this.#block(block.position)
      else this.#rows(1)
    }
    if (plan.lanesAreRows && !block) this.#scoped(() => this.#block(this.#begin, this.#end))
    else this.#outerLoop([...(chunk ? [chunk] : []), ...(block ? [block] : [])], body)
  }

  /** Sets what the task's chunk is and where its results are. */
  #locateChunk(chunk: TaskAxis | undefined): void {
    const f = this.#f
    const { chunks, chunkLength, partials, taskBytes, extents } = this.#layout
    this.#partials ??= f.local('i32')
    const task: I32 = this.#part === 'finish' ? ['*', this.#begin, this.#word(chunks)] : this.#begin
    assign(f, this.#partials, ['+', this.#word(partials), ['*', task, this.#word(taskBytes)]])
    if (!chunk) return
    this.#range ??= { start: f.local('i32'), stop: f.local('i32') }
    const { start, stop } = this.#range
    assign(f, start, ['*', chunk.position, this.#word(chunkLength)])
    assign(f, stop, ['min', ['+', start, this.#word(chunkLength)], this.#word(extents[this.#plan.inner[0]!]!)])
  }

  #word(at: number): I32 {
    return ['load', this.#descriptor, at]
  }

  #extent(axis: number): I32 {
    return this.#word(this.#layout.extents[axis]!)
  }

  /** Walks the outer axes, and others within (innermost first), from the task `begin` to the task `end`. */
  #outerLoop(within: readonly TaskAxis[], body: () => void): void {
    const plan = this.#plan
    const f = this.#f
    const task = define(f, this.#begin)
    const divide = (by: I32, position: Local<'i32'>) => {
      push(f, task)
      push(f, by)
      f.op('i32.rem_u')
      f.set(position)
      push(f, task)
      push(f, by)
      f.op('i32.div_u')
      f.set(task)
    }
    for (const { size, position } of within) divide(size, position)
    plan.outer.toReversed().forEach((axis, i) => {
      if (i === plan.outer.length - 1) assign(f, this.#counters[axis]!, task)
      else divide(this.#extent(axis), this.#counters[axis]!)
    })
    plan.accesses.forEach(({ strides }, a) => {
      for (const axis of plan.outer) {
        if (strides[axis] !== 0) this.#advance(a, ['*', this.#counters[axis]!, this.#word(this.#layout.strides[a]![axis]!)])
      }
    })
    f.while(
      () => push(f, ['<u', this.#begin, this.#end]),
      () => {
        this.#scoped(() => {
          if (plan.lanesAreRows)
            this.#emitDepth(
              1,
              [...plan.live].sort((a, b) => a - b),
              1,
            )
          body()
        })
        const next = (at: number): void => {
          const axis = within[at]
          if (!axis) return this.#nextRow(plan.outer.length - 1)
          f.increment(axis.position, 1)
          push(f, ['==', axis.position, axis.size])
          f.if(() => {
            assign(f, axis.position, 0)
            next(at + 1)
          })
        }
        next(0)
        f.increment(this.#begin, 1)
      },
    )
  }

  #advance(access: number, bytes: I32): void {
    assign(this.#f, this.#pointers[access]!, ['+', this.#pointers[access]!, bytes])
  }

  #nextRow(at: number): void {
    const { outer, accesses } = this.#plan
    const axis = outer[at]
    if (axis === undefined) return
    const counter = this.#counters[axis]!
    this.#f.increment(counter, 1)
    accesses.forEach(({ strides }, a) => {
      if (strides[axis] !== 0) this.#advance(a, this.#word(this.#layout.strides[a]![axis]!))
    })
    if (at === 0) return
    push(this.#f, ['==', counter, this.#extent(axis)])
    this.#f.if(() => {
      assign(this.#f, counter, 0)
      accesses.forEach(({ strides }, a) => {
        if (strides[axis] !== 0) this.#advance(a, ['-', 0, ['*', this.#extent(axis), this.#word(this.#layout.strides[a]![axis]!)]])
      })
      this.#nextRow(at - 1)
    })
  }

  /** Blocks `first` up to `last` (or that one alone) of the vector axis, whose lanes are rows. */
  #block(first: Local<'i32'>, last?: Local<'i32'>): void {
    const plan = this.#plan
    const f = this.#f
    const length = this.#word(this.#layout.blockLength)
    const start = define(f, ['*', first, length])
    this.#blockStart = start
    const stop = define(f, ['min', ['*', last ?? ['+', first, 1], length], this.#extent(plan.vectorAxis)])
    const all = [...plan.accesses.keys()]
    if (plan.tile === undefined) this.#vectorLoop(start, stop, all, (copies) => this.#rows(copies))
    else this.#tileLoop(plan.tile, start, stop, all)
    f.release(start, stop)
  }

  /** Walks the tile axis, as many positions at once as a vector has lanes, then one by one; the vector axis within. */
  #tileLoop(tile: number, start: Local<'i32'>, stop: Local<'i32'>, accesses: readonly number[]): void {
    const plan = this.#plan
    const f = this.#f
    const left = define(f, this.#extent(tile))
    const moving = accesses.filter((a) => plan.accesses[a]!.strides[tile] !== 0)
    const strides = moving.map((a) => define(f, this.#word(this.#layout.strides[a]![tile]!)))
    const walk = (positions: number) => {
      f.while(
        () => push(f, ['>=', left, positions]),
        () => {
          this.#vectorLoop(start, stop, accesses, () => {
            this.#tilePointers = plan.accesses.map((_, a) => {
              const at = moving.indexOf(a)
              return at < 0 || positions === 1
                ? []
                : Array.from({ length: positions }, (_, i) => define(f, ['+', this.#pointers[a]!, ['*', strides[at]!, i]]))
            })
            this.#rows(positions)
            f.release(...this.#tilePointers.flat(), ...this.#transposed.flatMap((rows) => rows ?? []))
            this.#tilePointers = []
            this.#transposed = []
          })
          moving.forEach((a, i) => this.#advance(a, ['*', strides[i]!, positions]))
          f.increment(left, -positions)
        },
      )
    }
    this.#withPointers(
      moving,
      (_, pointer) => pointer,
      () => {
        walk(plan.lanes)
        walk(1)
      },
    )
    f.release(left, ...strides)
  }

  /** Walks the vector axis from `start` to `stop`: whole groups of vectors first, then single ones. */
  #vectorLoop(start: I32, stop: Local<'i32'>, accesses: readonly number[], body: (copies: number) => void): void {
    const plan = this.#plan
    const f = this.#f
    const counter = this.#counters[plan.vectorAxis]!
    assign(f, counter, start)
    const moving = accesses.filter((a) => plan.accesses[a]!.lanes !== 'same')
    const bytes = (a: number, elements: I32): I32 => ['*', elements, this.#steps[a] ?? this.#elementBytes(a)]
    this.#withPointers(
      moving,
      (a, pointer) => (start === 0 ? pointer : ['+', pointer, bytes(a, start)]),
      () => {
        const group = plan.unroll * plan.lanes
        const step = (elements: number) => {
          f.increment(counter, elements)
          for (const a of moving) this.#advance(a, this.#steps[a] ? ['*', this.#steps[a]!, elements] : elements * this.#elementBytes(a))
        }
        const groupsEnd = define(f, ['-', stop, group - 1])
        f.while(
          () => push(f, ['<', counter, groupsEnd]),
          () => {
            this.#scoped(() => body(plan.unroll))
            step(group)
          },
        )
        f.release(groupsEnd)
        const remaining = f.local('i32')
        f.while(
          () => push(f, ['<', counter, stop]),
          () => {
            assign(f, remaining, ['-', stop, counter])
            this.#tail = { remaining }
            this.#scoped(() => body(1))
            this.#tail = undefined
            step(plan.lanes)
          },
        )
        f.release(remaining)
      },
    )
  }

  #elementBytes(access: number): number {
    return dtypeInfo[this.#plan.accesses[access]!.dtype].size
  }

  /** Gives accesses pointers of their own while `body` is emitted. */
  #withPointers(accesses: readonly number[], start: (access: number, pointer: Local<'i32'>) => I32, body: () => void): void {
    const saved = this.#pointers
    this.#pointers = [...saved]
    const own = accesses.map((a) => {
      this.#pointers[a] = define(this.#f, start(a, saved[a]!))
      return this.#pointers[a]
    })
    body()
    this.#f.release(...own)
    this.#pointers = saved
  }

  /** Emits with nodes computed in `body` forgotten afterwards. */
  #scoped(body: () => void): void {
    const saved = this.#values
    this.#values = [...saved]
    body()
    this.#values.forEach((locals, id) => {
      if (locals && !saved[id]) this.#f.release(...locals)
    })
    this.#values = saved
  }

  /** The whole of a row, or of `copies` vectors of rows. */
  #rows(copies: number): void {
    const plan = this.#plan
    for (let pass = 0; pass < plan.passCount; pass++) this.#reductionPass(pass, copies)
    if (this.#part === 'chunk') return
    const outputs = plan.kernel.outputs.map((output, o) => ({ ...output, access: plan.loads + o }))
    const ofElements = outputs.filter(({ node, strides }) => plan.perElement[node] || plan.inner.some((axis) => strides[axis] !== 0))
    const ofRows = outputs.filter((o) => !ofElements.includes(o))
    const store = (list: typeof outputs, copy: number) => {
      for (const { access, node } of list) emitStore(this.#c, this.#place(access, copy), this.#value(node, copy))
    }
    // Nothing of the row is stored before all of its own values are known: outputs may lie on top of inputs.
    const rowValues = this.#needed(ofRows.map((o) => o.node))
    this.#emitRowDepths(rowValues, copies)
    if (ofElements.length) {
      this.#isKept = plan.kept !== undefined
      const needed = this.#needed(ofElements.map((o) => o.node))
      this.#emitRowDepths(needed, copies)
      this.#elementLoops(
        needed,
        ofElements.map((o) => o.access),
        copies,
        (copy) => store(ofElements, copy),
      )
    }
    this.#isKept = false
    for (let copy = 0; copy < copies; copy++) store(ofRows, copy)
  }

  #reductionPass(pass: number, copies: number): void {
    const plan = this.#plan
    const f = this.#f
    const c = this.#c
    const ids = [...plan.passes].filter(([, p]) => p === pass).map(([id]) => id)
    const nodes = ids.map((id) => plan.kernel.nodes[id] as Extract<Node, { op: 'reduce' }>)
    const vectors = plan.lanesAreRows ? copies : this.#part === 'finish' ? 1 : plan.unroll
    const sums = nodes.map((node) =>
      Array.from({ length: vectors }, () => startAccumulator(c, node.combine, plan.kernel.nodes[node.args[0]]!.type)),
    )
    if (this.#part === 'finish') {
      this.#loadChunks(sums)
    } else {
      const positional = sums.some(([first]) => first!.position)
      if (positional) this.#position = define(f, this.#firstPosition())
      const needed = this.#needed(nodes.map((n) => n.args[0]))
      this.#emitRowDepths(needed, copies)
      const kept = pass === plan.passCount - 1 ? plan.kept : undefined
      const access = kept && plan.loads + kept.output
      this.#elementLoops(needed, access === undefined ? [] : [access], copies, (copy) => {
        nodes.forEach((node, i) => this.#accumulate(sums[i]![copy]!, node.args[0], copy))
        if (access !== undefined) emitStore(c, this.#place(access, copy), this.#value(kept!.node, copy))
        if (plan.lanesAreRows && positional && copy === (this.#tail ? 0 : plan.unroll - 1)) f.increment(this.#position!, 1)
      })
      if (positional) f.release(this.#position!)
      this.#position = undefined
    }
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
      this.#values[ids[i]!] = (plan.lanesAreRows ? all : all.slice(0, 1)).map((sum) => {
        if (!sum.position && !sum.sawNaN) return sum.value
        const result = f.local('v128')
        c.set(result, accumulated(c, sum))
        releaseAccumulator(c, sum)
        return result
      })
    })
    if (this.#part === 'chunk') this.#storeChunk(sums)
  }

  /** Elements of the row before the chunk. */
  #firstPosition(): I32 {
    const { inner, vectorAxis } = this.#plan
    // Along the vector axis itself, positions count from the row's start.
    if (!this.#range || inner[0] === vectorAxis) return 0
    return inner.slice(1).reduce<I32>((product, axis) => ['*', product, this.#extent(axis)], this.#range.start)
  }

  /** Calls `each` with the address of every part of the accumulators, which lie one after the other, vector by vector. */
  #eachPartial(
    sums: readonly (readonly Accumulator[])[],
    base: Local<'i32'>,
    each: (at: Local<'i32'>, offset: number, sum: Accumulator, part: number) => void,
  ): void {
    const plan = this.#plan
    const bytes = 16 * plan.partials
    const at = define(this.#f, base)
    if (plan.lanesAreRows) {
      const vectorBytes = bytes / plan.lanes
      assign(this.#f, at, ['+', at, ['*', ['-', this.#counters[plan.vectorAxis]!, this.#blockStart!], vectorBytes]])
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
    this.#eachPartial(sums, this.#partials!, (at, offset, sum, part) => {
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
    const at = define(f, this.#partials!)
    const left = define(f, this.#word(this.#layout.chunks))
    f.while(
      () => f.get(left),
      () => {
        this.#eachPartial(sums, at, (pointer, offset, sum, part) => {
          if (part > 0) return
          const parts = partsOf(sum).map((_, i) => () => {
            f.get(pointer)
            f.mem('v128.load', offset + 16 * i)
          })
          mergeAccumulators(c, sum, parts)
        })
        assign(f, at, ['+', at, this.#word(this.#layout.taskBytes)])
        f.increment(left, -1)
      },
    )
    f.release(at, left)
  }

  #accumulate(to: Accumulator, id: NodeId, copy: number): void {
    const c = this.#c
    c.scope(() => {
      // In a tail, lanes beyond the row keep what they have.
      const mask = this.#tail && !this.#plan.lanesAreRows ? c.keep(this.#laneMask(this.#tail)) : undefined
      if (this.#plan.fused.has(id)) {
        const [a, b] = argsOf(this.#plan.kernel.nodes[id]!)
        accumulateProduct(c, to, this.#value(a!, copy), this.#value(b!, copy), mask)
      } else {
        accumulate(c, to, this.#value(id, copy), to.position ? c.keep(this.#positions(copy)) : () => {}, mask)
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
    const at: I32 = lanesAreRows ? this.#position! : ['+', ['+', this.#position!, this.#counters[vectorAxis]!], copy * lanes]
    const scalar = () => push(this.#f, at)
    const splat = lanes === 4 ? c.op('i32x4.splat', scalar) : c.op('i64x2.splat', c.op('i64.extend_i32_s', scalar))
    return lanesAreRows ? splat : c.op(lanes === 4 ? 'i32x4.add' : 'i64x2.add', splat, this.#laneNumbers(lanes === 2))
  }

  /** Nodes that have to be computed for `targets`, arguments first. */
  #needed(targets: readonly NodeId[]): NodeId[] {
    const { nodes } = this.#plan.kernel
    const found = new Set<NodeId>()
    const visit = (id: NodeId) => {
      if (found.has(id) || this.#values[id] || nodes[id]!.op === 'const') return
      found.add(id)
      if (!this.#isKept || id !== this.#plan.kept!.node) argsOf(nodes[id]!).forEach(visit)
    }
    targets.forEach(visit)
    return [...found].sort((a, b) => a - b)
  }

  #emitRowDepths(nodes: readonly NodeId[], copies: number): void {
    for (let depth = 1; depth <= this.#plan.rowDepth; depth++) this.#emitDepth(depth, nodes, copies)
  }

  /** Computes those of `nodes` that change in the loop at `depth`; then calls `leaf`, for one vector after the other. */
  #emitDepth(depth: number, nodes: readonly NodeId[], copies: number, leaf?: Leaf): void {
    const plan = this.#plan
    const here = nodes.filter(
      (id) => plan.depths[id] === depth && !this.#values[id]?.length && plan.kernel.nodes[id]!.op !== 'const' && !plan.fused.has(id),
    )
    for (const id of here) if (!plan.varies[id]) this.#values[id] = [this.#compute(id, 0)]
    const varying = here.filter((id) => plan.varies[id])
    for (const id of varying) this.#values[id] = []
    for (let copy = 0; copy < copies; copy++) {
      for (const id of varying) this.#values[id]![copy] = this.#compute(id, copy)
      leaf?.(copy)
    }
  }

  /** The reduction loops around `leaf`. */
  #elementLoops(nodes: readonly NodeId[], outputs: readonly number[], copies: number, leaf: Leaf): void {
    const plan = this.#plan
    const used = [...plan.accesses.keys()].filter((a) => (a < plan.loads ? nodes.includes(plan.accesses[a]!.node) : outputs.includes(a)))
    if (!plan.inner.length) {
      for (let copy = 0; copy < copies; copy++) leaf(copy)
      return
    }
    const open = (at: number): void => {
      const axis = plan.inner[at]!
      const depth = plan.rowDepth + 1 + at
      const innermost = at === plan.inner.length - 1
      if (axis === plan.vectorAxis) {
        const range = at === 0 ? this.#range : undefined
        const stop = define(this.#f, range?.stop ?? this.#extent(axis))
        this.#vectorLoop(range?.start ?? 0, stop, used, (vectors) => this.#emitDepth(depth, nodes, vectors, leaf))
        if (this.#position) assign(this.#f, this.#position, ['+', this.#position, stop])
        this.#f.release(stop)
        return
      }
      this.#scalarLoop(axis, at === 0 ? this.#range : undefined, used, () => {
        this.#emitDepth(depth, nodes, copies, innermost ? leaf : undefined)
        if (!innermost) open(at + 1)
      })
    }
    open(0)
  }

  #scalarLoop(
    axis: number,
    range: { start: Local<'i32'>; stop: Local<'i32'> } | undefined,
    accesses: readonly number[],
    body: () => void,
  ): void {
    const f = this.#f
    const counter = this.#counters[axis]!
    const moving = accesses.filter((a) => this.#plan.accesses[a]!.strides[axis] !== 0)
    const stop = define(f, range?.stop ?? this.#extent(axis))
    const strides = moving.map((a) => define(f, this.#word(this.#layout.strides[a]![axis]!)))
    assign(f, counter, range?.start ?? 0)
    this.#withPointers(
      moving,
      (a, pointer) => (range ? ['+', pointer, ['*', range.start, strides[moving.indexOf(a)]!]] : pointer),
      () => {
        f.for(counter, stop, 1, () => {
          this.#scoped(body)
          moving.forEach((a, i) => this.#advance(a, strides[i]!))
        })
      },
    )
    f.release(stop, ...strides)
  }

  #place(access: number, copy: number): Place {
    const { dtype, lanes } = this.#plan.accesses[access]!
    const tiled = this.#plan.tile !== undefined
    const pointer = this.#tilePointers[access]?.[copy] ?? this.#pointers[access]!
    return { dtype, lanes, pointer, step: this.#steps[access], vector: tiled ? 0 : copy, remaining: this.#tail?.remaining }
  }

  #load(id: NodeId, copy: number): Expression {
    const { accesses, tile } = this.#plan
    const access = accesses.findIndex((a) => a.node === id)
    const { dtype, lanes, strides } = accesses[access]!
    if (lanes !== 'strided' || strides[tile!] !== 1 || !this.#tilePointers[access]?.length)
      return emitLoad(this.#c, this.#place(access, copy))
    if (copy === 0) this.#transposed[id] = emitTransposedLoad(this.#c, this.#place(access, 0))
    return decode(this.#c, dtype, this.#c.read(this.#transposed[id]![copy]!))
  }

  #value(id: NodeId, copy: number): Expression {
    const node = this.#plan.kernel.nodes[id]!
    if (node.op === 'const') return this.#c.number(node.type, node.value)
    return this.#c.read(this.#values[id]![this.#plan.varies[id] ? copy : 0]!)
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
    if (this.#isKept && id === plan.kept!.node) return emitLoad(c, this.#place(plan.loads + plan.kept!.output, copy))
    const args = argsOf(node).map((a) => (plan.fused.has(a) ? () => {} : this.#value(a, copy)))
    switch (node.op) {
      case 'param':
        return this.#param(node)
      case 'index':
        return this.#index(node.axis, copy)
      case 'load':
        return this.#load(id, copy)
      case 'gather':
        return emitGather(c, inputs[node.input]!, this.#bases[node.input]!, args[0]!, plan.gatherLanes.get(id)!, this.#tail?.remaining)
      case 'select':
        return c.where(c.maskFor(node.type, args[0]!), args[1]!, args[2]!)
      case 'cast':
        return emitCast(c, nodes[node.args[0]]!.type, node.type, args[0]!)
      case 'narrow':
        return emitNarrow(c, node.dtype, args[0]!)
      case 'const':
      case 'reduce':
        throw new TypeError(`${node.op} is not computed in place`)
      default:
        return (
          this.#fusedSum(node, copy) ??
          emitScalar(
            c,
            node.op,
            nodes[node.args[0]!]!.type,
            args,
            node.args.map((a) => !plan.varies[a]),
          )
        )
    }
  }

  /** `a * b + c` or `c - a * b` as one instruction, where the plan says so. */
  #fusedSum(node: Instruction, copy: number): Expression | undefined {
    const plan = this.#plan
    const product = node.args.find((a) => plan.fused.has(a))
    if (product === undefined) return undefined
    const [a, b] = argsOf(plan.kernel.nodes[product]!).map((x) => this.#value(x, copy))
    const other = this.#value(
      node.args.find((x) => x !== product)!,
      copy,
    )
    const shape = node.type === 'float64' ? 'f64x2' : 'f32x4'
    return node.op === 'add' ? this.#c.madd(a!, b!, other, shape) : this.#c.nmadd(a!, b!, other, shape)
  }

  #param({ index, type }: Extract<Node, { op: 'param' }>): Expression {
    const { f } = this.#c
    const number = () => {
      f.get(this.#descriptor)
      f.mem('f64.load', this.#layout.params + 8 * index)
    }
    return this.#c.build(type, () => {
      if (type === 'bool') f.i32(0)
      number()
      if (type === 'bool') {
        f.f64(0)
        f.op('f64.ne')
        f.op('i32.sub')
      } else if (type === 'float32') f.op('f32.demote_f64')
      else if (type === 'int32') f.op('i32.trunc_sat_f64_s')
      else if (type === 'int64') f.op('i64.trunc_sat_f64_s')
    })
  }

  #index(axis: number, copy: number): Expression {
    const c = this.#c
    const { vectorAxis, lanes } = this.#plan
    const counter = this.#counters[axis]!
    if (axis !== vectorAxis) return c.op('i32x4.splat', c.read(counter))
    const first = c.op('i32x4.splat', () => push(this.#f, copy ? ['+', counter, copy * lanes] : counter))
    return c.op('i32x4.add', first, this.#laneNumbers(false))
  }
}

import type { DType } from '../../dtype.ts'
import { rowMajor } from '../../layout.ts'
import { argsOf, type Kernel, KernelBuilder, type Node, type NodeId } from '../kernel.ts'
import { type Operand, productNames, type Routine } from '../routine.ts'
import type { ModuleBuilder } from './assembler.ts'
import { emitLoad, emitStore } from './emit-memory.ts'
import { emitComputed, emitFusedSum, emitParam, isComputed, isInstruction } from './emit-node.ts'
import { scalarCost } from './emit-scalar.ts'
import type { FunctionBuilder, FunctionRef, Local } from './function-builder.ts'
import type { HalfType } from './gemm-pack.ts'
import { assign, define, type I32, loopWhile, push } from './i32-expression.ts'
import { fusedProducts } from './kernel-plan.ts'
import { type Lanes, type LaneType, laneTypes } from './lanes.ts'
import type { RoutinePlan } from './matmul-plan.ts'
import { NamedFunction } from './named-function.ts'
import { type Expression, type ModuleContext, VectorCode } from './vector-code.ts'

/**
 * How elements of an operand go with elements of the result: those of a `dense` one lie as the result's do, a `column` one is
 * the same for all but the last axis, and `one` is a single element.
 */
type OperandKind = 'dense' | 'column' | 'one'

interface EpilogueOperand {
  /** Which of the kernel's inputs. */
  readonly input: number
  readonly kind: OperandKind
  readonly dtype: DType
}

/**
 * An epilogue that can be emitted into the code of a matrix product or a convolution. All its operands and outputs have the
 * type that the routine computes in, or, where that is float32, half precision, or, where it is int32, float32, which sums of bytes are scaled to.
 *
 * Its arguments are a block of words: addresses of the raw result, the operands and the outputs, then the params as float64
 * numbers. Dense operands and outputs are found by where in the raw result an element is, so however a routine cuts its result
 * into tiles, batches and phases, the epilogue has to be told nothing but where in the result it is.
 */
interface EpilogueParts {
  /** Equal for equal code. */
  readonly key: string
  readonly nodes: readonly Node[]
  readonly operands: readonly EpilogueOperand[]
  /** By node, for loads. */
  readonly operandOf: ReadonlyMap<NodeId, number>
  /** The values to store, and as what. */
  readonly outputs: readonly { readonly node: NodeId; readonly dtype: DType }[]
  readonly params: number
}

/** What modules do with an epilogue, which they know nothing else of: see `program-code.ts`. */
export interface Epilogue extends Pick<EpilogueParts, 'key' | 'nodes' | 'operands'> {
  /** Whether the code is so short that it goes over a tile's sums while they are in registers. */
  readonly isShort: boolean
  /** A plan of a routine with the epilogue's block behind its words. The pointers of the block follow the plan's own. */
  planWith(plan: RoutinePlan): RoutinePlan
  /** Writes itself into one function, which knows the address of the epilogue's block. */
  code(f: FunctionBuilder, lanes: Lanes, context: ModuleContext, block: Local<'i32'>): EpilogueCode
  /** See `emitFinish`. */
  emitFinish(m: ModuleBuilder, lanes: Lanes, context: ModuleContext, storeLanes: FunctionRef): Finish
}

const RAW = -1

/** Undefined where the code has to be a kernel of its own. */
export function planEpilogue(kernel: Kernel): Epilogue | undefined {
  const { parallel, nodes, inputs, outputs, params } = kernel
  const type = inputs[0] as DType
  if (!isLaneType(type)) return undefined
  const wide = type === 'float64' || type === 'int64'
  if (!wide && nodes.some((node) => node.type === 'float64' || node.type === 'int64')) return undefined
  const fits = (dtype: DType) => dtype === type || (type === 'float32' && isHalf(dtype)) || (type === 'int32' && dtype === 'float32')
  const dense = rowMajor(parallel)
  const last = parallel.length - 1
  const strideIs = (strides: readonly number[], wanted: (axis: number) => number) =>
    parallel.every((size, axis) => size === 1 || strides[axis] === wanted(axis))
  const isDense = (strides: readonly number[]) => strideIs(strides, (axis) => dense[axis]!)
  const kindOf = (strides: readonly number[]): OperandKind | undefined => {
    if (isDense(strides)) return 'dense'
    if (strideIs(strides, () => 0)) return 'one'
    return strideIs(strides, (axis) => (axis === last ? 1 : 0)) ? 'column' : undefined
  }
  const operands: EpilogueOperand[] = []
  const operandOf = new Map<NodeId, number>()
  for (const [id, node] of nodes.entries()) {
    if (node.op === 'load') {
      const kind = kindOf(node.strides)
      const dtype = inputs[node.input]!
      if (!kind || node.offset !== 0 || !fits(dtype)) return undefined
      if (node.input === 0 && kind !== 'dense') return undefined
      operandOf.set(id, node.input === 0 ? RAW : operands.push({ input: node.input, kind, dtype }) - 1)
    } else if (node.op !== 'const' && node.op !== 'param' && !isComputed(node)) return undefined
  }
  if (outputs.some(({ dtype, strides }) => !fits(dtype) || !isDense(strides))) return undefined
  const number = (part: unknown) => (Object.is(part, -0) ? '-0' : part)
  const code = nodes.map((node, id) => (node.op === 'load' ? operandOf.get(id) : Object.values(node).map(number).join(' ')))
  const stored = outputs.map(({ node, dtype }) => ({ node, dtype }))
  const key = [code, operands.map(({ kind, dtype }) => kind + dtype), stored.map(({ node, dtype }) => node + dtype)].join(';')
  const parts: EpilogueParts = { key, nodes, operands, operandOf, outputs: stored, params: params.length }
  return {
    ...parts,
    isShort: isShort(parts),
    planWith: (plan) => planWith(parts, plan),
    code: (f, lanes, context, block) => new EpilogueCode(f, lanes, parts, context, block),
    emitFinish: (m, lanes, context, storeLanes) => emitFinish(m, lanes, parts, context, storeLanes),
  }
}

/**
 * The code that follows a routine's float32 sums: its epilogue, where results of half precision are rounded before anything
 * else; without one, the rounding alone. Undefined where nothing follows.
 */
export function epilogueOver({ name, epilogue, outputs }: Routine): Kernel | undefined {
  if (epilogue) return overFloat32(epilogue)
  const [{ dtype, shape }] = outputs as [Operand, ...Operand[]]
  if (!isHalf(dtype) || !productNames.has(name)) return undefined
  const k = new KernelBuilder('round', shape)
  k.output(dtype, k.load(k.input('float32'), rowMajor(shape)))
  return k.build()
}

/** The same code over a raw result that nobody has rounded yet. */
function overFloat32(kernel: Kernel): Kernel {
  const [dtype, ...others] = kernel.inputs as [DType, ...DType[]]
  if (!isHalf(dtype!)) return kernel
  const nodes: Node[] = []
  const moved: NodeId[] = []
  for (const node of kernel.nodes) {
    const id = nodes.push('args' in node ? ({ ...node, args: node.args.map((a) => moved[a]!) } as Node) : node) - 1
    const isRaw = node.op === 'load' && node.input === 0
    moved.push(isRaw ? nodes.push({ op: 'narrow', type: 'float32', dtype, args: [id] }) - 1 : id)
  }
  const outputs = kernel.outputs.map((output) => ({ ...output, node: moved[output.node]! }))
  return { ...kernel, inputs: ['float32', ...others], nodes, outputs }
}

const isHalf = (dtype: DType): dtype is HalfType => dtype === 'bfloat16' || dtype === 'float16'

const isLaneType = (dtype: DType): dtype is LaneType => (laneTypes as readonly DType[]).includes(dtype)

const operandWord = (operand: number): number => 1 + operand
const outputWord = ({ operands }: EpilogueParts, output: number): number => 1 + operands.length + output
const paramWord = ({ operands, outputs }: EpilogueParts): number => 2 * Math.ceil((1 + operands.length + outputs.length) / 2)

function planWith(epilogue: EpilogueParts, plan: RoutinePlan): RoutinePlan {
  const start = 2 * Math.ceil(plan.words.length / 2)
  const params = start + paramWord(epilogue)
  const words = new Int32Array(params + 2 * epilogue.params)
  words.set(plan.words)
  words[plan.epilogue!.word] = 4 * start
  const pointers = Array.from({ length: 1 + epilogue.operands.length + epilogue.outputs.length }, (_, i) => start + i)
  return { ...plan, words, pointers: [...plan.pointers, ...pointers], params }
}

/** Instructions that are worth repeating for each vector of a tile, in additions. */
const INLINE_COST = 8

function isShort({ nodes }: EpilogueParts): boolean {
  const cost = nodes.reduce((sum, node) => {
    if (!isComputed(node)) return sum
    return sum + (isInstruction(node) ? scalarCost(node.op, nodes[node.args[0]!]!.type) : 1)
  }, 0)
  return cost <= INLINE_COST
}

/** Where a vector of the raw result belongs, and the distance of its first column from the row's start. Bytes. */
interface Place {
  readonly to: I32
  readonly column: I32
}

/** Writes an epilogue into one function, which knows the address of the epilogue's block. */
class EpilogueCode {
  readonly #f: FunctionBuilder
  readonly #lanes: Lanes
  readonly #epilogue: EpilogueParts
  readonly #code: VectorCode
  readonly #block: Local<'i32'>
  /** Distance from the raw result for what is dense and as wide, else an address. */
  readonly #operandAt: readonly Local<'i32'>[]
  readonly #outputAt: readonly Local<'i32'>[]
  /** Where the raw result starts. */
  readonly #rawAt: I32
  /** By node. */
  readonly #uniform: readonly boolean[]
  readonly #values: (Local<'v128'> | undefined)[] = []
  /** Products that are part of a sum's instruction. */
  readonly #fused: ReadonlySet<NodeId>

  constructor(f: FunctionBuilder, lanes: Lanes, epilogue: EpilogueParts, context: ModuleContext, block: Local<'i32'>) {
    const { nodes, operands, operandOf, outputs } = epilogue
    this.#f = f
    this.#lanes = lanes
    this.#epilogue = epilogue
    this.#code = new VectorCode(f, context)
    this.#block = block
    const word = (at: number): I32 => ['load', block, 4 * at]
    const base = (dtype: DType, at: number) => define(f, isHalf(dtype) ? word(at) : ['-', word(at), word(0)])
    this.#rawAt = [...operands, ...outputs].some(({ dtype }) => isHalf(dtype)) ? define(f, word(0)) : 0
    this.#operandAt = operands.map(({ kind, dtype }, i) =>
      kind === 'dense' ? base(dtype, operandWord(i)) : define(f, word(operandWord(i))),
    )
    this.#outputAt = outputs.map(({ dtype }, o) => base(dtype, outputWord(epilogue, o)))
    const uniform: boolean[] = []
    for (const [id, node] of nodes.entries()) {
      uniform.push(node.op === 'load' ? operands[operandOf.get(id)!]?.kind === 'one' : argsOf(node).every((a) => uniform[a]))
    }
    this.#uniform = uniform
    const varies = uniform.map((same) => !same)
    this.#fused = context.relaxed ? fusedProducts({ nodes, outputs }, new Set(nodes.keys()), varies.map(Number), varies) : new Set()
    for (const [id, node] of nodes.entries())
      if (uniform[id] && node.op !== 'const' && !this.#fused.has(id)) this.#values[id] = this.#compute(id)
  }

  /**
   * The epilogue of the vectors in `raw`, neighbours of one row from `place` on; `store` finds an address and a value on the
   * stack. All values come before the first store: outputs may lie on top of operands.
   *
   * @param left How many elements there are, where they may be fewer than a vector's.
   */
  apply(raw: readonly Local<'v128'>[], place: Place, store: (offset: number) => void, left?: Local<'i32'>): void {
    const { nodes, operandOf, outputs } = this.#epilogue
    const f = this.#f
    const results = raw.map((vector, copy) => {
      const own: Local<'v128'>[] = []
      const values = [...this.#values]
      for (const [id, node] of nodes.entries()) {
        if (node.op === 'const' || this.#uniform[id] || this.#fused.has(id)) continue
        if (operandOf.get(id) === RAW) {
          values[id] = vector
        } else {
          values[id] = this.#compute(id, values, place, 16 * copy)
          own.push(values[id])
        }
      }
      return { own, values }
    })
    for (const [o, { node, dtype }] of outputs.entries()) {
      for (const [copy, { values }] of results.entries()) {
        const value = this.#value(node, values)
        if (isHalf(dtype)) {
          const pointer = define(f, this.#halfAddress(this.#outputAt[o]!, place.to))
          emitStore(this.#code, { dtype, lanes: 'contiguous', pointer, step: undefined, vector: copy, remaining: left }, value)
          f.release(pointer)
        } else {
          push(f, ['+', place.to, this.#outputAt[o]!])
          value()
          store(16 * copy)
        }
      }
    }
    for (const { own } of results) f.release(...own)
  }

  #value(id: NodeId, values = this.#values): Expression {
    const node = this.#epilogue.nodes[id]!
    return node.op === 'const' ? this.#code.number(node.type, node.value) : this.#code.read(values[id]!)
  }

  #compute(id: NodeId, values = this.#values, place?: Place, offset = 0): Local<'v128'> {
    const { nodes } = this.#epilogue
    const node = nodes[id]!
    const local = this.#f.local('v128')
    this.#code.scope(() => {
      if (node.op === 'load') {
        this.#load(id, place, offset)
      } else if (node.op === 'param') {
        emitParam(this.#code, node, this.#block, 4 * paramWord(this.#epilogue) + 8 * node.index)()
      } else if (isComputed(node)) {
        const value = (a: NodeId) => this.#value(a, values)
        const code = emitFusedSum(this.#code, nodes, node, this.#fused, value)
        ;(code ?? emitComputed(this.#code, nodes, node, node.args.map(value), (a) => this.#uniform[a]!))()
      }
      this.#f.set(local)
    })
    return local
  }

  /** Where an element of a dense buffer of half precision is, from where it is in the raw result. */
  #halfAddress(start: I32, to: I32): I32 {
    return ['+', start, ['/', ['-', to, this.#rawAt], 2]]
  }

  #load(id: NodeId, place: Place | undefined, offset: number): void {
    const operand = this.#epilogue.operandOf.get(id)!
    const { kind, dtype } = this.#epilogue.operands[operand]!
    const at = this.#operandAt[operand]!
    if (isHalf(dtype)) {
      const column: I32 = place ? ['+', at, ['/', place.column, 2]] : at
      const pointer = define(this.#f, place && kind === 'dense' ? this.#halfAddress(at, place.to) : column)
      const lanes = kind === 'one' ? 'same' : 'contiguous'
      emitLoad(this.#code, { dtype, lanes, pointer, step: undefined, vector: offset / 16, remaining: undefined })()
      this.#f.release(pointer)
      return
    }
    push(this.#f, place ? ['+', at, kind === 'dense' ? place.to : place.column] : at)
    this.#f.mem(kind === 'one' ? this.#lanes.loadSplat : 'v128.load', offset, { align: 0 })
  }
}

/** What applies an epilogue to what is in memory: see `emitFinish`. */
export type Finish = NamedFunction<'block' | 'source' | 'sourceRow' | 'c' | 'cRow' | 'column' | 'rows' | 'columns'>

/** Vectors at once. */
const UNROLL = 2

/**
 * Emits the function that applies the epilogue, whose block is at `block`, to the raw values at `source` and stores the outputs. `c` is
 * where in the raw result they belong; they may lie there, too. `column` is the distance of their first column from the row's
 * start; strides and distances are in bytes.
 */
function emitFinish(m: ModuleBuilder, lanes: Lanes, epilogue: EpilogueParts, context: ModuleContext, storeLanes: FunctionRef): Finish {
  const finish: Finish = new NamedFunction(m, 'finish', ['block', 'source', 'sourceRow', 'c', 'cRow', 'column', 'rows', 'columns'])
  const { f, params } = finish
  const { block, source, sourceRow, c, cRow, column, rows, columns } = params
  const code = new EpilogueCode(f, lanes, epilogue, context, block)
  const [from, to, place, left] = f.locals('i32', 4)
  const vectors = (count: number, store: (offset: number) => void, ofRow?: Local<'i32'>) => {
    const raw = f.locals('v128', count)
    for (const [copy, vector] of raw.entries()) {
      f.get(from)
      f.mem('v128.load', 16 * copy, { align: 0 })
      f.set(vector)
    }
    code.apply(raw, { to, column: place }, store, ofRow)
    f.release(...raw)
    for (const pointer of [from, to, place]) f.increment(pointer, 16 * count)
    f.increment(left, -lanes.count * count)
  }
  loopWhile(f, ['>', rows, 0], () => {
    assign(f, from, source)
    assign(f, to, c)
    assign(f, place, column)
    assign(f, left, columns)
    loopWhile(f, ['>=', left, UNROLL * lanes.count], () => vectors(UNROLL, (offset) => f.mem('v128.store', offset, { align: 0 })))
    loopWhile(f, ['>', left, 0], () =>
      vectors(
        1,
        () => {
          f.get(left)
          f.call(storeLanes)
        },
        left,
      ),
    )
    assign(f, source, ['+', source, sourceRow])
    assign(f, c, ['+', c, cRow])
    f.increment(rows, -1)
  })
  return finish
}

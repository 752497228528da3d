import type { DType } from '../../dtype.ts'
import { rowMajor } from '../../layout.ts'
import { argsOf, type Kernel, type Node, type NodeId } from '../kernel.ts'
import type { ModuleBuilder } from './assembler.ts'
import { emitComputed, emitParam, isComputed } from './emit-node.ts'
import type { FunctionRef, Local } from './function-builder.ts'
import { TILE_VECTORS } from './gemm-kernel.ts'
import { assign, define, type I32, push } from './i32-expression.ts'
import { type Lanes, type LaneType, laneTypes } from './lanes.ts'
import type { RoutinePlan } from './matmul-plan.ts'
import { type ModuleContext, VectorCode } from './vector-code.ts'

/**
 * How elements of an operand go with elements of the result: those of a `dense` one lie as the result's do, a `column` one is
 * the same for all but the last axis, and `one` is a single element.
 */
type OperandKind = 'dense' | 'column' | 'one'

interface EpilogueOperand {
  /** Which of the kernel's inputs. */
  readonly input: number
  readonly kind: OperandKind
}

/**
 * An epilogue that can be emitted into the code of a matrix product or a convolution. All its operands and outputs have the
 * type that the routine computes in.
 *
 * Its arguments are a block of words: addresses of the raw result, the operands and the outputs, then the params as float64
 * numbers. Dense operands and outputs are found by their distance from the raw result, so however a routine cuts its result
 * into tiles, batches and phases, the epilogue has to be told nothing but where in the result it is.
 */
export interface Epilogue {
  /** Equal for equal code. */
  readonly key: string
  readonly nodes: readonly Node[]
  readonly operands: readonly EpilogueOperand[]
  /** By node, for loads. */
  readonly operandOf: ReadonlyMap<NodeId, number>
  /** The values to store. */
  readonly outputs: readonly NodeId[]
  readonly params: number
}

const RAW = -1

/** Undefined where the code has to be a kernel of its own. */
export function planEpilogue(kernel: Kernel): Epilogue | undefined {
  const { parallel, nodes, inputs, outputs, params } = kernel
  const type = inputs[0] as DType
  if (!isLaneType(type)) return undefined
  const wide = type === 'float64' || type === 'int64'
  if (!wide && nodes.some((node) => node.type === 'float64' || node.type === 'int64')) return undefined
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
      if (!kind || node.offset !== 0 || inputs[node.input] !== type) return undefined
      if (node.input === 0 && kind !== 'dense') return undefined
      operandOf.set(id, node.input === 0 ? RAW : operands.push({ input: node.input, kind }) - 1)
    } else if (node.op !== 'const' && node.op !== 'param' && !isComputed(node)) return undefined
  }
  if (outputs.some(({ dtype, strides }) => dtype !== type || !isDense(strides))) return undefined
  const number = (part: unknown) => (Object.is(part, -0) ? '-0' : part)
  const code = nodes.map((node, id) => (node.op === 'load' ? operandOf.get(id) : Object.values(node).map(number).join(' ')))
  const stored = outputs.map(({ node }) => node)
  const key = [code.join(), operands.map(({ kind }) => kind).join(), stored.join()].join(';')
  return { key, nodes, operands, operandOf, outputs: stored, params: params.length }
}

const isLaneType = (dtype: DType): dtype is LaneType => (laneTypes as readonly DType[]).includes(dtype)

const operandWord = (operand: number): number => 1 + operand
const outputWord = ({ operands }: Epilogue, output: number): number => 1 + operands.length + output
const paramWord = ({ operands, outputs }: Epilogue): number => 2 * Math.ceil((1 + operands.length + outputs.length) / 2)

/** A plan of a routine with the epilogue's block behind its words. The pointers of the block follow the plan's own. */
export function planWithEpilogue(plan: RoutinePlan, epilogue: Epilogue): RoutinePlan {
  const start = 2 * Math.ceil(plan.words.length / 2)
  const params = start + paramWord(epilogue)
  const words = new Int32Array(params + 2 * epilogue.params)
  words.set(plan.words)
  words[plan.epilogue!.word] = 4 * start
  const pointers = Array.from({ length: 1 + epilogue.operands.length + epilogue.outputs.length }, (_, i) => start + i)
  return { ...plan, words, pointers: [...plan.pointers, ...pointers], params }
}

/**
 * Emits `finish(block, source, sourceRow, c, cRow, column, rows, columns)`: applies the epilogue to the raw values at `source`
 * and stores the outputs. `c` is where in the raw result they belong; they may lie there, too. `column` is the distance of
 * their first column from the row's start; strides and distances are in bytes.
 */
export function emitFinish(
  m: ModuleBuilder,
  lanes: Lanes,
  epilogue: Epilogue,
  context: ModuleContext,
  storeLanes: FunctionRef,
): FunctionRef {
  const { nodes, operands, operandOf, outputs } = epilogue
  const f = m.function('finish')
  const [block, source, sourceRow, c] = [f.param('i32'), f.param('i32'), f.param('i32'), f.param('i32')]
  const [cRow, column, rows, columns] = [f.param('i32'), f.param('i32'), f.param('i32'), f.param('i32')]
  const code = new VectorCode(f, context)
  const word = (at: number): I32 => ['load', block, 4 * at]
  /** Distance from `c` for what is dense, else an address. */
  const operandAt = operands.map(({ kind }, i) =>
    define(
      f,
      kind === 'dense'
        ? ['-', word(operandWord(i)), word(0)]
        : kind === 'column'
          ? ['+', word(operandWord(i)), column]
          : word(operandWord(i)),
    ),
  )
  const outputAt = outputs.map((_, o) => define(f, ['-', word(outputWord(epilogue, o)), word(0)]))
  const [from, to, place, left] = f.locals('i32', 4)
  const values: Local<'v128'>[][] = []
  const uniform: boolean[] = []
  for (const [id, node] of nodes.entries()) {
    uniform.push(node.op === 'load' ? operands[operandOf.get(id)!]?.kind === 'one' : argsOf(node).every((a) => uniform[a]))
  }
  const value = (id: NodeId, copy: number) => {
    const node = nodes[id]!
    return node.op === 'const' ? code.number(node.type, node.value) : code.read(values[id]![uniform[id] ? 0 : copy]!)
  }
  const load = (id: NodeId, copy: number) => {
    const operand = operandOf.get(id)!
    const kind = operands[operand]?.kind
    push(f, kind === undefined ? from : kind === 'one' ? operandAt[operand]! : ['+', operandAt[operand]!, kind === 'dense' ? to : place])
    f.mem(kind === 'one' ? lanes.loadSplat : 'v128.load', 16 * copy, { align: 0 })
  }
  const compute = (id: NodeId, copy: number): Local<'v128'> => {
    const node = nodes[id]!
    const local = f.local('v128')
    code.scope(() => {
      if (node.op === 'load') load(id, copy)
      else if (node.op === 'param') emitParam(code, node, block, 4 * paramWord(epilogue) + 8 * node.index)()
      else if (isComputed(node)) {
        const args = node.args.map((a) => value(a, copy))
        emitComputed(code, nodes, node, args, (a) => uniform[a]!)()
      }
      f.set(local)
    })
    return local
  }
  const ids = [...nodes.keys()].filter((id) => nodes[id]!.op !== 'const')
  for (const id of ids) if (uniform[id]) values[id] = [compute(id, 0)]
  /** The next vectors of a row. All values come before the first store: outputs may lie on top of operands. */
  const vectors = (count: number, store: () => void) => {
    const varying = ids.filter((id) => !uniform[id])
    for (const id of varying) values[id] = Array.from({ length: count }, (_, copy) => compute(id, copy))
    for (const [o, id] of outputs.entries()) {
      for (let copy = 0; copy < count; copy++) {
        push(f, ['+', to, ['+', outputAt[o]!, 16 * copy]])
        value(id, copy)()
        store()
      }
    }
    for (const id of varying) f.release(...values[id]!)
    for (const pointer of [from, to, place]) f.increment(pointer, 16 * count)
    f.increment(left, -lanes.count * count)
  }
  f.while(
    () => push(f, ['>', rows, 0]),
    () => {
      assign(f, from, source)
      assign(f, to, c)
      assign(f, place, 0)
      assign(f, left, columns)
      f.while(
        () => push(f, ['>=', left, TILE_VECTORS * lanes.count]),
        () => vectors(TILE_VECTORS, () => f.mem('v128.store', 0, { align: 0 })),
      )
      f.while(
        () => push(f, ['>', left, 0]),
        () =>
          vectors(1, () => {
            f.get(left)
            f.call(storeLanes)
          }),
      )
      assign(f, source, ['+', source, sourceRow])
      assign(f, c, ['+', c, cRow])
      f.increment(rows, -1)
    },
  )
  return f
}

import { argsOf, type Node, type NodeId } from '../kernel.ts'
import { isFloatScalar, type ScalarOp } from '../scalar.ts'
import type { ModuleBuilder } from './assembler.ts'
import { emitCast, emitNarrow, emitScalar, mathImport } from './emit-scalar.ts'
import type { FunctionRef, Local } from './function-builder.ts'
import { expOfNonPositive } from './math.ts'
import { neverPositive } from './never-positive.ts'
import type { PlainOp } from './opcodes.ts'
import { type Expression, shapeOf, type VectorCode } from './vector-code.ts'

type Instruction = Extract<Node, { op: ScalarOp }>
/** A node whose value follows from its arguments' values alone. */
type ComputedNode = Extract<Node, { op: ScalarOp | 'select' | 'cast' | 'narrow' }>

const sources: readonly string[] = ['const', 'param', 'index', 'load', 'gather', 'reduce']
const conversions: readonly string[] = ['select', 'cast', 'narrow']

export const isComputed = (node: Node): node is ComputedNode => !sources.includes(node.op)

export const isInstruction = (node: Node): node is Instruction => isComputed(node) && !conversions.includes(node.op)

/** Imports the functions of `Math` that the code of some nodes calls. */
export function importMath(module: ModuleBuilder, nodes: readonly Node[], live: Iterable<NodeId> = nodes.keys()): Map<string, FunctionRef> {
  const math = new Map<string, FunctionRef>()
  for (const id of live) {
    const node = nodes[id]!
    const wanted = isInstruction(node) ? mathImport(node.op, nodes[node.args[0]!]!.type) : undefined
    if (wanted && !math.has(wanted.name)) {
      math.set(wanted.name, module.importFunction(wanted.name, wanted.arity === 2 ? ['f64', 'f64'] : ['f64'], ['f64'], 'Math'))
    }
  }
  return math
}

/** The value of a node from those of its arguments; `uniform` tells which of them have the same value in all lanes. */
export function emitComputed(
  c: VectorCode,
  nodes: readonly Node[],
  node: ComputedNode,
  args: readonly Expression[],
  uniform: (id: NodeId) => boolean,
): Expression {
  const from = nodes[node.args[0]!]!.type
  switch (node.op) {
    case 'select':
      return c.where(c.maskFor(node.type, args[0]!), args[1]!, args[2]!)
    case 'cast':
      return emitCast(c, from, node.type, args[0]!)
    case 'narrow':
      return emitNarrow(c, node.dtype, args[0]!)
    default:
      if (node.op === 'exp' && node.type === 'float32' && neverPositive(nodes, node.args[0]!)) return expOfNonPositive(c, args[0]!)
      return boundedBy(c, nodes, node, args) ?? emitScalar(c, node.op, from, args, argsOf(node).map(uniform))
  }
}

/** max and min of floats and a number as one instruction, which gives its first operand where that is NaN. */
function boundedBy(c: VectorCode, nodes: readonly Node[], node: Instruction, [a, b]: readonly Expression[]): Expression | undefined {
  if ((node.op !== 'max' && node.op !== 'min') || !isFloatScalar(node.type)) return undefined
  const isNumber = (id: NodeId | undefined) => {
    const bound = nodes[id!]!
    return bound.op === 'const' && !Number.isNaN(bound.value)
  }
  const code = `${shapeOf(node.type, c.lanes)}.p${node.op}` as PlainOp
  return isNumber(node.args[1]) ? c.op(code, a!, b!) : isNumber(node.args[0]) ? c.op(code, b!, a!) : undefined
}

/** `a * b + c` or `c - a * b` as one instruction, if an argument of the node is a product to be fused: see `fusedProducts`. */
export function emitFusedSum(
  c: VectorCode,
  nodes: readonly Node[],
  node: ComputedNode,
  fused: ReadonlySet<NodeId>,
  value: (id: NodeId) => Expression,
): Expression | undefined {
  const product = node.args.find((a) => fused.has(a))
  if (product === undefined) return undefined
  const [a, b] = argsOf(nodes[product]!).map(value)
  const other = value(node.args.find((x) => x !== product)!)
  const shape = node.type === 'float64' ? 'f64x2' : 'f32x4'
  return node.op === 'add' ? c.madd(a!, b!, other, shape) : c.nmadd(a!, b!, other, shape)
}

/** A param, which lies in memory as a float64 number, in every lane. */
export function emitParam(c: VectorCode, { type }: Extract<Node, { op: 'param' }>, base: Local<'i32'>, offset: number): Expression {
  const { f } = c
  const number = () => {
    f.get(base)
    f.mem('f64.load', offset)
  }
  return c.build(type, () => {
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

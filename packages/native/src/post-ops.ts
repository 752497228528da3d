import type { Kernel, Node } from 'cotangent'
import { rowMajor } from './layout.ts'

/** How an operand goes with the result: element by element, one number a column (a channel), or one number in all. */
type OperandKind = 'dense' | 'column' | 'one'

/**
 * An operation with the result so far on its left and, on its right, one of the kernel's inputs, params or constants. Constants
 * are operands like others: in oneDNN 2.6 a second `linear` would run with the numbers of the first.
 */
export type PostOp =
  | { readonly op: Binary; readonly kind: OperandKind; readonly input: number }
  | { readonly op: Binary; readonly param: number }
  | { readonly op: Binary | Bound; readonly value: number }

const binaries = ['add', 'sub', 'mul', 'div'] as const
type Binary = (typeof binaries)[number]

/** The larger or the smaller of the result and a number, of which activations are made; NaN where the result is NaN. */
const bounds = ['max', 'min'] as const
type Bound = (typeof bounds)[number]

const isBinary = (op: string): op is Binary => (binaries as readonly string[]).includes(op)
const isBound = (op: string): op is Bound => (bounds as readonly string[]).includes(op)

/** Whether oneDNN has all of them. Its relu, clip and exp turn NaN into numbers, which would hide that a training run has failed. */
export const arePlain = (ops: readonly PostOp[]): boolean => !ops.some(({ op }) => isBound(op))

/** An epilogue as a chain of operations that can be done on the way to memory: adding, scaling, residuals, bounds. Undefined for any other code. */
export function postOpsOf(epilogue: Kernel): readonly PostOp[] | undefined {
  const { nodes, inputs, outputs, parallel } = epilogue
  const raw = inputs[0]
  const output = outputs[0]!
  if (outputs.length !== 1 || output.dtype !== raw || kindOf(output.strides, parallel) !== 'dense') return undefined
  const ops: PostOp[] = []
  let value: number | undefined
  for (const [id, node] of nodes.entries()) {
    if (node.op === 'load') {
      const kind = node.offset === 0 && node.type === 'float32' ? kindOf(node.strides, parallel) : undefined
      if (!kind) return undefined
      if (node.input !== 0) continue
      if (value !== undefined || kind !== 'dense') return undefined
      value = id
    } else if (node.op !== 'const' && node.op !== 'param' && node.op !== 'le') {
      const step = value === undefined ? undefined : stepOf(node, value, nodes, parallel)
      if (!step) return undefined
      ops.push(...step)
      value = id
    }
  }
  return output.node === value ? ops : undefined
}

/** What `node` does to the value so far. */
function stepOf(node: Node, value: number, nodes: readonly Node[], parallel: readonly number[]): PostOp[] | undefined {
  const { op } = node
  const negated: PostOp = { op: 'mul', value: -1 }
  if (op === 'neg') return [negated]
  if (op === 'select') return lowerBoundOf(node, value, nodes)
  if (isBound(op)) {
    const [bound] = (node as { args: readonly number[] }).args.filter((arg) => arg !== value).map((arg) => numberOf(nodes[arg]!))
    return bound === undefined ? undefined : [{ op, value: bound }]
  }
  if (!isBinary(op) || node.type !== 'float32') return undefined
  const [left, right] = (node as { args: readonly number[] }).args as [number, number]
  if ((left === value) === (right === value)) return undefined
  const other = nodes[left === value ? right : left]!
  if (right === value && op === 'div') return undefined
  // c - x is -x + c.
  const flipped = right === value && op === 'sub'
  const operand = operandOf(other, parallel)
  if (!operand) return undefined
  return flipped ? [negated, { op: 'add', ...operand }] : [{ op, ...operand }]
}

/** `x <= c ? c : x`, which is how relu is written. */
function lowerBoundOf(node: Node & { readonly op: 'select' }, value: number, nodes: readonly Node[]): PostOp[] | undefined {
  const [condition, yes, no] = node.args.map((arg) => nodes[arg]!)
  if (condition!.op !== 'le' || node.args[2] !== value || no!.type !== 'float32') return undefined
  const [left, right] = condition!.args
  const bound = numberOf(yes!)
  return left === value && bound !== undefined && numberOf(nodes[right!]!) === bound ? [{ op: 'max', value: bound }] : undefined
}

/** A constant that is a number. */
const numberOf = (node: Node): number | undefined =>
  node.op === 'const' && !Number.isNaN(Number(node.value)) ? Number(node.value) : undefined

function operandOf(node: Node, parallel: readonly number[]) {
  if (node.op === 'const') return { value: Number(node.value) }
  if (node.op === 'param') return node.type === 'float32' ? { param: node.index } : undefined
  return node.op === 'load' && node.input !== 0 ? { kind: kindOf(node.strides, parallel)!, input: node.input } : undefined
}

/** Strides of axes of size 1 mean nothing. */
function kindOf(strides: readonly number[], parallel: readonly number[]): OperandKind | undefined {
  const dense = rowMajor(parallel)
  const last = parallel.length - 1
  const are = (wanted: (axis: number) => number) => parallel.every((size, axis) => size === 1 || strides[axis] === wanted(axis))
  if (are((axis) => dense[axis]!)) return 'dense'
  if (are(() => 0)) return 'one'
  return are((axis) => (axis === last ? 1 : 0)) ? 'column' : undefined
}

import type { Kernel, Node } from 'cotangent'
import { rowMajor } from './layout.ts'

/** How an operand goes with the result: element by element, one number a column (a channel), or one number in all. */
export type OperandKind = 'dense' | 'column' | 'one'

/**
 * An operation with the result so far on its left and, on its right, one of the kernel's inputs, params or constants. Constants
 * are operands like others: in oneDNN 2.6 a second `linear` would run with the numbers of the first.
 */
export type PostOp =
  | { readonly op: Binary; readonly kind: OperandKind; readonly input: number }
  | { readonly op: Binary; readonly param: number }
  | { readonly op: Binary; readonly value: number }

const binaries = ['add', 'sub', 'mul', 'div'] as const
type Binary = (typeof binaries)[number]

const isBinary = (op: string): op is Binary => (binaries as readonly string[]).includes(op)

/**
 * An epilogue as the chain of operations that oneDNN can do on its way to memory: adding, scaling, residuals. Undefined for any
 * other code. Activations are not among them, though oneDNN has them: its relu, clip and exp turn NaN into numbers, which would
 * hide that a training run has failed; as a kernel that goes over the result in place they cost next to nothing more.
 */
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
    } else if (node.op !== 'const' && node.op !== 'param') {
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

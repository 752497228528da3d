import type { Node, NodeId } from '../kernel.ts'

/** Whether a value of a kernel is certain to be at most 0, or NaN: what softmax and its relatives take the exponential of. */
export function neverPositive(nodes: readonly Node[], id: NodeId): boolean {
  const node = nodes[id]!
  if (node.op === 'sub') {
    const [x, most] = [node.args[0]!, nodes[node.args[1]!]!]
    return most.op === 'reduce' && most.combine === 'max' && most.args[0] === x
  }
  if (node.op !== 'neg') return false
  const negated = nodes[node.args[0]!]!
  return negated.op === 'abs' || (negated.op === 'mul' && negated.args[0] === negated.args[1])
}

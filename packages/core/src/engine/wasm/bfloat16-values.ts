import type { DType } from '../../dtype.ts'
import type { Node } from '../kernel.ts'

/**
 * By node, whether its float32 value is certain to be one of bfloat16's: loaded as one, chosen among such values, or one with another
 * sign. Storing it takes no rounding, which is most of what relu, dropout or a transposition would spend.
 */
export function bfloat16Values(nodes: readonly Node[], inputs: readonly DType[]): readonly boolean[] {
  const known: boolean[] = []
  for (const node of nodes) known.push(node.type === 'float32' && isKnown(node, inputs, known))
  return known
}

function isKnown(node: Node, inputs: readonly DType[], known: readonly boolean[]): boolean {
  switch (node.op) {
    case 'load':
    case 'gather':
      return inputs[node.input] === 'bfloat16'
    case 'const':
      return (new Uint32Array(Float32Array.of(Number(node.value)).buffer)[0]! & 0xffff) === 0
    case 'narrow':
      return node.dtype === 'bfloat16'
    case 'select':
      return known[node.args[1]]! && known[node.args[2]]!
    case 'max':
    case 'min':
    case 'neg':
    case 'abs':
      return node.args.every((a) => known[a]!)
    default:
      return false
  }
}

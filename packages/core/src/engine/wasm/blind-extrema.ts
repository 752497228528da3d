import { argsOf, type Kernel, type NodeId } from '../kernel.ts'
import { isFloatScalar, scalarOpNames, scalarOps } from '../scalar.ts'

const pairsWithNaN = [0, 1, 2].flatMap((x) => [
  [NaN, x],
  [x, NaN],
])

/** Instructions that give NaN wherever an argument is NaN. */
const strict: ReadonlySet<string> = new Set(
  scalarOpNames.filter((op) => {
    const { arity, result, float } = scalarOps[op]
    const calls = arity === 1 ? [[NaN]] : pairsWithNaN
    return result === 'same' && float && calls.every((args) => Number.isNaN(float(...args)))
  }),
)

/**
 * The `max` and `min` reductions that may pass over NaN, since whatever depends on them is NaN anyway where one was: softmax takes
 * e^(x - max x), whose sum the NaN gets into by itself. Looking for it is two thirds of the work of an extremum.
 */
export function blindExtrema({ nodes, outputs }: Pick<Kernel, 'nodes' | 'outputs'>): Set<NodeId> {
  const blind = new Set<NodeId>()
  nodes.forEach((node, id) => {
    if (node.op === 'reduce' && (node.combine === 'max' || node.combine === 'min') && isFloatScalar(node.type) && isCovered(id))
      blind.add(id)
  })
  return blind

  /** Whether all outputs that follow from an extremum of x are NaN in a row in which an x is. */
  function isCovered(extremum: NodeId): boolean {
    const x = argsOf(nodes[extremum]!)[0]!
    /** NaN where x is. */
    const there = new Set([x])
    /** NaN in all of the row. */
    const throughout = new Set<NodeId>()
    const depends = new Set([extremum])
    for (let id = Math.min(x, extremum) + 1; id < nodes.length; id++) {
      const node = nodes[id]!
      const args = argsOf(node)
      if (args.some((a) => depends.has(a))) depends.add(id)
      if (node.op === 'reduce') {
        const carries = node.combine === 'sum' || node.combine === 'prod'
        if (carries && isFloatScalar(node.type) && (there.has(args[0]!) || throughout.has(args[0]!))) throughout.add(id)
      } else if (strict.has(node.op) && isFloatScalar(node.type)) {
        if (args.some((a) => throughout.has(a))) throughout.add(id)
        else if (args.some((a) => there.has(a))) there.add(id)
      }
    }
    return outputs.every(({ node }) => !depends.has(node) || throughout.has(node))
  }
}

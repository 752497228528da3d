import { argsOf, type Kernel, type NodeId } from '../kernel.ts'
import { type ScalarOp, scalarOps } from '../scalar.ts'
import { scalarCost } from './emit-scalar.ts'
import type { KernelPlan } from './kernel-plan.ts'

/** See `KernelPlan.kept`. As outputs may lie on inputs, nothing but the kept value may be read from memory afterwards. */
export function keptValue(
  { nodes, outputs }: Kernel,
  { loads, perElement, varies, passes }: Pick<KernelPlan, 'loads' | 'perElement' | 'varies' | 'passes'>,
): KernelPlan['kept'] {
  if (passes.size === 0) return undefined
  const lastPass = Math.max(...passes.values())
  const reductions = [...passes].filter(([, pass]) => pass === lastPass).map(([id]) => argsOf(nodes[id]!)[0]!)
  const ofElements = outputs.map(({ node }) => node).filter((node) => perElement[node])
  const reach = (roots: readonly NodeId[], stop?: NodeId) => {
    const found = new Set<NodeId>()
    const visit = (id: NodeId) => {
      if (found.has(id) || !perElement[id]) return
      found.add(id)
      if (id !== stop) argsOf(nodes[id]!).forEach(visit)
    }
    roots.forEach(visit)
    return found
  }
  const before = reach(reductions)
  const after = reach(ofElements)
  for (let node = nodes.length - 1; node >= 0; node--) {
    const { op, type } = nodes[node]!
    if (!before.has(node) || !after.has(node) || !varies[node] || !(op in scalarOps)) continue
    const costly = scalarCost(op as ScalarOp, type) >= 10
    const output = outputs.findIndex((o) => o.dtype === type && perElement[o.node])
    const reads = [...reach(ofElements, node)].some((id) => id !== node && (nodes[id]!.op === 'load' || nodes[id]!.op === 'gather'))
    if (costly && output >= 0 && !reads) return { node, access: loads + output }
  }
  return undefined
}

import { argsOf, type Kernel, type NodeId } from '../kernel.ts'
import { type ScalarOp, scalarOps } from '../scalar.ts'
import { scalarCost } from './emit-scalar.ts'
import type { KernelPlan } from './kernel-plan.ts'

/** Vectors of a row from which on its own overhead no longer counts. */
const LONG_ROW = 64
/** Rows that are worth being taken together. */
const ROWS = 8
/** Cost of an instruction that is better done once a row than once for some of its vectors. */
const COSTLY = 4

type Shape = Pick<KernelPlan, 'lanes' | 'vectorAxis' | 'tile' | 'accesses' | 'live'>

/**
 * The axis along which rows are swept: short rows of elementwise code are taken many at once, some vectors of all of them before the
 * next ones. So a row costs nothing of its own, and what is the same for all rows, as the weights of channels, stays in registers.
 */
export function sweptAxis(
  { nodes, parallel, reduce, outputs }: Kernel,
  { lanes, vectorAxis, tile, accesses, live }: Shape,
): number | undefined {
  if (reduce.length || tile !== undefined || parallel[vectorAxis]! > LONG_ROW * lanes) return undefined
  if (accesses.some((a) => a.lanes === 'strided')) return undefined
  const alongRow = dependents(nodes, vectorAxis)
  const found = parallel.findLastIndex((extent, axis) => {
    if (axis === vectorAxis || extent < ROWS || !outputs.every(({ strides }) => strides[axis] !== 0)) return false
    const along = dependents(nodes, axis)
    return ![...live].some((id) => along[id] && !alongRow[id] && isCostly(id))
  })
  return found < 0 ? undefined : found

  function isCostly(id: NodeId): boolean {
    const { op, type } = nodes[id]!
    return op === 'gather' || (op in scalarOps && scalarCost(op as ScalarOp, type) > COSTLY)
  }
}

/** For each node, whether its value changes along an axis. */
function dependents(nodes: Kernel['nodes'], axis: number): boolean[] {
  const found: boolean[] = []
  nodes.forEach((node, id) => {
    if (node.op === 'load') found[id] = node.strides[axis] !== 0
    else if (node.op === 'index') found[id] = node.axis === axis
    else found[id] = argsOf(node).some((a) => found[a])
  })
  return found
}

import { argsOf, type Kernel, type NodeId } from '../kernel.ts'
import { type ScalarOp, scalarOps } from '../scalar.ts'
import type { KernelEmitter } from './emit-kernel.ts'
import { partsOf } from './emit-reduce.ts'
import { scalarCost } from './emit-scalar.ts'
import type { Local } from './function-builder.ts'
import type { KernelPlan } from './kernel-plan.ts'
import type { VectorCode } from './vector-code.ts'

/** Vectors that accumulators in registers hold: of rows as narrow as that, whole ones are read anyway. */
const NARROW = 8
/** Rows that make up for running results in memory, and elements that the second cache holds, where the order of reading makes no difference. */
const FEW_ROWS = 32
const FEW_ELEMENTS = 2 ** 18
/** Cost up to which an instruction may be done once an element though once a column would do. */
const CHEAP = 1

type Shape = Pick<KernelPlan, 'lanes' | 'lanesAreRows' | 'vectorAxis' | 'inner' | 'accesses' | 'depths' | 'passes'> & {
  readonly extents: readonly number[]
}

/**
 * Whether columns are reduced row by row, in the order of memory, with running results in the nearest cache: processors fetch ahead what is
 * read in order. A few columns after the other, with results in registers, or some rows at once, wait for memory two or three times as long.
 */
export function sweepsColumns(
  { nodes, outputs }: Pick<Kernel, 'nodes' | 'outputs'>,
  { lanes, lanesAreRows, vectorAxis, inner, accesses, depths, passes, extents }: Shape,
): boolean {
  if (!lanesAreRows || inner.length !== 1) return false
  const [width, rows] = [extents[vectorAxis]!, extents[inner[0]!]!]
  const isWide = width > NARROW * lanes && rows >= FEW_ROWS && width * rows > FEW_ELEMENTS
  if (!isWide || accesses.slice(0, -outputs.length).some((a) => a.lanes === 'strided')) return false
  const needed = new Set<NodeId>()
  const visit = (id: NodeId) => {
    if (needed.has(id)) return
    needed.add(id)
    argsOf(nodes[id]!).forEach(visit)
  }
  for (const id of passes.keys()) argsOf(nodes[id]!).forEach(visit)
  return ![...needed].some((id) => {
    const { op, type } = nodes[id]!
    return depths[id] === 2 && op in scalarOps && scalarCost(op as ScalarOp, type) > CHEAP
  })
}

/** Emits the reductions of a chunk of rows, over the columns from `start` to `stop`; they are left where chunks leave theirs. */
export function sweepColumns(emitter: KernelEmitter, plan: KernelPlan, c: VectorCode, start: Local<'i32'>, stop: Local<'i32'>): void {
  const { f } = c
  const { loops } = emitter
  const axis = plan.inner[0]!
  const loads = [...plan.accesses.keys()].slice(0, plan.loads)
  const columns = (accesses: readonly number[], body: (copies: number) => void) =>
    loops.vector(start, stop, accesses, (copies) => emitter.scoped(() => body(copies)))
  columns([], (copies) => emitter.pass(0, copies).end())
  emitter.position = loops.counters[axis]!
  loops.scalar(axis, loops.range, loads, () =>
    columns(loads, (copies) => {
      const pass = emitter.pass(0, copies)
      emitter.eachPartial(pass.sums, loops.partials!, (at, offset, sum, part) => {
        f.get(at)
        f.mem('v128.load', offset)
        f.set(partsOf(sum)[part]!)
      })
      const needed = emitter.needed(pass.args)
      emitter.emitRowDepths(needed, copies)
      emitter.emitDepth(plan.rowDepth + 1, needed, copies, pass.add)
      pass.end()
    }),
  )
  emitter.position = undefined
}

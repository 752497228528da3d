import { argsOf, type Kernel, type Node, type NodeId } from '../kernel.ts'
import { type ScalarOp, scalarOps } from '../scalar.ts'
import { type KernelEmitter, type Leaf, nodeOf, type Output } from './emit-kernel.ts'
import { scalarCost } from './emit-scalar.ts'
import { assign, define, type I32, push } from './i32-expression.ts'
import type { KernelPlan } from './kernel-plan.ts'
import type { VectorCode } from './vector-code.ts'

/** Elements of a row from which on it pays to begin the next one early. */
const SHORT_ROW = 64
/** Cost of an instruction that takes longer than memory does. */
const COSTLY = 10

type Shape = Pick<KernelPlan, 'lanesAreRows' | 'outer' | 'inner' | 'passes' | 'depths'> & { readonly extents: readonly number[] }

/**
 * Whether a row's first reductions, and its outputs, are made along with the last reductions of the rows before and after it: where
 * rows are passed over twice and then stored, the first pass needs nothing of its row but elements, and the second takes long.
 */
export function isPipelined({ nodes, outputs }: Kernel, { lanesAreRows, outer, inner, passes, depths, extents }: Shape): boolean {
  if (lanesAreRows || outer.length !== 1 || inner.length !== 1 || extents[outer[0]!]! < 2 || extents[inner[0]!]! < SHORT_ROW) return false
  const ofElements: boolean[] = []
  const costly: boolean[] = []
  nodes.forEach((node, id) => {
    const args = argsOf(node)
    ofElements[id] = depths[id] !== 1 && args.every((a) => ofElements[a])
    const isLong = node.op in scalarOps && scalarCost(node.op as ScalarOp, node.type) >= COSTLY
    costly[id] = node.op !== 'reduce' && (isLong || args.some((a) => costly[a]))
  })
  const reductions = [...passes].map(([id, pass]) => ({ ...(nodes[id] as Extract<Node, { op: 'reduce' }>), pass }))
  return (
    outputs.some(({ node }) => depths[node]! > 1) &&
    Math.max(...passes.values()) === 1 &&
    reductions.every(({ combine, pass, args: [x] }) => !combine.startsWith('arg') && (pass === 0 ? ofElements[x] : costly[x]))
  )
}

type Values = KernelEmitter['values']

/**
 * Emits what comes before the rows; gives what emits one. While its last reductions are made, which wait for arithmetic, the elements of
 * the row before are stored and the first reductions of the next row made, which wait for memory.
 */
export function pipelineRows(emitter: KernelEmitter, plan: KernelPlan, c: VectorCode): () => void {
  const { f } = c
  const { loops, outputs, values: known } = emitter
  const { ofElements, ofRows } = outputs
  const isLast: I32 = ['==', ['-', loops.end, loops.begin], 1]
  const withLocals = (ids: readonly NodeId[]) => {
    const values: Values = [...known]
    for (const id of ids) values[id] = [f.local('v128')]
    return { ids, values, keep: () => ids.forEach((id) => c.set(values[id]![0]!, emitter.value(id, 0))) }
  }
  const isUsed = (id: NodeId) =>
    ofElements.some((o) => o.node === id) || plan.kernel.nodes.some((node, user) => plan.depths[user]! > 1 && argsOf(node).includes(id))
  /** What elements of the row before follow from. */
  const before = withLocals([...plan.live].filter((id) => plan.depths[id] === 1 && isUsed(id)))
  /** The first reductions of this row. */
  const firsts = withLocals([...plan.passes].flatMap(([id, pass]) => (pass === 0 ? [id] : [])))

  /** Emits for this row (0), the next (1) or the one before (2). */
  const within = (stage: 0 | 1 | 2, values: Values, body: () => void) => {
    loops.stage = stage
    emitter.isKept = stage === 2 && plan.kept !== undefined
    emitter.scoped(body, values)
    emitter.isKept = false
    loops.stage = 0
  }

  const row = (isFirst: boolean) => {
    const [next, pass] = [emitter.pass(0, 1), emitter.pass(1, 1)]
    emitter.emitRowDepths(emitter.needed(pass.args), 1)
    const used: number[] = []
    const walk = (stage: 0 | 1 | 2, values: Values, targets: readonly NodeId[], stored: readonly Output[]) => {
      let needed: readonly NodeId[] = []
      within(stage, values, () => (needed = emitter.needed(targets)))
      used.push(...emitter.used(needed, stored).map((a) => a + stage * plan.accesses.length))
      return (leaf: Leaf) => within(stage, values, () => emitter.emitDepth(2, needed, 1, leaf))
    }
    const ofThis = walk(0, emitter.values, pass.args, pass.kept)
    const ofNext = walk(1, known, next.args, [])
    const ofBefore = isFirst ? undefined : walk(2, before.values, ofElements.map(nodeOf), ofElements)
    // Loads of a position come before its stores: rows of 4 KiB look like one place to processors that compare parts of addresses.
    const leaf = () => {
      ofNext(next.add)
      ofBefore?.(() => emitter.storeAll(ofElements, 0))
      pass.add(0)
    }
    const stop = define(f, loops.extent(plan.vectorAxis))
    neighbours(() => loops.vector(0, stop, used, () => ofThis(leaf)))
    f.release(stop)
    pass.end()
    emitter.emitRowDepths(emitter.needed([...before.ids, ...ofRows.map(nodeOf)]), 1)
    emitter.storeAll(ofRows, 0)
    before.keep()
    next.end()
    firsts.keep()
  }

  /** Emits `body` where there are pointers into the next row (into this one if it is the last) and the one before. */
  const neighbours = (body: () => void) => {
    const own = [...loops.pointers]
    const stride = (a: number) => loops.stride(a, plan.outer[0]!)
    loops.pointers.push(...own.map((pointer, a) => define(f, ['+', pointer, ['*', ['-', 1, isLast], stride(a)]])))
    loops.pointers.push(...own.map((pointer, a) => define(f, ['-', pointer, stride(a)])))
    body()
    f.release(...loops.pointers.splice(own.length))
  }

  const isLater = define(f, 0)
  return () => {
    f.get(isLater)
    f.if(
      () => emitter.scoped(() => row(false), firsts.values),
      () => {
        emitter.scoped(() => {
          emitter.reduce(0, 1)
          firsts.keep()
        })
        emitter.scoped(() => row(true), firsts.values)
      },
    )
    assign(f, isLater, 1)
    push(f, isLast)
    f.if(() => emitter.scoped(() => emitter.storeElements(1), before.values))
  }
}

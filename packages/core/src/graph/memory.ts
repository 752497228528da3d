import { dtypeInfo } from '../dtype.ts'
import { elementLevels } from '../engine/kernel.ts'
import type { Routine } from '../engine/routine.ts'
import { rowMajor } from '../layout.ts'
import type { Value } from './graph.ts'
import { handedOut, isMade, type Operation, type Place, type Program, rootOf } from './program.ts'

const ALIGNMENT = 64

/** Where each value of a program lies. */
export interface MemoryPlan {
  /** Bytes of the memory that the program works in; its contents mean nothing before and after. */
  readonly arenaBytes: number
  /** Byte offset in the arena, for the values (roots) that lie there. */
  readonly arena: ReadonlyMap<Value, number>
  /** Values made by the program that outlive it, in memory of their own each. */
  readonly results: readonly Value[]
  /** Values that are made in place of what was in captured or argument memory. */
  readonly inPlace: ReadonlyMap<Value, Value>
  /** Memory whose new value is made elsewhere first, as the old one is still needed then. */
  readonly copies: ReadonlyMap<Value, Value>
}

interface Life {
  readonly value: Value
  readonly bytes: number
  readonly from: number
  to: number
}

export const bytesOf = ({ dtype, size }: Value): number => dtypeInfo[dtype].size * size

/** Lays out the values of a program so that those which do not live at the same time share memory. */
export function planMemory({ graph, operations }: Program): MemoryPlan {
  const inPlace = new Map<Value, Value>()
  const copies = new Map<Value, Value>()
  for (const [memory, value] of graph.writes) {
    const root = rootOf(value)
    if (root === memory) continue
    if (root === value && !inPlace.has(value) && canReplace(operations, memory, value)) inPlace.set(value, memory)
    else copies.set(memory, value)
  }
  const results: Value[] = []
  for (const value of handedOut(graph)) {
    const root = rootOf(value)
    if (isMade(graph, root) && !inPlace.has(root) && !results.includes(root)) results.push(root)
  }
  const settled = new Set([...results, ...inPlace.keys(), ...graph.inputs.map((x) => x.value)])
  const lives = livesOf(operations, settled)
  // What is copied in the end is there until then.
  const copied = new Set([...copies.values()].map(rootOf))
  for (const life of lives) if (copied.has(life.value)) life.to = operations.length
  return { ...layOut(shareMemory(operations, lives)), results, inPlace, copies }
}

/** Whether `value` can be made where `memory` is: nothing reads the old value later, or in another order than it is overwritten. */
function canReplace(operations: readonly Operation[], memory: Value, value: Value): boolean {
  const writers = operations.flatMap((op, i) => (op.outputs.some((o) => o.value === value) ? [i] : []))
  const [first] = writers
  if (writers.length !== 1 || first === undefined) return false
  return operations.every((op, i) => {
    if (!op.inputs.some((x) => rootOf(x.value) === memory)) return true
    return i < first || (i === first && readsWhatItWrites(op, memory, value))
  })
}

/** Whether an operation reads `old` only where, at the same time, it writes `made`. */
function readsWhatItWrites({ program, inputs, outputs }: Operation, old: Value, made: Value): boolean {
  if (program.kind === 'control') return false
  if (program.kind === 'routine' && program.name === 'scatter') return writesOverBase(program, inputs, old, made)
  const code = program.kind === 'kernel' ? program : program.epilogue
  if (!code || old.dtype !== made.dtype) return false
  // An epilogue's first input is what the routine makes of inputs of its own, which must stay as they are until it is done.
  const raw = program.kind === 'kernel' ? 0 : 1
  const own = inputs.length - (code.inputs.length - raw)
  if (inputs.slice(0, own).some((x) => rootOf(x.value) === rootOf(old))) return false
  const input = inputs.findIndex((x, i) => i >= own && x.value === old) - own + raw
  if (input < raw) return true
  const output = outputs.findIndex((o) => o.value === made)
  const written = code.outputs[output]!.strides
  // A pass over a row would find overwritten what an earlier one has read. What is one number a row is written when the row is done.
  const rank = code.parallel.length
  const level = elementLevels(code)
  const perElement = level[code.outputs[output]!.node] || written.some((s, axis) => axis >= rank && s !== 0)
  const readsElements = code.nodes.some((node, id) => level[id] && node.op === 'load' && node.input === input)
  if ((perElement || readsElements) && code.nodes.some((n) => n.op === 'reduce')) return false
  const extents = [...code.parallel, ...code.reduce]
  return code.nodes.every((node) => {
    if (node.op === 'gather') return node.input !== input
    if (node.op !== 'load' || node.input !== input) return true
    return node.offset === outputs[output]!.offset && node.strides.every((s, axis) => s === written[axis] || extents[axis] === 1)
  })
}

/** A scatter only writes where its index says, if what it starts from is there already. */
function writesOverBase({ inputs: [base], outputs: [y] }: Routine, [from, ...others]: readonly Place[], old: Value, made: Value): boolean {
  const dense = rowMajor(y!.shape)
  return (
    from!.value === old &&
    from!.offset === 0 &&
    old.size === made.size &&
    base!.dtype === y!.dtype &&
    base!.strides.every((s, axis) => s === dense[axis] || y!.shape[axis] === 1) &&
    others.every(({ value }) => rootOf(value) !== rootOf(old))
  )
}

function livesOf(operations: readonly Operation[], settled: ReadonlySet<Value>): Life[] {
  const lives = new Map<Value, Life>()
  operations.forEach(({ inputs, outputs }, at) => {
    for (const { value } of [...outputs, ...inputs]) {
      const root = rootOf(value)
      if (root.source.kind !== 'result' || settled.has(root)) continue
      const life = lives.get(root)
      if (life) life.to = at
      else lives.set(root, { value: root, bytes: Math.ceil(bytesOf(root) / ALIGNMENT) * ALIGNMENT, from: at, to: at })
    }
  })
  return [...lives.values()]
}

/** Groups of values in one place: where an operation overwrites an input that nobody needs any more. */
function shareMemory(operations: readonly Operation[], lives: readonly Life[]): Life[][] {
  const groups = new Map<Value, Life[]>(lives.map((life) => [life.value, [life]]))
  for (const life of lives) {
    const op = operations[life.from]!
    if (op.outputs.filter((o) => o.value === life.value).length !== 1) continue
    for (const { value } of op.inputs) {
      const group = groups.get(value)
      if (!group || group.includes(life) || group.at(-1)!.value !== value) continue
      const dying = group.at(-1)!
      if (dying.to !== life.from || dying.bytes !== life.bytes || !readsWhatItWrites(op, value, life.value)) continue
      if (value.size !== life.value.size) continue
      group.push(life)
      groups.set(life.value, group)
      break
    }
  }
  return [...new Set(groups.values())]
}

/** Large groups first, each at the lowest place that is free while it lives (Pisarchyk and Lee 2020, "greedy by size"). */
function layOut(groups: readonly Life[][]): Pick<MemoryPlan, 'arenaBytes' | 'arena'> {
  const arena = new Map<Value, number>()
  const placed: { start: number; end: number; from: number; to: number }[] = []
  let arenaBytes = 0
  for (const group of groups.toSorted((a, b) => b[0]!.bytes - a[0]!.bytes)) {
    const { bytes, from } = group[0]!
    const to = group.at(-1)!.to
    const busy = placed.filter((p) => p.from <= to && from <= p.to).sort((a, b) => a.start - b.start)
    let start = 0
    for (const p of busy) {
      if (p.start - start >= bytes) break
      start = Math.max(start, p.end)
    }
    placed.push({ start, end: start + bytes, from, to })
    arenaBytes = Math.max(arenaBytes, start + bytes)
    for (const { value } of group) arena.set(value, start)
  }
  return { arenaBytes, arena }
}

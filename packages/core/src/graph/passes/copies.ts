import type { Kernel } from '../../engine/kernel.ts'
import { rowMajor } from '../../layout.ts'
import type { Value } from '../graph.ts'
import { type Operation, type Program, resultsOf, rootOf } from '../program.ts'

/**
 * Leaves out kernels that only copy what another operation has made, as `assign` does: the maker writes into the copy's place
 * instead, where it may then overwrite what was there; but not where that is read between the two.
 */
export function skipCopies(program: Program): Program {
  const { operations } = program
  const makers = new Map<Value, Operation | undefined>()
  const divided = new Set<Value>()
  for (const operation of operations) {
    for (const { value } of operation.outputs) {
      makers.set(value, makers.has(value) ? undefined : operation)
      if (rootOf(value) !== value) divided.add(rootOf(value))
    }
  }
  const kept = resultsOf(program.graph)
  const isWhole = (value: Value): boolean => value.source.kind === 'result' && makers.get(value) !== undefined && !divided.has(value)
  const memoryOf = new Map([...program.graph.writes].map(([memory, value]) => [value, rootOf(memory)]))
  const order = new Map(operations.map((operation, at) => [operation, at]))
  /** Whether operations read what the copy overwrites when its maker has run already. */
  const isReadMeanwhile = (copy: Operation, maker: Operation, memory: Value | undefined): boolean =>
    memory !== undefined &&
    operations
      .slice(order.get(maker)! + 1, order.get(copy)!)
      .some(({ inputs, outputs }) => [...inputs, ...outputs].some(({ value }) => rootOf(value) === memory))
  const instead = new Map<Value, Value>()
  const left = operations.filter((operation) => {
    if (operation.program.kind !== 'kernel' || !isCopy(operation.program)) return true
    const [from, to] = [operation.inputs[0]!.value, operation.outputs[0]!.value]
    const movable = isWhole(from) && isWhole(to) && !kept.has(from) && !instead.has(from) && makers.get(from)!.program.kind !== 'control'
    if (!movable || from.size !== to.size || isReadMeanwhile(operation, makers.get(from)!, memoryOf.get(to))) return true
    instead.set(from, to)
    return false
  })
  if (instead.size === 0) return program
  const moved = <P extends { readonly value: Value }>(places: readonly P[]): P[] =>
    places.map((place) => ({ ...place, value: lastOf(instead, place.value) }))
  return {
    ...program,
    operations: left.map((operation) => ({ ...operation, inputs: moved(operation.inputs), outputs: moved(operation.outputs) })),
  }
}

/** Where a value ends that is copied, maybe more than once. */
function lastOf(instead: ReadonlyMap<Value, Value>, value: Value): Value {
  let end = value
  for (let next = instead.get(end); next; next = instead.get(end)) end = next
  return end
}

/** Whether a kernel writes the elements of its one input, in order. */
function isCopy({ parallel, reduce, inputs, params, nodes, outputs }: Kernel): boolean {
  const [node] = nodes
  if (nodes.length !== 1 || outputs.length !== 1 || params.length > 0 || reduce.length > 0) return false
  if (node!.op !== 'load' || node!.offset !== 0 || inputs[0] !== outputs[0]!.dtype) return false
  const dense = rowMajor(parallel)
  return [node!.strides, outputs[0]!.strides].every((strides) => strides.every((s, axis) => s === dense[axis] || parallel[axis] === 1))
}

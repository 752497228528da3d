import type { Value } from '../graph.ts'
import { hasEffect, type Operation, type Program, resultsOf, rootOf } from '../program.ts'

/** Leaves out operations that nothing needs, and what is left of others of what nobody reads. */
export function removeDeadCode(program: Program): Program {
  const needed = new Set<Value>()
  const roots = new Set<Value>()
  const need = (value: Value) => {
    needed.add(value)
    roots.add(rootOf(value))
    for (let { source } = value; source.kind === 'update'; { source } = source.of) needed.add(source.of)
  }
  for (const value of resultsOf(program.graph)) need(value)
  const kept: Operation[] = []
  for (const operation of program.operations.toReversed()) {
    if (!hasEffect(operation) && !operation.outputs.some(({ value }) => needed.has(value))) continue
    kept.push(operation)
    for (const { value } of operation.inputs) need(value)
  }
  return { ...program, operations: kept.reverse() }
}

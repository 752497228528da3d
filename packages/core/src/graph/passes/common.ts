import { isLive, type Value } from '../graph.ts'
import { type Operation, type Program, resultsOf, rootOf } from '../program.ts'

/**
 * Operations that compute what an earlier one has computed are left out, and their readers read that one's results. What
 * checkpointing computes again stays.
 */
export function shareCommon(program: Program): Program {
  const programs = new Map<object, number>()
  const identity = (x: object) => {
    if (!programs.has(x)) programs.set(x, programs.size)
    return programs.get(x)!
  }
  const known = new Map<string, Operation>()
  const instead = new Map<Value, Value>()
  const kept = new Set(resultsOf(program.graph))
  const overwritten = new Set(program.graph.writes.keys())
  const written = new Map<Value, number>()
  for (const { outputs } of program.operations) {
    for (const { value } of outputs) {
      written.set(value, (written.get(value) ?? 0) + 1)
      if (rootOf(value) !== value) overwritten.add(rootOf(value))
    }
  }
  const operations = program.operations.flatMap((original) => {
    const moved = original.inputs.some(({ value }) => instead.has(value))
    const inputs = moved ? original.inputs.map((x) => ({ ...x, value: instead.get(x.value) ?? x.value })) : original.inputs
    const operation = moved ? { ...original, inputs } : original
    const whole = operation.outputs.every(({ value }) => {
      return value.source.kind === 'result' && written.get(value) === 1 && !kept.has(value) && !overwritten.has(value)
    })
    if (!whole) return [operation]
    const numbers = operation.numbers.map((n) =>
      isLive(n) ? `${n.lift}.${n.index}` : `${n.spec.id}=${Object.is(n.value, -0) ? '-0' : n.value}`,
    )
    const key = `${operation.again ? identity(operation.again) : ''}|${identity(operation.program)}|${inputs.map(({ value, offset }) => `${value.id}+${offset}`)}|${numbers}`
    const same = known.get(key)
    if (!same) {
      known.set(key, operation)
      return [operation]
    }
    operation.outputs.forEach(({ value }, i) => instead.set(value, same.outputs[i]!.value))
    return []
  })
  return { ...program, operations }
}

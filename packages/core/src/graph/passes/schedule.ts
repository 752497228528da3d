import type { Value } from '../graph.ts'
import { bytesOf } from '../memory.ts'
import { isMade, type Operation, type Program, resultsOf, rootOf } from '../program.ts'
import { Weave } from '../weave.ts'

/**
 * Operations that leave less memory in use than there was run as soon as they can: a bias's gradient is summed when what it sums is
 * there, not when all gradients are. Otherwise the order stays.
 */
export function scheduleForMemory(program: Program): Program {
  const { graph, operations } = program
  const outlives = new Set([...resultsOf(graph)].map(rootOf))
  /** How many operations, of those that have not run, touch a value of the program's own. */
  const left = new Map<Value, number>()
  for (const operation of operations) {
    for (const root of rootsOf(operation)) if (isMade(graph, root) && !outlives.has(root)) left.set(root, (left.get(root) ?? 0) + 1)
  }
  const there = new Set<Value>()
  const gain = (operation: Operation): number => {
    let bytes = 0
    for (const root of rootsOf(operation)) {
      if (!left.has(root)) continue
      if (!there.has(root)) bytes -= bytesOf(root)
      if (left.get(root) === 1) bytes += bytesOf(root)
    }
    return bytes
  }
  return new Weave(program).program((ready) => {
    let best = 0
    let most = 0
    ready.forEach(({ operation }, i) => {
      const bytes = gain(operation)
      if (bytes > most) [best, most] = [i, bytes]
    })
    for (const root of rootsOf(ready[best]!.operation)) {
      there.add(root)
      const count = left.get(root)
      if (count !== undefined) left.set(root, count - 1)
    }
    return best
  })
}

const rootsOf = ({ inputs, outputs }: Operation): Set<Value> => new Set([...inputs, ...outputs].map(({ value }) => rootOf(value)))

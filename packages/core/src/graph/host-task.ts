import type { Region } from '../engine/control.ts'
import type { Engine } from '../engine/engine.ts'
import type { StepCounter } from '../tensor/changes.ts'
import type { HostStep } from './graph.ts'

/** What the host does, with effects that are counts, one after the other, as one. */
export type HostTask = HostStep | { readonly kind: 'counts'; readonly counters: { step: number }[] }

export function hostTasks(steps: readonly HostStep[]): HostTask[] {
  const tasks: HostTask[] = []
  for (const step of steps) {
    const origin = step.kind === 'effect' ? step.origin : undefined
    const last = tasks.at(-1)
    if (origin?.kind !== 'count' || origin.skip) tasks.push(step)
    else if (last?.kind === 'counts') last.counters.push(origin.state)
    else tasks.push({ kind: 'counts', counters: [origin.state] })
  }
  return tasks
}

/** What counts steps of optimisers in a program; null if nothing does. */
export function counterOf(steps: readonly HostStep[]): StepCounter | null {
  const times = new Map<object, number>()
  for (const step of steps) {
    const origin = step.kind === 'effect' ? step.origin : undefined
    if (origin?.kind === 'count') times.set(origin.state, (times.get(origin.state) ?? 0) + 1)
  }
  return times.size > 0 ? { even: new Set(times.values()).size === 1 } : null
}

/** Reads numbers back that `packNumbers` has written. */
export function unpackNumbers(
  engine: Engine,
  { buffer, offset }: Region,
  at: { readonly first: number; readonly count: number },
): number[] {
  const words = engine.readSync(buffer, 'int32', offset + 2 * at.first, 2 * at.count) as Int32Array
  return [...new Float64Array(words.slice().buffer)]
}

/** Numbers of the host as memory of a program: two int32 words each, which nothing takes gradients by. */
export function packNumbers(engine: Engine, { buffer, offset }: Region, numbers: readonly number[]): void {
  engine.write(buffer, 'int32', offset, new Int32Array(new Float64Array(numbers).buffer))
}

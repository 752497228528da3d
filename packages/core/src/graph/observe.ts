import type { Engine, Program } from '../engine/engine.ts'

/** Sees each kernel and routine after it has run, and how long it took. */
export type Observer = (program: Program, ms: number) => void

/** Runs `body` while `observer` sees what engines run; also beyond its return, if it gives a promise. */
export function observing<T>(engines: readonly Engine[], observer: Observer, body: () => T): T {
  const before = engines.map((engine) => engine.observer)
  const end = () => engines.forEach((engine, i) => (engine.observer = before[i]))
  for (const engine of engines) engine.observer = observer
  return afterwards(body, end)
}

/** Runs `body` and calls `end` once it has ended: when its promise has, if it gives one. */
export function afterwards<T>(body: () => T, end: () => void): T {
  let result: T
  try {
    result = body()
  } catch (error) {
    end()
    throw error
  }
  if (result instanceof Promise) return result.finally(end) as T
  end()
  return result
}

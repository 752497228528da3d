import { CotangentError } from '../errors.ts'
import type { Engine } from './engine.ts'

const factories = new Map<string, () => Engine>()
const started = new Map<string, Engine>()
let current: Engine | undefined
let preferred: string | undefined

/** Makes an engine known; it starts when it is first used. The first one registered is the default. */
export function registerEngine(name: string, factory: () => Engine): void {
  factories.set(name, factory)
  preferred ??= name
}

export function engineNames(): string[] {
  return [...factories.keys()]
}

/** The engines that are up. */
export function startedEngines(): Engine[] {
  return [...started.values()]
}

/** The engine of that name, started if need be. */
export function engineNamed(name: string): Engine {
  let engine = started.get(name)
  if (!engine) {
    const factory = factories.get(name)
    if (!factory) {
      throw new CotangentError('unknown-engine', {
        message: `there is no engine '${name}'`,
        hint: `Known engines: ${engineNames().join(', ') || 'none; import one first'}.`,
      })
    }
    engine = factory()
    started.set(name, engine)
  }
  return engine
}

/** The engine on which new tensors are made. */
export function currentEngine(): Engine {
  current ??= engineNamed(preferred ?? 'wasm')
  return current
}

/** Chooses the engine for tensors made from now on; existing tensors stay where they are. */
export function setEngine(name: string): Engine {
  current = engineNamed(name)
  return current
}

/** How many threads the current engine may use, the calling one included; resolves when they are up. */
export function setThreads(count: number): Promise<void> {
  return currentEngine().setThreads(count)
}

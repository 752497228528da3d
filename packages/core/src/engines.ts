import type { Engine } from './engine/engine.ts'
import { installedBackends } from './engine/installed-backend.ts'
import { ReferenceEngine } from './engine/reference/engine.ts'
import * as registry from './engine/registry.ts'
import { tuningRecord } from './engine/tuning-record.ts'
import { WasmEngine } from './engine/wasm/engine.ts'
import { notice } from './notice.ts'
import { plainRoutine } from './routines.ts'

registry.registerEngine('wasm', () => {
  const backends = installedBackends(notice)
  const tuning = tuningRecord(
    backends.map(({ name, version = '' }) => `${name} ${version}`),
    notice,
  )
  return new WasmEngine({ fallback: plainRoutine, backends, tuning, notice })
})

/**
 * The reference engine is known to whoever names engines. Those that don't name any run on the default one, so bundlers leave the other out.
 */
function registerReference(): void {
  if (!registry.engineNames().includes('reference')) registry.registerEngine('reference', () => new ReferenceEngine())
}

/** The engines there are; `registerEngine` adds to them. */
export function engineNames(): string[] {
  registerReference()
  return registry.engineNames()
}

/** The engine of that name, started if need be. */
export function engineNamed(name: string): Engine {
  registerReference()
  return registry.engineNamed(name)
}

/** Chooses the engine for tensors made from now on; existing tensors stay where they are. */
export function setEngine(name: string): Engine {
  registerReference()
  return registry.setEngine(name)
}

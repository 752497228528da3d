import { environment } from '../environment.ts'
import { type RoutineBackend, routineBackends } from './routine-backend.ts'

const addon = '@cotangent/native'

/** What the addon's package exports. It imports nothing of this one, so it does not matter which copy finds it. */
interface AddonPackage {
  /** @throws Error with one line that says why it can't be used on this machine. */
  nativeBackend(): RoutineBackend
}

interface NodeProcess {
  readonly versions?: { readonly node?: string }
  cwd(): string
  // Finds modules of Node without an import that bundlers would follow.
  getBuiltinModule?(name: 'node:module'): { createRequire(from: string): (name: string) => unknown }
}

/**
 * The registered backends, and `@cotangent/native` if it is installed: in Node, next to this package or where the program
 * runs. `COTANGENT_NATIVE=0` leaves it out. An addon that is there and can't be used is said once.
 */
export function installedBackends(notice: (message: string) => void): readonly RoutineBackend[] {
  if (environment('COTANGENT_NATIVE') === '0') return routineBackends()
  const installed = findAddon()
  if (!installed) return routineBackends()
  try {
    const backend = installed().nativeBackend()
    return [...routineBackends().filter((other) => other !== backend), backend]
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n', 1)[0]! : String(error)
    notice(`Cotangent computes without ${addon}: ${reason}`)
    return routineBackends()
  }
}

/** What loads the package, from the first place where there is one. */
function findAddon(): (() => AddonPackage) | undefined {
  const host = (globalThis as { process?: NodeProcess }).process
  const modules = host?.versions?.node === undefined ? undefined : host.getBuiltinModule?.('node:module')
  if (!host || !modules) return undefined
  for (const from of [import.meta.url, `${host.cwd()}/program.js`]) {
    const require = modules.createRequire(from) as ((name: string) => unknown) & { resolve(name: string): string }
    try {
      require.resolve(addon)
    } catch {
      // Not installed here: that is what most programs look like.
      continue
    }
    return () => require(addon) as AddonPackage
  }
  return undefined
}

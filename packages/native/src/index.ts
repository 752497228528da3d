import type { RoutineBackend } from 'cotangent'
import { defaults, everything, NativeBackend } from './backend.ts'
import { type LibraryInfo, loadBinding } from './binding.ts'

export { NativeBackend, type NativeBackendOptions } from './backend.ts'

let backend: RoutineBackend | undefined

/**
 * The backend that `cotangent` uses by itself where this package is installed.
 * @throws Error with one line that says why it can't be used.
 */
export function nativeBackend(): RoutineBackend {
  backend ??= new NativeBackend(loadBinding(), process.env.COTANGENT_NATIVE === 'all' ? everything : defaults)
  return backend
}

/** Whether the addon is in use, with the library's facts, or the reason why it is not. */
export type NativeStatus =
  | ({ readonly active: true; /** The addon. */ readonly file: string } & LibraryInfo)
  | { readonly active: false; /** One line. */ readonly reason: string }

/** Whether the addon is in use, on what, and if not, why. */
export function status(): NativeStatus {
  if (process.env.COTANGENT_NATIVE === '0') return { active: false, reason: 'COTANGENT_NATIVE=0 turns it off' }
  try {
    const { binding, file } = loadBinding()
    return { active: true, file, ...binding.info() }
  } catch (error) {
    return { active: false, reason: error instanceof Error ? error.message : String(error) }
  }
}

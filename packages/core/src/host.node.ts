import { installedBackends } from './engine/installed-backend.ts'
import { tuningRecord } from './engine/tuning-record.ts'
import { attachBackends } from './engine/wasm/backend-launch.ts'
import { tunedBy } from './engine/wasm/tuner.ts'
import type { HostOptions } from './host.ts'

/** What Node adds: the native addon, and a record of what autotuning has found on this machine. */
export function hostOptions(notice: (message: string) => void): HostOptions {
  const backends = installedBackends(notice)
  const releases = backends.map(({ name, version = '' }) => `${name} ${version}`)
  return {
    ...(backends.length > 0 && { backends: attachBackends(backends) }),
    tuning: tunedBy(tuningRecord(releases, notice)),
  }
}

import { isMainThread } from 'node:worker_threads'
import { installedBackends } from './engine/installed-backend.ts'
import { tuningRecord } from './engine/tuning-record.ts'
import { attachBackends } from './engine/wasm/backend-launch.ts'
import { tunedBy } from './engine/wasm/tuner.ts'
import type { HostOptions } from './host.ts'

/** What Node adds: the native addon, and a record of what autotuning has found on this machine. */
export function hostOptions(say: (message: string) => void): HostOptions {
  // Workers find what the main thread has found, and has said.
  const notice = isMainThread ? say : () => {}
  const backends = installedBackends(notice)
  const releases = backends.map(({ name, version = '' }) => `${name} ${version}`)
  return {
    ...(backends.length > 0 && { backends: attachBackends(backends) }),
    tuning: tunedBy(tuningRecord(releases, notice)),
  }
}

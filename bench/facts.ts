import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { perSecond, type Unit } from './case.ts'
import type { PeerOptions } from './peer.ts'
import type { Row, Skip } from './report.ts'
import { nativeSwitch } from './subject.ts'

/** What one compiled program costs besides its steps, against something that it is held to, in seconds or bytes. */
export interface Fact {
  readonly name: string
  readonly unit: Unit
  readonly ours: number
  readonly against: string
  readonly limit: number
  readonly note: string
}

/** Measures what `compile` is held to besides the time of steps, what `fit` costs beside a loop by hand, how long a step waits for its data, or what `autocast` saves, in a fresh process. */
export async function factsOf(
  suite: 'compile' | 'data' | 'fit' | 'memory',
  options: PeerOptions & { filter: string; effort: { rounds: number } },
): Promise<{ rows: Row[]; skipped: Skip[] }> {
  const file = fileURLToPath(new URL(`${suite}-child.ts`, import.meta.url))
  const args = [...process.execArgv, '--expose-gc', file, JSON.stringify(options)]
  let stdout: string
  try {
    ;({ stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...nativeSwitch(options.engine) } }))
  } catch (error) {
    const reason = (error as { stderr?: string }).stderr?.match(/^\w*Error.*$/m)?.[0] ?? String(error)
    return { rows: [], skipped: [{ suite, name: `what ${suite} costs`, who: 'ours', reason }] }
  }
  const base = { suite, oursNoise: null, peerNoise: null, engine: options.engine, mode: options.mode } as const
  const rows = (JSON.parse(stdout) as Fact[]).map(({ name, unit, ours, against, limit, note }): Row => {
    const scale = unit === 'KiB' ? 1 / 1024 : unit === 'MiB' ? 1 / 2 ** 20 : perSecond[unit]
    return {
      ...base,
      name,
      unit,
      ours: ours * scale,
      peer: limit * scale,
      peerName: against,
      ratio: limit / ours,
      threads: options.threads,
      peerThreads: null,
      note,
    }
  })
  return { rows, skipped: [] }
}

import { memory as cases } from './cases/memory.ts'
import type { PeerOptions } from './peer.ts'
import type { Row, Skip } from './report.ts'
import { Subject, type SubjectName } from './subject.ts'

/**
 * Peak memory of training steps: how far the resident memory of a fresh process rises above what it was when the library had been
 * loaded, while the model is built and does three steps. One process a case and subject; weights, gradients, the optimiser's state
 * and data are part of it.
 */
export async function measureMemory(
  options: PeerOptions & { filter: string },
  who: readonly SubjectName[],
  keep: (result: { rows: Row[]; skipped: Skip[] }) => void,
): Promise<void> {
  for (const { suite, name, unit, work } of cases.filter((testCase) => testCase.name.includes(options.filter))) {
    const skipped: Skip[] = []
    const found = new Map<SubjectName, { mib: number; note: string | undefined; threads: number }>()
    for (const subjectName of who) {
      const compiled = subjectName === 'ours' || subjectName === 'ours-wasm'
      try {
        const subject = await Subject.open(subjectName, { ...options, mode: compiled ? 'compiled' : 'eager' })
        try {
          const { bytes, note } = await subject.peakMemory(work)
          found.set(subjectName, { mib: bytes / 2 ** 20, note, threads: subject.facts.threads })
        } finally {
          subject.close()
        }
      } catch (error) {
        skipped.push({ suite, name, who: subjectName, reason: (error as Error).message })
      }
    }
    const ours = found.get('ours')
    const base = { suite, name, unit, engine: options.engine, mode: 'compiled', oursNoise: null, peerNoise: null } as const
    const oursPart = { ours: ours?.mib ?? null, threads: ours?.threads ?? null }
    const peers = [...found].filter(([subjectName]) => subjectName !== 'ours')
    const rows: Row[] = peers.map(([peerName, { mib, note, threads }]) => ({
      ...base,
      ...oursPart,
      peer: mib,
      peerName,
      peerThreads: threads,
      ratio: ours ? mib / ours.mib : null,
      ...(note ? { note } : {}),
    }))
    if (ours && rows.length === 0) rows.push({ ...base, ...oursPart, peer: null, peerName: null, peerThreads: null, ratio: null })
    keep({ rows, skipped })
  }
}

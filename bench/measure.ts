import { perSecond, type Case } from './case.ts'
import type { Row, Skip } from './report.ts'
import type { Subject } from './subject.ts'

export interface Effort {
  /** Turns that each subject gets, after warming up. */
  rounds: number
  /** Length that one turn aims at. */
  sampleMs: number
}

export interface Spread {
  median: number
  /** Interquartile range over median: how far apart the middle half of the samples lies. */
  noise: number
}

export function spread(samples: readonly number[]): Spread {
  const sorted = samples.toSorted((a, b) => a - b)
  const median = quantile(sorted, 0.5)
  return { median, noise: (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / median }
}

function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q
  const low = sorted[Math.floor(at)]!
  return low + (sorted[Math.ceil(at)]! - low) * (at - Math.floor(at))
}

/** Turns for a subject that needs over a second an iteration. */
const slowRounds = 3

interface Runner {
  subject: Subject
  iterations: number
  rounds: number
  samples: number[]
  note: string | undefined
  threads: number
}

/**
 * Times one case on all subjects in turns (ours, peer, peer, ours, peer, peer ...), so that what the machine does in a while hits all
 * of them alike, and pairs ours with each peer. A subject that cannot do the case is skipped, with its reason.
 */
export async function measure(
  testCase: Case,
  subjects: readonly Subject[],
  effort: Effort,
  { engine, mode }: { engine: string; mode: Row['mode'] },
): Promise<{ rows: Row[]; skipped: Skip[] }> {
  const skipped: Skip[] = []
  const runners: Runner[] = []
  const attempt = async (subject: Subject, action: () => Promise<void>) => {
    try {
      await action()
      return true
    } catch (error) {
      skipped.push({ suite: testCase.suite, name: testCase.name, who: subject.name, reason: (error as Error).message })
      return false
    }
  }

  for (const subject of subjects) {
    await attempt(subject, async () => {
      runners.push({ subject, ...(await warmUp(subject, testCase, effort)), samples: [] })
    })
  }
  let active = runners
  for (let round = 0; round < effort.rounds; round++) {
    for (const runner of active.filter(({ rounds }) => round < rounds)) {
      // Thread pools keep their cores after their last work, ONNX Runtime's for 40 ms; nobody's turn starts inside another's.
      await new Promise((resolve) => setTimeout(resolve, 60))
      const held = await attempt(runner.subject, async () => {
        runner.samples.push((await runner.subject.time(testCase.work, runner.iterations)).seconds)
      })
      if (!held) active = active.filter((other) => other !== runner)
    }
  }
  for (const { subject } of runners) await attempt(subject, () => subject.release())

  const scale = testCase.unit === 'KiB' || testCase.unit === 'MiB' ? 1 : perSecond[testCase.unit]
  const results = active.map(({ subject, samples, note, threads }) => {
    const { median, noise } = spread(samples)
    return { subject, time: median * scale, noise, note, threads }
  })
  const ours = results.find(({ subject }) => subject.name === 'ours')
  const peers = results.filter((result) => result !== ours)
  const base = { suite: testCase.suite, name: testCase.name, unit: testCase.unit, engine, mode } as const
  const oursPart = { ours: ours?.time ?? null, oursNoise: ours?.noise ?? null, threads: ours?.threads ?? null }
  const rows: Row[] = peers.map(({ subject, time, noise, note, threads }) => ({
    ...base,
    ...oursPart,
    peer: time,
    peerNoise: noise,
    peerName: subject.name,
    peerThreads: threads,
    ratio: ours ? time / ours.time : null,
    ...(note ? { note } : {}),
  }))
  if (ours && peers.length === 0) {
    rows.push({ ...base, ...oursPart, peer: null, peerNoise: null, peerName: null, peerThreads: null, ratio: null })
  }
  return { rows, skipped }
}

/** Runs the case until it is warm (three calls and two samples long) and finds how often it fits into one sample. */
async function warmUp(
  subject: Subject,
  { work }: Case,
  { rounds, sampleMs }: Effort,
): Promise<Pick<Runner, 'iterations' | 'rounds' | 'note' | 'threads'>> {
  let iterations = 1
  let spentMs = 0
  for (let calls = 1; ; calls++) {
    const { seconds, note, threads } = await subject.time(work, iterations)
    const ms = Math.max(seconds * 1e3, 1e-6)
    spentMs += ms * iterations
    const fitting = Math.max(1, Math.round(sampleMs / ms))
    if (calls >= 3 && spentMs >= 2 * sampleMs)
      return { iterations: fitting, rounds: ms > 1e3 ? Math.min(rounds, slowRounds) : rounds, note, threads }
    iterations = Math.min(fitting, iterations * 8)
  }
}

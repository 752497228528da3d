import type { SummaryWriter } from 'cotangent/train'

/** Settings of a run, metrics over its steps, and files that came out of it: where they go is the tracker's business. */
export interface Tracker {
  /** The run's, unique. */
  readonly id: string
  /** Settings. Given again, a name must have the same value. */
  params(values: Readonly<Record<string, number | string | boolean>>): void
  /** How it goes. Returns at once; what is given is sent or written soon. */
  metrics(values: Readonly<Record<string, number>>, step: number): void
  tags(values: Readonly<Record<string, string>>): void
  /** A file. @param name With `/` for folders. */
  artifact(name: string, content: Uint8Array | string): Promise<void>
  /** Resolves when all that was given is where it belongs; throws where something could not be brought there. */
  flush(): Promise<void>
  /** The run is over. Nothing can be given any more. */
  finish(status?: RunStatus): Promise<void>
}

/** How a run ended. */
export type RunStatus = 'finished' | 'failed' | 'killed'

/** What a run is called, and what is known of it at its start. */
export interface RunOptions {
  readonly name?: string
  readonly params?: Readonly<Record<string, number | string | boolean>>
  readonly tags?: Readonly<Record<string, string>>
}

/**
 * A tracker as the place for summaries, for `fit` and its callbacks. Metrics have no distributions: of a histogram, the mean, the standard
 * deviation and the range are kept. Texts become files.
 */
export function summaryWriter(tracker: Tracker): SummaryWriter {
  const texts: Promise<void>[] = []
  const settle = async () => void (await Promise.all(texts.splice(0)))
  return {
    scalar: (tag, value, step) => tracker.metrics({ [tag]: value }, step),
    histogram(tag, values, step) {
      const n = values.length
      if (n === 0) return
      let [sum, min, max] = [0, Infinity, -Infinity]
      for (let i = 0; i < n; i++) {
        sum += values[i]!
        min = Math.min(min, values[i]!)
        max = Math.max(max, values[i]!)
      }
      const mean = sum / n
      let squares = 0
      for (let i = 0; i < n; i++) squares += (values[i]! - mean) ** 2
      tracker.metrics({ [`${tag}/mean`]: mean, [`${tag}/std`]: Math.sqrt(squares / n), [`${tag}/min`]: min, [`${tag}/max`]: max }, step)
    },
    text(tag, text, step) {
      const saved = tracker.artifact(`${tag}/${step}.md`, text)
      // A failure is for flush and close to report, not for a promise that nobody waits for.
      saved.catch(() => {})
      texts.push(saved)
    },
    hparams(values, metrics) {
      tracker.params(values)
      const known = Object.entries(metrics).filter((entry): entry is [string, number] => entry[1] !== null)
      if (known.length > 0) tracker.metrics(Object.fromEntries(known), 0)
    },
    async flush() {
      await settle()
      await tracker.flush()
    },
    async close({ status = 'success' } = {}) {
      await settle()
      await tracker.finish(status === 'failure' ? 'failed' : 'finished')
    },
  }
}

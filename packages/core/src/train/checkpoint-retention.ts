import { CotangentError } from '../errors.ts'
import type { CheckpointEntry } from './checkpoint-store.ts'
import { directionOf } from './metric-direction.ts'

/** Which checkpoints stay when a new one has been saved. One that any of these keeps stays. */
export interface CheckpointRetention {
  /** How many of the last ones; at least 1, `Infinity` for all. Default 3. */
  readonly keepLast?: number
  /** How many of the best ones by `monitor`. Default 1, with a `monitor`. */
  readonly keepBest?: number
  /** The metric that the best are chosen by, as `save` is given it. */
  readonly monitor?: string
  /** Whether less or more of it is better. Default: what its name says, e.g. `max` for `valAccuracy`, and `min` where it says nothing. */
  readonly mode?: 'min' | 'max'
  /** Keeps the first one at or after each multiple of so many steps for good. Default: none. */
  readonly keepEvery?: number
}

/** @throws {CotangentError} `invalid-argument` for a number that is none of the kind. */
export function checkRetention({ keepLast = 3, keepBest, monitor, mode, keepEvery }: CheckpointRetention): void {
  if (keepLast !== Infinity) checkCount('keepLast', keepLast, 1)
  if (keepBest !== undefined && keepBest !== Infinity) checkCount('keepBest', keepBest, 0)
  if (keepEvery !== undefined) checkCount('keepEvery', keepEvery, 1)
  if (keepBest && monitor === undefined) throw refused('keepBest needs a monitor', "Name the metric: { monitor: 'valLoss' }.")
  if (mode !== undefined && mode !== 'min' && mode !== 'max') throw refused(`mode is ${String(mode)}`, 'It is min or max.')
}

function checkCount(name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least) throw refused(`${name} is ${value}`, `It must be a whole number of at least ${least}.`)
}

const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'CheckpointDirectory', message, hint })

/** Those that have a number for the metric, best first; of equals the older is better. */
export function bestFirst<E extends CheckpointEntry>(
  entries: readonly E[],
  { monitor, mode = directionOf(monitor ?? '') }: CheckpointRetention,
): E[] {
  if (monitor === undefined) return []
  const score = ({ metrics }: E) => (metrics[monitor] ?? Number.NaN) * (mode === 'min' ? 1 : -1)
  return entries.filter((entry) => !Number.isNaN(score(entry))).sort((a, b) => Number(score(a) > score(b)) - Number(score(a) < score(b)))
}

/** Those of `entries`, which are in the order that they were saved in, that need not be kept. */
export function superfluous<E extends CheckpointEntry>(entries: readonly E[], retention: CheckpointRetention): E[] {
  const { keepLast = 3, keepBest = 1, keepEvery } = retention
  const kept = new Set([...entries.slice(Math.max(0, entries.length - keepLast)), ...bestFirst(entries, retention).slice(0, keepBest)])
  if (keepEvery !== undefined) {
    const seen = new Set([0])
    for (const entry of entries.toSorted((a, b) => a.step - b.step)) {
      const nth = Math.floor(entry.step / keepEvery)
      if (!seen.has(nth)) kept.add(entry)
      seen.add(nth)
    }
  }
  return entries.filter((entry) => !kept.has(entry))
}

import { signal } from '@preact/signals'
import type { LiveMessage, SystemSample } from '../src/board/protocol.ts'
import { fetchRuns } from './api.ts'
import { failure, isLive, isReady, loading, runList } from './state.ts'

/** How often each run has changed, by id, and how often the line was made: what shows a run fetches it again when a count goes up. */
const changes = signal<{ connected: number; runs: ReadonlyMap<number, number> }>({ connected: 0, runs: new Map() })
export const latestSample = signal<SystemSample | undefined>(undefined)

/** Milliseconds between two lists, and how many times longer than one took: that of a thousand runs is large. */
const pause = 700
const rest = 4
let isFetching = false
let isStale = false

async function refreshRuns(): Promise<void> {
  isStale = true
  if (isFetching) return
  isFetching = true
  while (isStale) {
    isStale = false
    const started = performance.now()
    try {
      const list = await fetchRuns()
      runList.value = list
      loading.value = list.loading
      isReady.value = true
      failure.value = ''
    } catch (error) {
      failure.value = `The list of runs did not come: ${(error as Error).message}`
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(pause, rest * (performance.now() - started))))
  }
  isFetching = false
}

/**
 * Fetches the list of runs and follows what changes, while the page is to be seen: a browser has six lines to a server, for all its
 * pages together, and one that is kept open in every background tab would take them all.
 */
export function goLive(): void {
  let stream: EventSource | undefined
  const follow = (): void => {
    if (document.visibilityState === 'visible') stream ??= open()
    else {
      stream?.close()
      stream = undefined
    }
  }
  document.addEventListener('visibilitychange', follow)
  follow()
}

function open(): EventSource {
  const stream = new EventSource('api/live')
  stream.onopen = () => {
    isLive.value = true
    // News that came while the line was down is not told again.
    void refreshRuns()
    changes.value = { ...changes.peek(), connected: changes.peek().connected + 1 }
  }
  stream.onerror = () => (isLive.value = false)
  stream.onmessage = ({ data }) => {
    const message = JSON.parse(data as string) as LiveMessage
    if (message.type === 'system') {
      latestSample.value = message.sample
      return
    }
    loading.value = message.loading
    if (message.structure) void refreshRuns()
    bump(message.runs)
  }
  return stream
}

function bump(runs: readonly number[]): void {
  const { connected, runs: before } = changes.peek()
  const next = new Map(before)
  for (const run of runs) next.set(run, (next.get(run) ?? 0) + 1)
  changes.value = { connected, runs: next }
}

/** A number that goes up whenever one of these runs changes, or may have. */
export function versionOf(runs: Iterable<number>): number {
  const { connected, runs: counts } = changes.value
  let sum = connected
  for (const run of runs) sum += counts.get(run) ?? 0
  return sum
}

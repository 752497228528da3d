import { visibleRuns } from '../shown-runs.ts'
import { isReady, loading, runList } from '../state.ts'
import { formatBytes } from '../words.ts'

/** Says why there is nothing to see, and what to do. */
export function Empty({ what }: { what: string }) {
  const { found, read } = loading.value
  if (!isReady.value) return <p class="empty">Looking for runs…</p>
  if (runList.value.runs.length === 0) {
    return (
      <div class="empty">
        <p>No runs in {runList.value.folder} yet.</p>
        <p>They appear here as soon as event files are written, e.g. by the TensorBoard callback of fit.</p>
      </div>
    )
  }
  if (visibleRuns.value.length === 0)
    return <p class="empty">No run is switched on that the filters let through. Choose some in the list of runs.</p>
  if (read < found)
    return (
      <p class="empty">
        Reading: {formatBytes(read)} of {formatBytes(found)}…
      </p>
    )
  return <p class="empty">No {what} in the runs that are switched on.</p>
}

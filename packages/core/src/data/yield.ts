let last = 0

/** Lets the host's other work run (timers, signals, rendering), at most every few milliseconds: a turn of its loop costs as much as a small op. */
export async function yieldToHost(everyMs = 8): Promise<void> {
  const now = performance.now()
  if (now - last < everyMs) return
  await nextTurn()
  last = performance.now()
}

const nextTurn: () => Promise<void> =
  typeof setImmediate === 'function' ? () => new Promise((done) => setImmediate(done)) : () => new Promise((done) => setTimeout(done))

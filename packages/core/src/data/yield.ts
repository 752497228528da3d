let last = 0

/**
 * Lets the host's other work run (timers, signals, rendering), at most once a frame of a screen: a turn of its loop takes as long as a
 * hundred small ops, and the engine's threads fall asleep meanwhile.
 */
export async function yieldToHost(everyMs = 16): Promise<void> {
  const now = performance.now()
  if (now - last < everyMs) return
  await nextTurn()
  last = performance.now()
}

const nextTurn: () => Promise<void> =
  typeof setImmediate === 'function' ? () => new Promise((done) => setImmediate(done)) : () => new Promise((done) => setTimeout(done))

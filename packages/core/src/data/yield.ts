let last = 0

/**
 * Lets the host's other work run (timers, signals, rendering), at most every so often: a turn of its loop takes as long as a hundred
 * small ops, and the engine's threads fall asleep meanwhile. 50 ms are what browsers count as a long task; who waits for an answer does
 * not notice less (W3C Long Tasks API).
 */
export async function yieldToHost(everyMs = 50): Promise<void> {
  const now = performance.now()
  if (now - last < everyMs) return
  await nextTurn()
  last = performance.now()
}

const nextTurn: () => Promise<void> =
  typeof setImmediate === 'function' ? () => new Promise((done) => setImmediate(done)) : turnsByMessage()

/** Browsers have timers that are nested wait for 4 ms at least, but not messages. */
function turnsByMessage(): () => Promise<void> {
  const { port1, port2 } = new MessageChannel()
  return () =>
    new Promise((done) => {
      port1.onmessage = () => done()
      port2.postMessage(null)
    })
}

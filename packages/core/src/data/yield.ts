/** What browsers count as a long task; who waits for an answer does not notice less (W3C Long Tasks API). */
const longTaskMs = 50

let last = 0

/** Whether the host's other work (timers, signals, rendering) has waited long enough for a turn. */
export const hostWaits = (): boolean => performance.now() - last >= longTaskMs

/** Lets the host's other work run for a turn of its loop, which takes as long as a hundred small ops; the engine's threads fall asleep meanwhile. */
export async function yieldToHost(): Promise<void> {
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

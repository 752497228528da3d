import type { Pool } from './pool.ts'

/** Starts the workers now and waits up to `ms` for them, where the host lets this thread wait. Whether all of them are up. */
export function awaitWorkers(pool: Pool, ms: number): boolean {
  pool.start()
  const end = performance.now() + ms
  while (pool.readyThreads < pool.threads && performance.now() < end && sleep(1));
  return pool.readyThreads >= pool.threads
}

/** False where this thread may not wait: a page's own. */
function sleep(ms: number): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
    return true
  } catch {
    return false
  }
}

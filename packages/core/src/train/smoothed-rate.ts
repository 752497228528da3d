/** The rate follows changes with this time constant. */
const rateMemory = 5000

/** Exponentially weighted items a second: recent speed counts, and the first samples are not biased towards zero. */
export function smoothedRate(start: number) {
  let lastTime = start
  let lastDone = 0
  let sum = 0
  let weights = 0
  return {
    sample(time: number, done: number) {
      const elapsed = time - lastTime
      if (elapsed <= 0) return
      const weight = 1 - Math.exp(-elapsed / rateMemory)
      sum += weight * ((1000 * (done - lastDone)) / elapsed - sum)
      weights += weight * (1 - weights)
      lastTime = time
      lastDone = done
    },
    perSecond: () => (weights ? Math.max(0, sum / weights) : 0),
  }
}

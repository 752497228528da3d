import { cpus, freemem, hostname, loadavg, totalmem } from 'node:os'
import type { SystemReply, SystemSample } from './protocol.ts'

/** Half an hour at a sample in two seconds. */
const kept = 900

/** Watches processor and memory of this machine. */
export class SystemMonitor {
  readonly samples: SystemSample[] = []
  readonly machine: SystemReply['machine']
  readonly #timer: NodeJS.Timeout
  #before = cpus()

  /** @param interval milliseconds. */
  constructor(listener: (sample: SystemSample) => void, { interval = 2000 } = {}) {
    this.machine = {
      cores: this.#before.length,
      model: this.#before[0]?.model ?? 'unknown',
      memory: totalmem(),
      platform: `${process.platform} ${process.arch}`,
      host: hostname(),
    }
    this.#timer = setInterval(() => listener(this.#sample()), interval)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #sample(): SystemSample {
    const now = cpus()
    const cores = now.map(({ times }, i) => {
      const before = this.#before[i]?.times ?? times
      const idle = times.idle - before.idle
      const all = Object.values(times).reduce((a, b) => a + b) - Object.values(before).reduce((a, b) => a + b)
      return all > 0 ? Math.min(1, Math.max(0, 1 - idle / all)) : 0
    })
    this.#before = now
    const cpu = cores.reduce((a, b) => a + b, 0) / Math.max(1, cores.length)
    const sample = { time: Date.now() / 1000, cpu, cores, memory: totalmem() - freemem(), load: loadavg()[0]! }
    this.samples.push(sample)
    if (this.samples.length > kept) this.samples.shift()
    return sample
  }
}

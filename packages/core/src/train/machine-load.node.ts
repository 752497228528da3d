import { cpus, freemem, loadavg, totalmem } from 'node:os'

/** How busy this machine is. */
export interface LoadSample {
  /** Share of all cores that was busy since the sample before, 0 to 1. */
  readonly cpu: number
  /** The same, core by core. */
  readonly cores: number[]
  /** Bytes in use. */
  readonly memory: number
  /** Bytes in all. */
  readonly totalMemory: number
  /** Processes that wanted to run, averaged over a minute; 0 on Windows. */
  readonly load: number
  /** Processor time of this process since the sample before, as a share of all cores, 0 to 1. */
  readonly processCpu: number
  /** Bytes that this process has in memory. */
  readonly processMemory: number
}

/** Watches processor and memory of this machine and of this process: each sample says what was since the one before. */
export class MachineLoad {
  #cores = cpus()
  #process = process.cpuUsage()
  #time = performance.now()

  sample(): LoadSample {
    const [now, used, time] = [cpus(), process.cpuUsage(), performance.now()]
    const cores = now.map(({ times }, i) => {
      const before = this.#cores[i]?.times ?? times
      const all = sum(times) - sum(before)
      return all > 0 ? within(1 - (times.idle - before.idle) / all) : 0
    })
    const elapsed = (time - this.#time) * 1000 * Math.max(1, cores.length)
    const busy = used.user + used.system - this.#process.user - this.#process.system
    this.#cores = now
    this.#process = used
    this.#time = time
    const totalMemory = totalmem()
    return {
      cpu: cores.reduce((a, b) => a + b, 0) / Math.max(1, cores.length),
      cores,
      memory: totalMemory - freemem(),
      totalMemory,
      load: loadavg()[0]!,
      processCpu: elapsed > 0 ? within(busy / elapsed) : 0,
      processMemory: process.memoryUsage.rss(),
    }
  }
}

const sum = (times: Readonly<Record<string, number>>): number => Object.values(times).reduce((a, b) => a + b, 0)
const within = (share: number): number => Math.min(1, Math.max(0, share))

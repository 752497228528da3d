import { cpus, hostname, totalmem } from 'node:os'
import { MachineLoad } from 'cotangent/node'
import type { SystemReply, SystemSample } from './protocol.ts'

/** Half an hour at a sample in two seconds. */
const kept = 900

/** Watches processor and memory of this machine. */
export class SystemMonitor {
  readonly samples: SystemSample[] = []
  readonly machine: SystemReply['machine']
  readonly #timer: NodeJS.Timeout
  readonly #load = new MachineLoad()

  /** @param interval milliseconds. */
  constructor(listener: (sample: SystemSample) => void, { interval = 2000 } = {}) {
    const processors = cpus()
    this.machine = {
      cores: processors.length,
      model: processors[0]?.model ?? 'unknown',
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
    const { cpu, cores, memory, load } = this.#load.sample()
    const sample = { time: Date.now() / 1000, cpu, cores, memory, load }
    this.samples.push(sample)
    if (this.samples.length > kept) this.samples.shift()
    return sample
  }
}

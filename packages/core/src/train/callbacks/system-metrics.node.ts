import { CotangentError } from '../../errors.ts'
import type { Callback } from '../callback.ts'
import { MachineLoad } from '../machine-load.node.ts'
import type { SummaryWriter } from '../summary.ts'
import type { Training } from '../training.ts'

/**
 * Writes how busy the machine that trains is, beside the run's other scalars: `system/cpu` and `system/process-cpu` (percent of all cores),
 * `system/memory` and `system/process-memory` (gigabytes).
 *
 *     const writer = new EventFileWriter('runs/1')
 *     callbacks: [new SystemMetrics(writer), new train.TensorBoard(writer)]
 */
export class SystemMetrics implements Callback {
  readonly keeps = true
  readonly #writer: Pick<SummaryWriter, 'scalar'>
  readonly #everyMs: number
  #load = new MachineLoad()
  #last = 0

  /**
   * @param everySeconds Between two samples, each taken behind a step. Default 5.
   * @throws {CotangentError} `invalid-argument` for a time that is none.
   */
  constructor(writer: Pick<SummaryWriter, 'scalar'>, { everySeconds = 5 }: { readonly everySeconds?: number } = {}) {
    if (!(everySeconds >= 0)) {
      throw new CotangentError('invalid-argument', {
        op: 'SystemMetrics',
        message: `everySeconds is ${everySeconds}`,
        hint: 'It must be 0 or more seconds.',
      })
    }
    this.#writer = writer
    this.#everyMs = everySeconds * 1000
  }

  onFitStart(): void {
    this.#load = new MachineLoad()
    this.#last = performance.now()
  }

  onStepEnd({ step }: Training): void {
    const now = performance.now()
    if (now - this.#last < this.#everyMs) return
    this.#last = now
    const { cpu, memory, processCpu, processMemory } = this.#load.sample()
    this.#writer.scalar('system/cpu', 100 * cpu, step)
    this.#writer.scalar('system/memory', memory / 1e9, step)
    this.#writer.scalar('system/process-cpu', 100 * processCpu, step)
    this.#writer.scalar('system/process-memory', processMemory / 1e9, step)
  }
}

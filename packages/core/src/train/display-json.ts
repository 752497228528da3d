import type { Callback } from './callback.ts'
import type { Logs } from './metric-set.ts'
import { Refresh } from './refresh.ts'
import type { TerminalWriter } from './terminal.ts'
import type { Training } from './training.ts'

/**
 * An event a line, as JSON: `fitStart`, `progress`, `validationEnd`, `epochEnd`, `message`, `fitEnd`, `error`. Numbers that JSON lacks
 * are texts: `"NaN"`, `"Infinity"`.
 */
export class JsonDisplay implements Callback {
  readonly last = true
  readonly #writer: TerminalWriter
  readonly #refresh: Refresh

  constructor({ writer, every = 1 }: { readonly writer: TerminalWriter; readonly every?: number }) {
    this.#writer = writer
    this.#refresh = new Refresh(every)
  }

  onFitStart(training: Training): void {
    training.writer = (message) => this.#event('message', training, { message })
    const { plan, model, optimizer } = training
    const parameters = model.parameters().reduce((sum, p) => sum + p.size, 0)
    this.#event('fitStart', training, { ...plan, parameters, optimizer: optimizer.constructor.name, lr: optimizer.lr })
  }

  async onBatchEnd(training: Training): Promise<void> {
    if (this.#refresh.due) this.#event('progress', training, { logs: await this.#refresh.run(() => training.logs()) })
  }

  onValidationEnd(training: Training, logs: Logs): void {
    this.#event('validationEnd', training, { logs })
  }

  onEpochEnd(training: Training): void {
    const { logs, seconds } = training.history.epochs.at(-1)!
    this.#event('epochEnd', training, { logs, epochSeconds: seconds })
  }

  onFitEnd(training: Training): void {
    const { epoch, plan, stopReason } = training
    this.#event('fitEnd', training, { epoch: Math.min(epoch + 1, plan.epochs), epochs: epoch, stopReason })
  }

  onError(training: Training, error: unknown): void {
    this.#event('error', training, { message: error instanceof Error ? error.message : String(error) })
  }

  #event(event: string, { epoch, batch, step, samples, seconds }: Training, more: object): void {
    const data = { event, epoch: epoch + 1, batch, step, samples, seconds, ...more }
    this.#writer.write(
      `${JSON.stringify(data, (_, value: unknown) => (typeof value === 'number' && !Number.isFinite(value) ? String(value) : value))}\n`,
    )
  }
}

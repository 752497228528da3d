import type { Callback } from './callback.ts'
import type { Logs } from './metric-set.ts'
import { Refresh } from './refresh.ts'
import { formatCount, formatDuration, formatMetric } from './terminal-format.ts'
import type { TerminalWriter } from './terminal.ts'
import { describeEnd, describeStart } from './training-words.ts'
import type { Training } from './training.ts'

/** A line for each epoch, and one every few seconds between: for logs. */
export class PlainDisplay implements Callback {
  readonly last = true
  readonly #writer: TerminalWriter
  readonly #refresh: Refresh

  constructor({ writer, every = 5 }: { readonly writer: TerminalWriter; readonly every?: number }) {
    this.#writer = writer
    this.#refresh = new Refresh(every)
  }

  onFitStart(training: Training): void {
    training.writer = (line) => this.#write(line)
    this.#write(describeStart(training))
  }

  onBatchEnd(training: Training): Promise<void> | undefined {
    return this.#refresh.due ? this.#look(training) : undefined
  }

  onEpochEnd(training: Training): void {
    const { seconds, logs } = training.history.epochs.at(-1)!
    const rate = seconds > 0 ? `  ${formatCount(training.epochSamples / seconds)} samples/s` : ''
    this.#write(`${epochOf(training)}  ${logsText(logs)}  ${formatDuration(1000 * seconds)}${rate}`)
  }

  onFitEnd(training: Training): void {
    this.#write(describeEnd(training))
  }

  onError(training: Training): void {
    this.#write(`failed after ${describeEnd(training)}`)
  }

  async #look(training: Training): Promise<void> {
    const logs = await this.#refresh.run(() => training.logs())
    const { batchesPerEpoch } = training.plan
    const total = batchesPerEpoch === undefined ? ' batches' : `/${formatCount(batchesPerEpoch)}`
    this.#write(`${epochOf(training)}  ${formatCount(training.batch)}${total}  ${logsText({ ...logs, ...training.extraLogs })}`)
  }

  #write(line: string): void {
    this.#writer.write(`${line}\n`)
  }
}

const epochOf = ({ epoch, plan }: Training): string => `epoch ${epoch + 1}${plan.epochs === Infinity ? '' : `/${plan.epochs}`}`

const logsText = (logs: Logs): string =>
  Object.entries(logs)
    .map(([name, value]) => `${name} ${formatMetric(value)}`)
    .join('  ')

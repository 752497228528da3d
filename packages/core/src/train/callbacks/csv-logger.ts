import type { Callback } from '../callback.ts'
import type { Logs } from '../metric-set.ts'
import type { Training } from '../training.ts'

/** Where text goes: a stream of Node's `fs.createWriteStream`, for instance. */
export interface TextSink {
  write(text: string): unknown
}

export interface CsvLoggerOptions {
  /** Between two values. Default a comma. */
  readonly separator?: string
  /** False where the file has its head already: lines are added to it. Default true. */
  readonly head?: boolean
}

/**
 * A line for each epoch: `epoch`, `step`, `seconds`, and what the first epoch has logged; what later ones lack is empty.
 *
 *     new train.CsvLogger(createWriteStream('run.csv'))
 */
export class CsvLogger implements Callback {
  readonly keeps = true
  readonly #sink: TextSink
  readonly #separator: string
  readonly #head: boolean
  #columns: readonly string[] | undefined

  constructor(sink: TextSink, { separator = ',', head = true }: CsvLoggerOptions = {}) {
    this.#sink = sink
    this.#separator = separator
    this.#head = head
  }

  onEpochEnd(training: Training, logs: Logs): void {
    if (!this.#columns) {
      this.#columns = Object.keys(logs)
      if (this.#head) this.#line(['epoch', 'step', 'seconds', ...this.#columns])
    }
    const values = this.#columns.map((name) => (name in logs ? String(logs[name]) : ''))
    this.#line([String(training.epoch + 1), String(training.step), training.epochSeconds.toFixed(3), ...values])
  }

  #line(cells: readonly string[]): void {
    this.#sink.write(`${cells.map((cell) => this.#quote(cell)).join(this.#separator)}\n`)
  }

  /** RFC 4180. */
  #quote(cell: string): string {
    return cell.includes(this.#separator) || /["\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
  }
}

import { CotangentError } from '../../errors.ts'
import type { Callback } from '../callback.ts'
import type { Logs } from '../metric-set.ts'
import type { Training } from '../training.ts'
import { isValidationName } from './monitor.ts'

/** Where text goes: a stream of Node's `fs.createWriteStream`, for instance. */
export interface TextSink {
  write(text: string): unknown
}

/** How the table of a training is written. */
export interface CsvLoggerOptions {
  /** Between two values. Default a comma. */
  readonly separator?: string
  /** False where the file has its head already: lines are added to it. Default true. */
  readonly head?: boolean
}

interface Row {
  readonly place: readonly string[]
  readonly logs: Logs
}

/**
 * A line for each epoch: `epoch`, `step`, `seconds`, and what was logged. What an epoch lacks is empty. With a validation that is not
 * behind each epoch, lines wait for the first one, whose columns they have, too.
 *
 *     new train.CsvLogger(createWriteStream('run.csv'))
 */
export class CsvLogger implements Callback {
  readonly keeps = true
  readonly #sink: TextSink
  readonly #separator: string
  readonly #head: boolean
  #columns: readonly string[] | undefined
  /** Rows before the columns are known. */
  #waiting: Row[] = []

  /** @throws {CotangentError} `invalid-argument` for what cannot be written to. */
  constructor(sink: TextSink, { separator = ',', head = true }: CsvLoggerOptions = {}) {
    if (typeof (sink as TextSink | undefined)?.write !== 'function') {
      throw new CotangentError('invalid-argument', {
        op: 'CsvLogger',
        message: `there is nothing to write to: ${typeof sink === 'string' ? 'a text was given' : String(sink)}`,
        hint: "Pass a stream: createWriteStream('run.csv') of node:fs, or anything with write(text).",
      })
    }
    this.#sink = sink
    this.#separator = separator
    this.#head = head
  }

  onEpochEnd(training: Training, logs: Logs): void {
    const place = [String(training.epoch + 1), String(training.step), training.epochSeconds.toFixed(3)]
    this.#waiting.push({ place, logs: { ...logs } })
    if (this.#columns || !training.plan.validates || Object.keys(logs).some(isValidationName)) this.#flush()
  }

  onFitEnd(): void {
    this.#flush()
  }

  onError(): void {
    this.#flush()
  }

  #flush(): void {
    if (this.#waiting.length === 0) return
    if (!this.#columns) {
      this.#columns = [...new Set(this.#waiting.flatMap(({ logs }) => Object.keys(logs)))]
      if (this.#head) this.#line(['epoch', 'step', 'seconds', ...this.#columns])
    }
    for (const { place, logs } of this.#waiting) this.#line([...place, ...this.#columns.map((name) => String(logs[name] ?? ''))])
    this.#waiting = []
  }

  #line(cells: readonly string[]): void {
    this.#sink.write(`${cells.map((cell) => this.#quote(cell)).join(this.#separator)}\n`)
  }

  /** RFC 4180. */
  #quote(cell: string): string {
    return cell.includes(this.#separator) || /["\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
  }
}

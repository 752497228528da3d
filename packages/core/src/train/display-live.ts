import type { Callback } from './callback.ts'
import { EpochTable } from './epoch-table.ts'
import { LiveRegion } from './live-region.ts'
import type { Logs } from './metric-set.ts'
import { Refresh } from './refresh.ts'
import { smoothedRate } from './smoothed-rate.ts'
import { Curve, sparkline } from './sparkline.ts'
import { drawBar, formatClock, formatCount, formatMetric } from './terminal-format.ts'
import { displayWidth, fitWidth, type TerminalWriter } from './terminal.ts'
import { describeEnd, describeStart } from './training-words.ts'
import type { Training } from './training.ts'

const maxBarColumns = 28
const sparkColumns = 24

/** A table of epochs, and below it two lines that are drawn anew: how far the epoch is, and how it goes. */
export class LiveDisplay implements Callback {
  readonly last = true
  readonly #region: LiveRegion
  readonly #color: boolean
  readonly #table: EpochTable
  readonly #refresh: Refresh
  readonly #losses = new Curve()
  #rate = smoothedRate(performance.now())
  #logs: Logs = {}
  /** Whether the curve has a loss of this epoch. */
  #looked = false

  constructor({ writer, color, every = 0.1 }: { readonly writer: TerminalWriter; readonly color: boolean; readonly every?: number }) {
    this.#region = new LiveRegion(writer)
    this.#color = color
    this.#table = new EpochTable({ color })
    this.#refresh = new Refresh(every)
  }

  onFitStart(training: Training): void {
    training.writer = (line) => this.#region.print([line])
    this.#region.print([this.#dim(describeStart(training))])
    this.#rate = smoothedRate(performance.now())
    this.#draw(training)
  }

  onBatchEnd(training: Training): Promise<void> | undefined {
    return this.#refresh.due ? this.#look(training) : undefined
  }

  onValidationBatchEnd(training: Training): Promise<void> | undefined {
    return this.#refresh.due ? this.#look(training) : undefined
  }

  onEpochEnd(training: Training): void {
    const record = training.history.epochs.at(-1)!
    this.#logs = Object.fromEntries(Object.entries(record.logs).filter(([name]) => !(name in training.extraLogs)))
    // Epochs that are over before it is time to look have a point each.
    if (!this.#looked && typeof record.logs.loss === 'number') this.#losses.push(record.logs.loss)
    this.#looked = false
    this.#region.printAndDraw(this.#table.add(record, this.#region.columns), this.#lines(training))
  }

  onFitEnd(training: Training): void {
    const color = training.stopReason === 'interrupted' ? 33 : 32
    this.#region.printAndDraw(['', `${this.#style(color, training.stopReason === 'interrupted' ? '■' : '✓')} ${describeEnd(training)}`], [])
  }

  onError(training: Training): void {
    // The last state stands above the message.
    this.#region.printAndDraw([...this.#lines(training), `${this.#style(31, '✗')} failed after ${describeEnd(training)}`], [])
  }

  async #look(training: Training): Promise<void> {
    await this.#refresh.run(async () => {
      if (training.phase === 'train') {
        this.#losses.push(await training.loss())
        this.#looked = true
      }
      this.#logs = await training.logs()
    })
    this.#rate.sample(performance.now(), training.samples)
    this.#draw(training)
  }

  #draw(training: Training): void {
    this.#region.draw(this.#lines(training))
  }

  #lines(training: Training): string[] {
    return ['', this.#epochLine(training), this.#logsLine(training)].map((line) =>
      displayWidth(line) > this.#region.columns ? fitWidth(plain(line), this.#region.columns) : line,
    )
  }

  #epochLine(training: Training): string {
    const { plan, phase, batch, validationBatch } = training
    const [done, total] = phase === 'train' ? [batch, plan.batchesPerEpoch] : [validationBatch, plan.validationBatches]
    const number = Math.min(training.epoch + 1, plan.epochs)
    const label = `epoch ${number}${plan.epochs === Infinity ? '' : `/${plan.epochs}`}`
    const what = phase === 'train' ? '' : '  validating'
    const rate = this.#rate.perSecond()
    const perBatch = training.batch > 0 ? training.epochSamples / training.batch : 0
    const ends: string[] = []
    if (total !== undefined) ends.push(`${formatCount(done)}/${formatCount(total)}`)
    else ends.push(`${formatCount(done)} batches`)
    if (phase === 'train' && rate > 0) {
      ends.push(`${formatCount(rate)} samples/s`)
      if (total !== undefined && perBatch > 0) ends.push(`ETA ${formatClock(((total - done) * perBatch * 1000) / rate)}`)
    }
    const tail = ends.join('  ')
    if (total === undefined) return `${this.#bold(label)}${what}  ${tail}`
    const fraction = total > 0 ? Math.min(1, done / total) : 1
    const share = `${Math.floor(100 * fraction)}%`.padStart(4)
    const free = this.#region.columns - displayWidth(`${label}${what}  ${share}  ${tail}`) - 2
    const bar = free >= 6 ? `${drawBar(fraction, Math.min(maxBarColumns, free), this.#color)}` : ''
    return `${this.#bold(label)}${what}  ${bar} ${share}  ${tail}`
  }

  #logsLine(training: Training): string {
    const texts = Object.entries({ ...this.#logs, ...(training.phase === 'train' ? training.extraLogs : {}) })
      .filter(([name]) => training.phase !== 'train' || !/^val[A-Z]/.test(name))
      .map(([name, value]) => `${this.#dim(name)} ${formatMetric(value)}`)
    const spark = sparkline(this.#losses.values, sparkColumns, { log: true })
    const left = timeLeft(training)
    const [head, run] = [spark && this.#style(36, spark), left === undefined ? '' : this.#dim(`run ${formatClock(left)} left`)]
    while (texts.length > 1 && displayWidth([head, ...texts, run].join('  ')) > this.#region.columns) texts.pop()
    return [head, ...texts, run].filter(Boolean).join('  ')
  }

  #style(code: number, text: string): string {
    return this.#color ? `\x1b[${code}m${text}\x1b[0m` : text
  }

  #dim(text: string): string {
    return this.#style(2, text)
  }

  #bold(text: string): string {
    return this.#style(1, text)
  }
}

const plain = (line: string): string => line.replace(/\x1b\[[\d;]*m/g, '')

/** Milliseconds until the training is over, as far as it went evenly. Of a single epoch, its own line says it. */
function timeLeft({ progress, seconds, plan }: Training): number | undefined {
  if (progress === undefined || progress < 0.005 || plan.epochs === 1) return undefined
  return (1000 * seconds * (1 - progress)) / progress
}

import { CotangentError } from '../errors.ts'
import { checkOptionNames, type OptionNames } from '../option-names.ts'
import { BatchSource } from './batch-source.ts'
import type { BatchData } from './batch.ts'
import type { BatchingOptions } from './fit-options.ts'
import { linePlot } from './line-plot.ts'
import { isTensorData, tensorBatches, type TensorData } from './tensor-data.ts'
import type { Trainer } from './trainer.ts'
import { undisturbed } from './undisturbed.ts'

/** The range of rates that are tried, in how many steps, and when the search ends. */
export interface LrFindOptions {
  /** The first learning rate. Default 1e-7. */
  readonly start?: number
  /** The last one. Default 10. */
  readonly end?: number
  /** Default 100. */
  readonly steps?: number
  /** Ends when the smoothed loss is so many times the least so far. Default 4. */
  readonly stopFactor?: number
  /** How much of the moving average of the losses stays from step to step. Default 0.9. */
  readonly smoothing?: number
}

/** Losses over learning rates (Smith 2017, "Cyclical learning rates for training neural networks", https://arxiv.org/abs/1506.01186). */
export class LrFindResult {
  readonly lrs: readonly number[]
  /** Smoothed. */
  readonly losses: readonly number[]

  constructor(lrs: readonly number[], losses: readonly number[]) {
    this.lrs = lrs
    this.losses = losses
  }

  /** Where the loss falls fastest: about the rate to train with. */
  get steepest(): number {
    const slopes = this.losses.slice(1).map((loss, i) => loss - this.losses[i]!)
    return this.lrs[slopes.indexOf(Math.min(...slopes))]!
  }

  /** A tenth of the rate with the least loss: a careful choice. */
  get minimum(): number {
    return this.lrs[this.losses.indexOf(Math.min(...this.losses))]! / 10
  }

  /** Two thirds into the longest valley, the longest stretch in which the loss falls: the choice for one cycle. */
  get valley(): number {
    const { losses } = this
    const length = losses.map(() => 1)
    for (let i = 1; i < losses.length; i++) {
      for (let j = 0; j < i; j++) if (losses[i]! < losses[j]! && length[i]! < length[j]! + 1) length[i] = length[j]! + 1
    }
    const end = length.indexOf(Math.max(...length))
    const start = end - length[end]! + 1
    return this.lrs[Math.min(losses.length - 1, Math.max(0, start) + Math.floor(((end - Math.max(0, start)) * 2) / 3))]!
  }

  /** The rate to begin with: `valley`. */
  get suggestion(): number {
    return this.valley
  }

  /** The curve, for the terminal. */
  plot({ width = 72, height = 12, color }: { readonly width?: number; readonly height?: number; readonly color?: boolean } = {}): string {
    return linePlot(this.lrs, this.losses, {
      width,
      height,
      logX: true,
      title: 'loss over learning rate',
      mark: { x: this.suggestion, label: `suggestion ${this.suggestion.toExponential(1)}` },
      ...(color !== undefined && { color }),
    })
  }

  /** The plot, without colours. */
  toString(): string {
    return this.plot({ color: false })
  }
}

/**
 * Trains with a learning rate that grows from step to step, until the loss explodes, and sets everything back: weights, optimiser,
 * random numbers and data are afterwards what they were.
 *
 *     const found = await train.lrFind(trainer, batches)
 *     console.log(found.plot())
 *     optimizer.lr = found.suggestion
 *
 * @throws {CotangentError} `invalid-argument` for options that are none, and where the loss is not finite from the beginning.
 */
export async function lrFind<O, T>(
  trainer: Trainer<O, T>,
  data: BatchData | TensorData,
  options: LrFindOptions & BatchingOptions = {},
): Promise<LrFindResult> {
  checkOptionNames('lrFind', options, optionNames)
  const { batchSize = 32, shuffle = true } = options
  const search = new LrSearch(options)
  const source = new BatchSource(isTensorData(data) ? tensorBatches(data, batchSize, { shuffle }) : data)
  const { program, optimizer } = trainer
  const before = optimizer.paramGroups.map(({ lr }) => lr)
  const highest = Math.max(...before)
  await undisturbed(program, source.stateful, async () => {
    let goesOn = true
    while (goesOn) {
      // Groups keep their ratios.
      optimizer.paramGroups.forEach((group, i) => (group.lr = highest > 0 ? (search.lr * before[i]!) / highest : search.lr))
      const batch = (await source.next()) ?? (await source.next())
      if (batch === undefined)
        throw refused('there are no batches', 'Iterators give theirs only once: pass what gives a new one each time.')
      program.train(batch, { first: true, ends: 1 })
      goesOn = search.push(await program.lastLoss())
    }
  }).finally(() => source.close())
  return search.result()
}

const optionNames: OptionNames<LrFindOptions & BatchingOptions> = {
  start: true,
  end: true,
  steps: true,
  stopFactor: true,
  smoothing: true,
  batchSize: true,
  shuffle: true,
}

/** The rates of a search and its end, step by step. */
class LrSearch {
  readonly #options: Required<LrFindOptions>
  readonly #lrs: number[] = []
  readonly #losses: number[] = []
  #mean = 0
  #least = Number.POSITIVE_INFINITY

  /** @throws {CotangentError} `invalid-argument` for rates that do not grow. */
  constructor({ start = 1e-7, end = 10, steps = 100, stopFactor = 4, smoothing = 0.9 }: LrFindOptions) {
    if (!(start > 0 && end > start)) throw refused(`learning rates from ${start} to ${end}`, 'They begin above 0 and grow.')
    if (!(Number.isInteger(steps) && steps >= 2)) throw refused(`${steps} steps`, 'Take at least 2.')
    this.#options = { start, end, steps, stopFactor, smoothing }
  }

  /** The rate of the next step. */
  get lr(): number {
    const { start, end, steps } = this.#options
    return start * (end / start) ** (this.#lrs.length / (steps - 1))
  }

  /** Takes the loss of the step with `lr`. @returns Whether there is to be another one. */
  push(loss: number): boolean {
    const { smoothing, stopFactor, steps } = this.#options
    if (!Number.isFinite(loss)) return false
    const { lr } = this
    this.#mean = smoothing * this.#mean + (1 - smoothing) * loss
    const smoothed = this.#mean / (1 - smoothing ** (this.#losses.length + 1))
    this.#lrs.push(lr)
    this.#losses.push(smoothed)
    this.#least = Math.min(this.#least, smoothed)
    return smoothed <= stopFactor * this.#least && this.#lrs.length < steps
  }

  result(): LrFindResult {
    if (this.#lrs.length >= 2) return new LrFindResult(this.#lrs, this.#losses)
    throw refused(
      'the loss was not finite from the beginning',
      'Look at the data and the model first: lower { start }, or use detectAnomaly().',
    )
  }
}

const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'lrFind', message, hint })

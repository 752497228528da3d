import { CotangentError } from '../errors.ts'
import { checkOptionNames, type OptionNames } from '../option-names.ts'
import { BatchSource } from './batch-source.ts'
import { type BatchData, batchSizeOf } from './batch.ts'
import type { Trainer } from './trainer.ts'
import { undisturbed } from './undisturbed.ts'

/** Which batch sizes are tried, and how long each. */
export interface BatchSizeFindOptions {
  /** The first batch size. Default 2. */
  readonly start?: number
  /** None larger is tried. Default 8192. */
  readonly max?: number
  /** Steps with each. Default 3. */
  readonly steps?: number
  /** `power`: doubles. `binary`: doubles, and then looks between the last two, to 1/16 of the size. Default `power`. */
  readonly mode?: 'power' | 'binary'
}

/** What came of one batch size. */
export interface BatchSizeTrial {
  readonly batchSize: number
  /** Whether memory was enough. */
  readonly fits: boolean
  /** Of the steps behind the first, which is compiled. */
  readonly samplesPerSecond: number | undefined
}

/** What came of the search. The largest batch need not be the fastest. */
export interface BatchSizeFindResult {
  /** The largest that fits. */
  readonly batchSize: number
  /** The one that trains the most examples a second. */
  readonly fastest: number
  readonly trials: readonly BatchSizeTrial[]
}

/**
 * Trains with batches that grow until memory is not enough, and sets everything back as `lrFind` does.
 *
 *     const { batchSize } = await train.batchSizeFind(trainer, (batchSize) => data.Dataset.fromTensors({ x, y }).shuffle().batch(batchSize))
 *
 * @param makeData Batches of that size. Sizes end where the data has no full batch of them.
 * @throws {CotangentError} `out-of-memory` if even the first size is too large.
 */
export async function batchSizeFind<O, T>(
  trainer: Trainer<O, T>,
  makeData: (batchSize: number) => BatchData | Promise<BatchData>,
  options: BatchSizeFindOptions = {},
): Promise<BatchSizeFindResult> {
  checkOptionNames('batchSizeFind', options, optionNames)
  const { start = 2, max = 8192, steps = 3, mode = 'power' } = options
  for (const [name, value] of Object.entries({ start, max, steps })) {
    if (!(Number.isInteger(value) && value >= 1)) {
      throw refused(`${name} is ${value}`, 'It is a whole number of at least 1.')
    }
  }
  if (mode !== 'power' && mode !== 'binary') throw refused(`mode is ${String(mode)}`, 'It is power or binary.')
  const trials: BatchSizeTrial[] = []
  const attempt = async (batchSize: number): Promise<boolean> => {
    try {
      const samplesPerSecond = await undisturbed(trainer.program, undefined, async () =>
        trainFew(trainer, await makeData(batchSize), batchSize, steps),
      )
      if (samplesPerSecond === undefined) return false
      trials.push({ batchSize, fits: true, samplesPerSecond })
      return true
    } catch (error) {
      if (!isOutOfMemory(error)) throw error
      if (trials.length === 0) throw error
      trials.push({ batchSize, fits: false, samplesPerSecond: undefined })
      return false
    } finally {
      // Programs hold memory of their own.
      trainer.clear()
    }
  }
  let [largest, tooLarge] = [0, 0]
  for (let size = start; size <= max; size *= 2) {
    if (await attempt(size)) largest = size
    else {
      tooLarge = size
      break
    }
  }
  if (largest === 0) throw refused(`there is no full batch of ${start} in the data`, 'Begin with fewer: { start: 1 }.')
  if (mode === 'binary' && tooLarge > 0) {
    while (tooLarge - largest > Math.max(1, largest / 16)) {
      const size = (largest + tooLarge) >> 1
      if (await attempt(size)) largest = size
      else tooLarge = size
    }
  }
  const timed = trials.filter((trial) => trial.samplesPerSecond !== undefined)
  const fastest = timed.reduce((a, b) => (b.samplesPerSecond! > a.samplesPerSecond! ? b : a), timed[0]!)
  return { batchSize: largest, fastest: fastest.batchSize, trials }
}

const optionNames: OptionNames<BatchSizeFindOptions> = { start: true, max: true, steps: true, mode: true }

/** Examples a second; undefined where there is no full batch in the data. */
async function trainFew<O, T>({ program }: Trainer<O, T>, data: BatchData, batchSize: number, steps: number): Promise<number | undefined> {
  const source = new BatchSource(data)
  const full = async (): Promise<unknown> => {
    const batch = await source.next()
    // The last batch of a pass may be smaller: a pass begins with a full one if there is any.
    if (batch === undefined || batchSizeOf(batch) >= batchSize) return batch
    await source.close()
    return undefined
  }
  let begun = 0
  try {
    for (let step = 0; step <= steps; step++) {
      const batch = (await full()) ?? (await full())
      if (batch === undefined) return undefined
      program.train(batch, { first: true, ends: 1 })
      await program.lastLoss()
      if (step === 0) begun = performance.now()
    }
  } finally {
    await source.close()
  }
  return (1000 * steps * batchSize) / (performance.now() - begun)
}

const isOutOfMemory = (error: unknown): boolean =>
  (error instanceof CotangentError && error.code === 'out-of-memory') ||
  (error instanceof RangeError && /allocation|memory/i.test(error.message))

const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'batchSizeFind', message, hint })

import type { BatchData } from './batch.ts'
import type { Callback } from './callback.ts'
import type { Schedule } from './callbacks/learning-rate-schedule.ts'
import type { CheckpointStore } from './checkpoint-store.ts'
import type { DisplayMode, DisplayOptions } from './display.ts'
import type { TensorData } from './tensor-data.ts'

/** How tensors are cut into batches; other data come as batches already. */
export interface BatchingOptions {
  /** Where the data are tensors: rows a batch. Default 32. */
  readonly batchSize?: number
  /** Where the data are tensors: whether each epoch has an order of its own. Default true. */
  readonly shuffle?: boolean
}

/** How long training goes on, over which data, and what is done besides. What belongs to every step is the `Trainer`'s. */
export interface FitOptions extends BatchingOptions {
  /** Default 1; without end where `maxSteps` or `maxTime` is given. */
  readonly epochs?: number
  /** Batches that make an epoch, for data that is endless or long: the next epoch goes on where this one stopped. */
  readonly batchesPerEpoch?: number
  /** Steps of the optimiser in all. */
  readonly maxSteps?: number
  /** Seconds. */
  readonly maxTime?: number
  readonly validation?: BatchData | TensorData
  /** Where the data are tensors: the share of the rows, at their end, that validates. */
  readonly validationSplit?: number
  /**
   * Default: at the end of each epoch. `epochs`: of each so many. `batches`: also behind each so many batches of an epoch; below 1, a
   * share of the epoch.
   */
  readonly validateEvery?: { readonly epochs?: number; readonly batches?: number }
  /** Uses only the first so many batches of each pass; below 1, a share of them. A number is for both. */
  readonly limitBatches?: number | { readonly train?: number; readonly validation?: number }
  /** Trains on, and validates with, the same first few batches (or share of them) again and again: a model must be able to learn them by heart. */
  readonly overfitBatches?: number
  /** Goes once through everything with so many batches (true: one), without what keeps something (checkpoints, event files), to find mistakes early. */
  readonly fastDevRun?: boolean | number
  /** Seeds the random numbers of the library (true: with 0), so that two runs are the same. */
  readonly deterministic?: boolean | number
  /** Goes on from the latest checkpoint, if there is one. */
  readonly resume?: CheckpointStore | { readonly store: CheckpointStore; readonly which: 'latest' | 'best' | (string & {}) }
  readonly callbacks?: readonly Callback[]
  /** In place of the trainer's. */
  readonly schedule?: Schedule
  readonly display?: DisplayMode | DisplayOptions
  /** Ends the training behind the batch at which it is aborted, as Ctrl-C does. */
  readonly signal?: AbortSignal
  /** Whether the first Ctrl-C ends the training, and not the program. Default true, where the process has signals. */
  readonly interruptible?: boolean
}

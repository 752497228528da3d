import { CotangentError } from '../../errors.ts'
import type { Callback } from '../callback.ts'
import type { CheckpointStore } from '../checkpoint-store.ts'
import type { Logs } from '../metric-set.ts'
import type { Training } from '../training.ts'

/** When checkpoints are saved: at the end of each epoch and of `fit`, by default. */
export interface ModelCheckpointOptions {
  /** Saves at the end of each so many epochs. Default 1; 0: not at all. */
  readonly everyEpochs?: number
  /** Also behind each so many steps of the optimiser. */
  readonly everySteps?: number
  /** Also when so many minutes have passed since the last one. */
  readonly everyMinutes?: number
  /** Also at the end of `fit`, if steps were taken since the last one: by Ctrl-C, for instance. Default true. */
  readonly atEnd?: boolean
  readonly name?: string
}

/**
 * Saves all of a training, to be gone on with by `fit(data, { resume: store })`. Which checkpoints stay (the last, the best few by a
 * metric, each n-th) is the store's business:
 *
 *     const store = new CheckpointDirectory('runs/1', { keepLast: 2, keepBest: 3, monitor: 'valAccuracy', mode: 'max' })
 *     await trainer.fit(batches, { resume: store, callbacks: [new train.ModelCheckpoint(store)] })
 *
 * The training goes on while a checkpoint is written; errors of writing come up at the next one, or at the end.
 */
export class ModelCheckpoint implements Callback {
  readonly name: string
  readonly last = true
  readonly keeps = true
  readonly store: CheckpointStore
  readonly #options: ModelCheckpointOptions
  #saving: Promise<unknown> | undefined
  #savedStep = -1
  #savedAt = 0
  #metrics: Logs = {}
  #lastName: string | undefined

  /** @throws {CotangentError} `invalid-argument` for numbers that are none of the kind. */
  constructor(store: CheckpointStore, options: ModelCheckpointOptions = {}) {
    this.name = options.name ?? 'ModelCheckpoint'
    this.store = store
    this.#options = options
    for (const [key, least] of [
      ['everyEpochs', 0],
      ['everySteps', 1],
    ] as const) {
      const value = options[key]
      if (value !== undefined && !(Number.isInteger(value) && value >= least)) {
        throw new CotangentError('invalid-argument', {
          op: 'ModelCheckpoint',
          message: `${key} is ${value}`,
          hint: `It must be a whole number of at least ${least}.`,
        })
      }
    }
  }

  /** The name of the last checkpoint that was saved. */
  get lastCheckpoint(): string | undefined {
    return this.#lastName
  }

  onFitStart(training: Training): void {
    this.#savedAt = training.seconds
    this.#savedStep = training.step
  }

  onValidationEnd(_: Training, logs: Logs): void {
    this.#metrics = { ...this.#metrics, ...logs }
  }

  async onStepEnd(training: Training): Promise<void> {
    const { everySteps, everyMinutes } = this.#options
    const due =
      (everySteps !== undefined && training.step % everySteps === 0) ||
      (everyMinutes !== undefined && training.seconds - this.#savedAt >= 60 * everyMinutes)
    if (due) await this.#save(training)
  }

  async onEpochEnd(training: Training, logs: Logs): Promise<void> {
    this.#metrics = { ...this.#metrics, ...logs }
    const { everyEpochs = 1 } = this.#options
    if (everyEpochs > 0 && (training.epoch + 1) % everyEpochs === 0) await this.#save(training)
  }

  async onFitEnd(training: Training): Promise<void> {
    const { atEnd = true } = this.#options
    if (atEnd && training.step > this.#savedStep) await this.#save(training)
    await this.#saving
  }

  async onError(): Promise<void> {
    // The training's own error is the one to hear of.
    await this.#saving?.catch(() => {})
  }

  /** What is saved is the state of now; it is written while the training goes on. */
  async #save(training: Training): Promise<void> {
    await this.#saving
    this.#savedStep = training.step
    this.#savedAt = training.seconds
    const saving = this.store.save(training.parts, { step: training.step, metrics: this.#metrics }).then((name) => {
      this.#lastName = name
    })
    // Whoever awaits it hears of its failure.
    saving.catch(() => {})
    this.#saving = saving
  }
}

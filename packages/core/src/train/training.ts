import type { Compiled } from '../graph/compile.ts'
import type { CheckpointParts } from '../io/checkpoint.ts'
import type { Module } from '../nn/module.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import { History } from './history.ts'
import type { Logs } from './metric-set.ts'
import type { Phase, StepProgram, StepProgramState } from './step-program.ts'

/** How long a training is to be. */
export interface TrainingPlan {
  /** Infinity: until something else ends it. */
  readonly epochs: number
  /** Undefined where the data does not say. */
  readonly batchesPerEpoch: number | undefined
  readonly validationBatches: number | undefined
  /** Steps of the optimiser in all; undefined where that is not known. */
  readonly totalSteps: number | undefined
  readonly validates: boolean
}

/** Where a training is; a part of its checkpoints. */
interface TrainingState {
  readonly epoch: number
  readonly batch: number
  readonly taken: number
  readonly validatedAt: number
  readonly step: number
  readonly samples: number
  readonly epochSamples: number
  readonly seconds: number
  readonly epochSeconds: number
  readonly history: History['epochs']
  readonly program: StepProgramState
}

/** A training that is going on, as callbacks see it. */
export class Training {
  readonly model: Module
  readonly optimizer: Optimizer
  readonly plan: TrainingPlan
  readonly history = new History()
  /** Epochs that are over. */
  epoch = 0
  /** Batches of this epoch so far. */
  batch = 0
  /** Steps of the optimiser so far. */
  step = 0
  /** Batches of this pass through the data so far, which with `batchesPerEpoch` is not the epoch. */
  taken = 0
  /** Examples so far, in this epoch and in all. */
  epochSamples = 0
  samples = 0
  /** Batches that make one step of the optimiser; may be changed between epochs. */
  accumulate: number
  phase: Phase = 'train'
  /** Batches of this epoch behind which the last validation was; -1: there was none. */
  validatedAt = -1
  /** Batches of the validation so far. */
  validationBatch = 0
  /** Why no further batch will be trained on; null: it goes on. */
  stopReason: string | null = null
  /** Whether this epoch has come to its end. */
  epochDone = false
  /** Everything that a checkpoint of this training consists of. */
  parts: CheckpointParts = {}
  readonly #program: StepProgram
  readonly #now: () => number
  #extra: Record<string, number> = {}
  #epochLogs: Record<string, number> | undefined
  #writer: (line: string) => void = () => {}
  #began: number
  #epochBegan: number

  constructor(
    program: StepProgram,
    plan: TrainingPlan,
    { accumulate, now = () => performance.now() }: { accumulate: number; now?: () => number },
  ) {
    this.#program = program
    this.model = program.model
    this.optimizer = program.optimizer
    this.plan = plan
    this.accumulate = accumulate
    this.#now = now
    this.#began = this.#epochBegan = now()
  }

  /** Seconds of training so far, those before it was resumed included. */
  get seconds(): number {
    return (this.#now() - this.#began) / 1000
  }

  /** Seconds of the epoch at hand so far. */
  get epochSeconds(): number {
    return (this.#now() - this.#epochBegan) / 1000
  }

  /** The share of the training that is done, from 0 to 1; undefined where its length is not known. */
  get progress(): number | undefined {
    const { epochs, batchesPerEpoch, totalSteps } = this.plan
    if (totalSteps !== undefined && (epochs === Number.POSITIVE_INFINITY || batchesPerEpoch === undefined))
      return Math.min(1, this.step / totalSteps)
    if (epochs === Number.POSITIVE_INFINITY || !batchesPerEpoch) return undefined
    const inEpoch = this.epochDone ? 1 : Math.min(1, this.batch / batchesPerEpoch)
    return Math.min(1, (this.epoch + inEpoch) / epochs)
  }

  /** The loss of the last batch; waits for the engine. */
  loss(): Promise<number> {
    return this.#program.lastLoss()
  }

  /** Losses and metrics of the epoch so far, or, during a validation, of that; waits for the engine. */
  logs(): Promise<Logs> {
    return this.#program.logs(this.phase)
  }

  /** The compiled step, of which the last program counts; it has none before the first step, or where nothing is compiled. */
  get trainStep(): Compiled<(...args: never[]) => unknown> {
    return this.#program.trainStep
  }

  /** Adds a number to the logs of this epoch; at its end, callbacks that come later see it there. */
  log(name: string, value: number): void {
    this.#extra[name] = value
    if (this.#epochLogs) this.#epochLogs[name] = value
  }

  /** Numbers that were added to the logs of this epoch. */
  get extraLogs(): Logs {
    return this.#extra
  }

  /** Begins the end of an epoch: its logs, to which callbacks may add. */
  collect(logs: Logs): Logs {
    this.#epochLogs = { ...logs, ...this.#extra }
    return this.#epochLogs
  }

  /** Ends the training behind this batch. The first reason counts. */
  stop(reason: string): void {
    this.stopReason ??= reason
  }

  /** Shows a line, above the display if there is one. */
  write(line: string): void {
    this.#writer(line)
  }

  /** Where lines go. */
  set writer(writer: (line: string) => void) {
    this.#writer = writer
  }

  /** What is saved from now on is the beginning of the next epoch. */
  endEpoch(): void {
    this.epoch++
    this.batch = 0
    this.validatedAt = -1
    this.epochSamples = 0
    this.epochDone = false
  }

  /** Starts an epoch: batches and samples count from 0 again. */
  beginEpoch(): void {
    this.batch = 0
    this.validatedAt = -1
    this.epochSamples = 0
    this.epochDone = false
    this.#extra = {}
    this.#epochLogs = undefined
    this.#epochBegan = this.#now()
  }

  stateDict(): TrainingState {
    const { epochDone } = this
    return {
      epoch: this.epoch + (epochDone ? 1 : 0),
      batch: epochDone ? 0 : this.batch,
      taken: this.taken,
      validatedAt: epochDone ? -1 : this.validatedAt,
      step: this.step,
      samples: this.samples,
      epochSamples: epochDone ? 0 : this.epochSamples,
      seconds: this.seconds,
      epochSeconds: epochDone ? 0 : this.epochSeconds,
      history: this.history.stateDict(),
      program: this.#program.stateDict(),
    }
  }

  loadStateDict({ history, program, seconds, epochSeconds, ...counts }: TrainingState): void {
    const { epoch, batch, taken = batch, validatedAt = batch, step, samples, epochSamples } = counts
    Object.assign(this, { epoch, batch, taken, validatedAt, step, samples, epochSamples })
    this.history.loadStateDict(history)
    this.#program.loadStateDict(program)
    this.#began = this.#now() - 1000 * seconds
    this.#epochBegan = this.#now() - 1000 * epochSeconds
  }
}

import { shown } from '../data/check.ts'
import { CotangentError } from '../errors.ts'
import type { CheckpointParts } from '../io/checkpoint.ts'
import type { Module } from '../nn/module.ts'
import { defaultGenerator, manualSeed } from '../tensor/generator.ts'
import { BatchSource } from './batch-source.ts'
import { batchSizeOf } from './batch.ts'
import type { BatchData } from './batch.ts'
import { type Callback, Callbacks } from './callback.ts'
import type { FitOptions } from './fit-options.ts'
import type { History } from './history.ts'
import { interruption } from './interruption.ts'
import { evaluationName, type Logs } from './metric-set.ts'
import { neverEnds } from './never-ends.ts'
import type { StepProgram } from './step-program.ts'
import { Training } from './training.ts'

/** How a training went: what `fit` resolves to. It is there too where the training was interrupted or stopped early. */
export interface FitResult {
  readonly history: History
  /** Losses and metrics of the last epoch. */
  readonly logs: Logs
  /** `finished`, `maxSteps`, `maxTime`, `interrupted`, or what a callback said. */
  readonly stopReason: string
  readonly epochs: number
  readonly steps: number
  readonly seconds: number
}

interface FitPlan {
  readonly program: StepProgram
  readonly data: BatchData
  readonly validation: BatchData | undefined
  readonly callbacks: readonly Callback[]
  readonly accumulate: number
  readonly parts: CheckpointParts
  readonly options: FitOptions
}

/** One `fit`: epochs of batches, validations between them, and callbacks beside them. */
export class FitLoop {
  readonly training: Training
  readonly #plan: FitPlan
  readonly #source: BatchSource
  readonly #validation: BatchSource | undefined
  readonly #callbacks: Callbacks
  readonly #limit: number
  readonly #validationLimit: number
  readonly #validateEveryBatches: number
  readonly #deadline: number
  readonly #interruption: ReturnType<typeof interruption>
  /** Passes without a batch, one after the other. */
  #emptyPasses = 0
  /** Batches since the last step of the optimiser. */
  #pending = 0
  /** Whether the next epoch goes on where a checkpoint was made. */
  #resumed = false

  constructor(plan: FitPlan) {
    this.#plan = plan
    const { program, data, validation, accumulate, options } = plan
    const { limitBatches: limits = {}, batchesPerEpoch, maxSteps, maxTime, validateEvery } = options
    const limitBatches = typeof limits === 'number' ? { train: limits, validation: limits } : limits
    this.#source = new BatchSource(data)
    this.#validation = validation && limitBatches.validation !== 0 ? new BatchSource(validation) : undefined
    this.#limit = Math.min(batchesPerEpoch ?? Infinity, countOf('limitBatches.train', limitBatches.train, this.#source.length))
    this.#validationLimit = countOf('limitBatches.validation', limitBatches.validation, this.#validation?.length)
    const batches = smaller(this.#limit, batchesPerEpoch === undefined ? this.#source.length : undefined)
    this.#validateEveryBatches = countOf('validateEvery.batches', validateEvery?.batches, batches)
    if (batchesPerEpoch !== undefined) wholeNumber('batchesPerEpoch', batchesPerEpoch, 1)
    if (this.#limit === 0)
      throw refused('limitBatches.train is 0', 'An epoch needs a batch at least; trainer.evaluate(data) only validates.')
    if (maxSteps !== undefined) wholeNumber('maxSteps', maxSteps, 0)
    if (maxTime !== undefined && !(typeof maxTime === 'number' && maxTime >= 0))
      throw refused(`maxTime is ${maxTime}`, 'It is a number of seconds.')
    for (const [name, value] of Object.entries(validateEvery ?? {}))
      if (value !== undefined && !(value > 0)) throw refused(`validateEvery.${name} is ${value}`, 'It must be above 0.')
    if (validateEvery?.epochs !== undefined) wholeNumber('validateEvery.epochs', validateEvery.epochs, 1)
    const endless = maxSteps !== undefined || maxTime !== undefined
    if (!endless && this.#source.isEndless && this.#limit === Infinity)
      throw neverEnds('fit', 'the data never end, and so no epoch would', 'batchesPerEpoch')
    if (this.#validation?.isEndless && this.#validationLimit === Infinity)
      throw neverEnds('fit', 'the validation data never end', 'limitBatches: { validation }')
    const epochs = wholeNumber('epochs', options.epochs ?? (endless ? Infinity : 1), 0)
    const perEpoch = batches === undefined ? undefined : Math.ceil(batches / accumulate)
    const known = perEpoch === undefined || epochs === Infinity ? undefined : perEpoch * epochs
    this.training = new Training(
      program,
      {
        epochs,
        batchesPerEpoch: batches,
        validationBatches: this.#validation && smaller(this.#validationLimit, this.#validation.length),
        totalSteps: smaller(maxSteps ?? Infinity, known),
        validates: this.#validation !== undefined,
      },
      { accumulate },
    )
    this.#deadline = maxTime ?? Infinity
    this.#callbacks = new Callbacks(this.training, plan.callbacks)
    this.#interruption = interruption(options)
  }

  async run(): Promise<FitResult> {
    const { program } = this.#plan
    if (!program.model.training) program.model.train()
    this.training.parts = this.#parts()
    try {
      await this.#begin()
      await this.#callbacks.call('onFitStart')
      const { plan } = this.training
      while (this.training.epoch < plan.epochs && !this.#shouldStop()) await this.#epoch()
      this.training.stop('finished')
      await this.#callbacks.call('onFitEnd')
      await this.#callbacks.call('afterFit')
      return this.#result()
    } catch (error) {
      await this.#callbacks.call('onError', error)
      throw error
    } finally {
      this.#interruption.end()
      await Promise.all([this.#source.close(), this.#validation?.close()])
    }
  }

  /** What a checkpoint of this training consists of. */
  #parts(): CheckpointParts {
    const { program, parts } = this.#plan
    const data = this.#source.stateful
    return {
      model: program.model,
      optimizer: program.optimizer,
      ...(program.scaler && { scaler: program.scaler }),
      ...parts,
      random: defaultGenerator,
      ...(data && { data }),
      callbacks: this.#callbacks,
      training: this.training,
    }
  }

  async #begin(): Promise<void> {
    const { deterministic, resume } = this.#plan.options
    this.#plan.program.reset('train')
    if (deterministic !== undefined && deterministic !== false) manualSeed(Number(deterministic === true ? 0 : deterministic))
    // A dataset draws its seed when that is first needed: now, so that whoever resumes draws as many random numbers as who went on.
    this.#validation?.stateful?.stateDict()
    if (!resume) return
    const { store, which } = 'store' in resume ? resume : { store: resume, which: 'latest' }
    const found = await store.restore(this.training.parts, which)
    if (!found) return
    this.#resumed = this.training.batch > 0
    // Data that cannot say where it is goes there again.
    if (!this.#source.stateful) for (let i = 0; i < this.training.taken; i++) if ((await this.#source.next()) === undefined) break
  }

  async #epoch(): Promise<void> {
    const { training } = this
    const { program } = this.#plan
    if (!this.#resumed) {
      training.beginEpoch()
      program.reset('train')
    }
    this.#resumed = false
    await this.#callbacks.call('onEpochStart')
    const complete = await this.#batches()
    // Stopped before its first batch: an epoch of which there is nothing to tell.
    if (!complete && training.batch === 0) return
    if (this.#pending > 0) await this.#finishStep()
    const { stopReason } = training
    if (stopReason === 'interrupted' || stopReason === 'maxTime') return this.#remember(await training.logs())
    const logs = await training.logs()
    const { epochs: every = 1 } = this.#plan.options.validateEvery ?? {}
    const due = (training.epoch + 1) % every === 0 || training.epoch + 1 === training.plan.epochs
    const finished = !this.#validation || !due || training.validatedAt === training.batch || (await this.#validate())
    const all = training.collect(logs)
    this.#remember(all)
    // Who goes on from here validates then.
    if (!finished) return training.stop('interrupted')
    training.epochDone = complete
    await this.#callbacks.call('onEpochEnd', all)
    if (complete) training.endEpoch()
  }

  #remember(logs: Logs): void {
    const { training } = this
    training.history.push({ epoch: training.epoch + 1, step: training.step, seconds: training.epochSeconds, logs })
  }

  /** @returns Whether the epoch has come to its end. */
  async #batches(): Promise<boolean> {
    const { training } = this
    const callbacks = this.#callbacks
    const { program } = this.#plan
    const starts = callbacks.has('onBatchStart')
    const ends = callbacks.has('onBatchEnd')
    const steps = callbacks.has('onStepEnd')
    // One that goes on from a checkpoint may have come to this without.
    if (training.batch > 0 && this.#validationIsDue) await this.#validate()
    while (training.batch < this.#limit) {
      // Batches that make one step stay together, so that who goes on does what would have been done.
      if (this.#pending === 0 && this.#shouldStop()) return false
      const next = this.#source.next()
      const batch = next instanceof Promise ? await next : next
      if (batch === undefined) {
        if (this.#endOfData()) return true
        continue
      }
      training.taken++
      if (starts) await callbacks.call('onBatchStart', batch)
      const first = this.#pending === 0
      const size = batchSizeOf(batch)
      this.#pending++
      const last = training.batch + 1 === training.plan.batchesPerEpoch
      const makesStep = this.#pending >= training.accumulate || last
      program.train(batch, { first, ends: makesStep ? this.#pending : 0 })
      training.batch++
      training.epochSamples += size
      training.samples += size
      if (makesStep) {
        this.#pending = 0
        training.step++
      }
      if (ends) await callbacks.call('onBatchEnd')
      if (makesStep && steps) await callbacks.call('onStepEnd')
      if (this.#validationIsDue) await this.#validate()
    }
    // With batchesPerEpoch the next epoch goes on in the same pass.
    if (this.#limit !== this.#plan.options.batchesPerEpoch) {
      training.taken = 0
      await this.#source.end()
    }
    return true
  }

  get #validationIsDue(): boolean {
    const { batch, validatedAt } = this.training
    return this.#validation !== undefined && batch % this.#validateEveryBatches === 0 && batch !== validatedAt && !this.#shouldStop()
  }

  /** A pass is over. @returns Whether the epoch is, too. */
  #endOfData(): boolean {
    const { training } = this
    const empty = training.taken === 0
    training.taken = 0
    if (empty && (training.step === 0 || (training.batch === 0 && this.#plan.options.batchesPerEpoch === undefined))) throw noBatches()
    if (this.#plan.options.batchesPerEpoch === undefined) return true
    // One that goes on from a checkpoint may be at the end of a pass.
    this.#emptyPasses = empty ? this.#emptyPasses + 1 : 0
    if (this.#emptyPasses < 2) return false
    if (training.batch === 0) throw noBatches()
    return true
  }

  async #finishStep(): Promise<void> {
    this.#plan.program.update(this.#pending)
    this.#pending = 0
    this.training.step++
    await this.#callbacks.call('onStepEnd')
  }

  #shouldStop(): boolean {
    const { training } = this
    const { maxSteps = Infinity } = this.#plan.options
    if (this.#interruption.happened) training.stop('interrupted')
    else if (training.step >= maxSteps) training.stop('maxSteps')
    else if (this.#deadline !== Infinity && training.seconds >= this.#deadline) training.stop('maxTime')
    return training.stopReason !== null
  }

  /** @returns Whether it went to the end. */
  async #validate(): Promise<boolean> {
    const { training } = this
    const { program } = this.#plan
    // Metrics are shared with the training, which goes on with what they held.
    const held = program.stateDict()
    training.phase = 'evaluate'
    const logs: Record<string, number> = {}
    let finished = false
    await this.#callbacks.aroundValidation(async () => {
      await this.#callbacks.call('onValidationStart')
      finished = await evaluateAll(program, this.#validation!, {
        limit: this.#validationLimit,
        onBatch: (count) => {
          training.validationBatch = count
          return this.#callbacks.has('onValidationBatchEnd') ? this.#callbacks.call('onValidationBatchEnd') : undefined
        },
        stopped: () => this.#interruption.happened,
      })
      if (finished) for (const [name, value] of Object.entries(await program.logs('evaluate'))) logs[evaluationName(name)] = value
      program.loadStateDict(held)
      training.phase = 'train'
      for (const [name, value] of Object.entries(logs)) training.log(name, value)
      if (!finished) return
      training.validatedAt = training.batch
      // The model still has the weights that these are the values of.
      await this.#callbacks.call('onValidationEnd', logs)
    })
    return finished
  }

  #result(): FitResult {
    const { history, epoch, step, seconds, stopReason } = this.training
    return { history, logs: history.last, stopReason: stopReason!, epochs: epoch, steps: step, seconds }
  }
}

interface EvaluateAllOptions {
  readonly limit: number
  readonly onBatch?: (count: number) => void | Promise<void>
  readonly stopped?: () => boolean
}

/** Takes all batches into loss and metrics, with the model set to use. @returns Whether it went to the end. */
export async function evaluateAll(
  program: StepProgram,
  source: BatchSource,
  { limit, onBatch, stopped }: EvaluateAllOptions,
): Promise<boolean> {
  program.reset('evaluate')
  return inUse(program.model, async () => {
    for (let count = 1; count <= limit; count++) {
      if (stopped?.()) return false
      const batch = await source.next()
      if (batch === undefined) {
        if (count === 1) throw noBatches()
        return true
      }
      program.evaluate(batch)
      await onBatch?.(count)
    }
    await source.close()
    return true
  })
}

/** Runs `body` with the model set to use (`eval`), and sets each of its parts back to what it was. */
export async function inUse<T>(model: Module, body: () => Promise<T>): Promise<T> {
  const before = model.modules().map((module) => [module, module.training] as const)
  model.eval()
  try {
    return await body()
  } finally {
    for (const [module, training] of before) module.training = training
  }
}

const noBatches = () =>
  refused(
    'there are no batches in the data',
    'Iterators give theirs only once: pass what gives a new one each time, or an array. Data shorter than one batch have none with dropLast.',
  )

/** A number of batches, or a share of them. */
export function countOf(name: string, value: number | undefined, length: number | undefined): number {
  if (value === undefined) return Infinity
  if (value >= 1 || value === 0) return wholeNumber(name, value, 0)
  if (!(value > 0)) throw refused(`${name} is ${value}`, 'It is a number of batches, or a share below 1.')
  if (length === undefined) throw refused(`${name} is a share of data whose length is not known`, 'Give a number of batches.')
  return Math.max(1, Math.floor(value * length))
}

export function wholeNumber(name: string, value: number, least: number): number {
  if (value === Infinity || (Number.isInteger(value) && value >= least)) return value
  throw refused(`${name} is ${shown(value)}`, `It must be a whole number of at least ${least}.`)
}

const smaller = (limit: number, length: number | undefined): number | undefined => {
  if (limit === Infinity) return length
  return length === undefined ? limit : Math.min(limit, length)
}

const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'fit', message, hint })

import { CotangentError } from '../errors.ts'
import { Module } from '../nn/module.ts'
import { concat } from '../op/index.ts'
import { Optimizer } from '../optim/optimizer.ts'
import { Tensor } from '../tensor/tensor.ts'
import { leavesOf, mapTree } from '../tree.ts'
import { BatchSource } from './batch-source.ts'
import { type BatchData, isTensor, readInputs } from './batch.ts'
import { type Callback, checkCallbacks } from './callback.ts'
import { scheduleCallbacks } from './callbacks/learning-rate-schedule.ts'
import { displayOf } from './display.ts'
import { countOf, evaluateAll, FitLoop, type FitResult, inUse, wholeNumber } from './fit-loop.ts'
import type { FitOptions } from './fit-options.ts'
import { interruption } from './interruption.ts'
import type { Logs } from './metric-set.ts'
import { neverEnds } from './never-ends.ts'
import { checkTrainingOptions, fitOptionNames, trainerOptionNames } from './option-names.ts'
import { StepProgram } from './step-program.ts'
import { isTensorData, rowsOf, splitRows, tensorBatches, type TensorData } from './tensor-data.ts'
import { precisions, type TrainerOptions } from './trainer-options.ts'

/** How data are gone over for an evaluation. */
export interface EvaluateOptions {
  /** Where the data are tensors: rows a batch. Default 32. */
  readonly batchSize?: number
  /** Only the first so many batches; below 1, a share of them. */
  readonly limitBatches?: number
  readonly signal?: AbortSignal
}

/** How data are gone over for predictions. */
export interface PredictOptions {
  /** Rows a batch, where the data are tensors. Default 32. */
  readonly batchSize?: number
  readonly limitBatches?: number
}

/**
 * Trains, evaluates and uses a model. Steps are compiled whole: forward pass, gradients, clipping, update, loss and metrics.
 *
 *     const trainer = new train.Trainer(model, {
 *       optimizer: new optim.AdamW(model, { lr: 1e-3 }),
 *       loss: crossEntropy,
 *       metrics: [new train.metrics.Accuracy({ classes: 10 })],
 *     })
 *     const { history } = await trainer.fit(batches, { epochs: 5, validation })
 *     const { accuracy } = await trainer.evaluate(test)
 *     const logits = await trainer.predict(images)
 *
 * Batches are `[inputs, targets, weights?]` or objects (see `batch`); inputs, outputs and targets may be trees of tensors. Steps know
 * which parameters are frozen, but not what else is changed in the model between calls: `clear()` has them compiled anew.
 */
export class Trainer<O = Tensor, T = Tensor> {
  readonly model: Module
  readonly options: TrainerOptions<O, T>
  /** The compiled steps, which `lrFind` and the like take by themselves. */
  readonly program: StepProgram
  #isFitting = false

  /** @throws {CotangentError} `invalid-argument` for options that are none, or contradict each other. */
  constructor(model: Module, options: TrainerOptions<O, T> = {}) {
    if (!(model instanceof Module))
      throw refused('Trainer', 'the model is no module', 'Use nn.sequential(...), or a class that extends nn.Module.')
    checkOptions(options as TrainerOptions<never, never>)
    this.model = model
    this.options = options
    this.program = new StepProgram(model, options as unknown as TrainerOptions<never, never>)
  }

  /** @throws {CotangentError} `invalid-argument` where there is none. */
  get optimizer(): Optimizer {
    return this.program.optimizer
  }

  /**
   * Trains the model on the data, epoch by epoch. Ctrl-C, or the `signal`, ends it behind the batch at hand, as an ordinary end.
   *
   * @param data Batches: a Dataset, an array, anything that can be gone through again and again; or tensors of the same first size, by
   *   name, which are cut into shuffled batches.
   * @throws {CotangentError} `invalid-argument` for options or data that are none; what the model, the data or a callback throws.
   */
  async fit(data: BatchData | TensorData, options: FitOptions = {}): Promise<FitResult> {
    if (this.#isFitting)
      throw refused('fit', 'this trainer is training already', 'Await the fit before; another model takes a trainer of its own.')
    this.#isFitting = true
    try {
      return await this.#fit(data, options)
    } finally {
      this.#isFitting = false
    }
  }

  /**
   * Loss and metrics of the model on data, with the model set to use. Tables, such as a confusion matrix, are left in the metrics
   * themselves; but a training that goes on meanwhile, if a callback calls this, gets its own back.
   *
   * @throws {CotangentError} as `fit`.
   */
  async evaluate(data: BatchData | TensorData, { batchSize = 32, limitBatches, signal }: EvaluateOptions = {}): Promise<Logs> {
    const source = new BatchSource(isTensorData(data) ? tensorBatches(data, batchSize, { shuffle: false }) : data)
    const limit = countOf('limitBatches', limitBatches, source.length)
    if (source.isEndless && limit === Infinity) throw neverEnds('evaluate', 'the data never end', 'limitBatches')
    const stop = interruption({ ...(signal && { signal }), interruptible: false })
    const held = this.#isFitting ? this.program.stateDict() : undefined
    try {
      await evaluateAll(this.program, source, { limit, stopped: () => stop.happened })
      return await this.program.logs('evaluate')
    } finally {
      if (held) this.program.loadStateDict(held)
      await source.close()
    }
  }

  /**
   * The outputs of the model for all inputs, put together along the first axis.
   *
   * @param data A tensor of inputs, or batches or tensors by name, as for `fit`; targets are left alone and may be missing.
   */
  async predict(data: BatchData | TensorData | Tensor, { batchSize = 32, limitBatches }: PredictOptions = {}): Promise<O> {
    const batches = data instanceof Tensor ? rowsOf(data, batchSize) : data
    const source = new BatchSource(isTensorData(batches) ? tensorBatches(batches, batchSize, { shuffle: false }) : batches)
    const limit = countOf('limitBatches', limitBatches, source.length)
    if (source.isEndless && limit === Infinity) throw neverEnds('predict', 'the data never end', 'limitBatches')
    const outputs: unknown[] = []
    await inUse(this.model, async () => {
      while (outputs.length < limit) {
        const batch = await source.next()
        if (batch === undefined) break
        outputs.push(this.program.predict(readInputs(batch, this.options.batch)))
      }
    }).finally(() => source.close())
    if (outputs.length === 0) throw refused('predict', 'there are no batches to predict for', 'Pass a tensor of inputs, or batches.')
    return together(outputs) as O
  }

  /** Has the steps compiled anew, for instance after a layer was replaced by another one. */
  clear(): void {
    this.program.clear()
  }

  async #fit(data: BatchData | TensorData, options: FitOptions): Promise<FitResult> {
    checkTrainingOptions('fit', options, fitOptionNames)
    this.#checkParameters()
    const own = checkCallbacks(options.callbacks)
    const sets = await this.#dataOf(data, options)
    const { callbacks, schedule, display, parts = {}, accumulate = 1 } = this.options
    const dev = Boolean(options.fastDevRun)
    const given: Callback[] = [...scheduleCallbacks(options.schedule ?? schedule), ...(callbacks ?? []), ...own]
    const chosen = given.filter(({ keeps }) => !(dev && keeps))
    const loop = new FitLoop({
      program: this.program,
      ...sets,
      callbacks: [...chosen, ...displayOf(options.display ?? display)],
      accumulate,
      parts,
      options: dev ? devRun(options) : options,
    })
    return loop.run()
  }

  /** An optimiser of another model would train nothing. */
  #checkParameters(): void {
    const { trainStep, forward } = this.options
    if (trainStep || forward) return
    const own = new Set<Tensor>(this.model.parameters())
    if (own.size === 0 || this.optimizer.params.some((param) => own.has(param))) return
    throw refused('fit', 'the optimizer has none of the parameters of the model', 'Make it of this model: new optim.AdamW(model).')
  }

  async #dataOf(data: BatchData | TensorData, options: FitOptions): Promise<{ data: BatchData; validation: BatchData | undefined }> {
    const { batchSize = 32, shuffle = true, validationSplit, overfitBatches } = options
    let { validation } = options
    if (options.batchSize !== undefined && !isTensorData(data) && !isTensorData(validation))
      throw refused(
        'fit',
        'batchSize goes with data that are tensors',
        'These data come in batches already: set their size where they are made, dataset.batch(32).',
      )
    let training = data
    if (validationSplit !== undefined) {
      if (!isTensorData(data))
        throw refused('fit', 'validationSplit needs data that are tensors', 'Split the data before, and pass { validation }.')
      if (validation) throw refused('fit', 'there are both validation and validationSplit', 'Use one of them.')
      ;[training, validation] = splitRows(data, validationSplit)
    }
    const batched: BatchData = isTensorData(training) ? tensorBatches(training, batchSize, { shuffle }) : (training as BatchData)
    if (overfitBatches) {
      const few = await firstOf(batched, overfitBatches)
      return { data: few, validation: validation && few }
    }
    return {
      data: batched,
      validation:
        validation && (isTensorData(validation) ? tensorBatches(validation, batchSize, { shuffle: false }) : (validation as BatchData)),
    }
  }
}

function checkOptions(options: TrainerOptions<never, never>): void {
  checkTrainingOptions('Trainer', options, trainerOptionNames)
  checkCallbacks(options.callbacks)
  const { accumulate, optimization, trainStep, classWeights, optimizer, precision = 'float32' } = options
  if (optimizer !== undefined && !(optimizer instanceof Optimizer))
    throw refused(
      'Trainer',
      `the optimizer is ${typeof optimizer}`,
      'Pass one of optim: new optim.AdamW(model). Names are for models of keras.',
    )
  if (!precisions.includes(precision))
    throw refused('Trainer', `precision is ${String(precision)}`, `It is one of ${precisions.join(', ')}.`)
  if (accumulate !== undefined && wholeNumber('accumulate', accumulate, 1) === Infinity)
    throw refused('Trainer', 'accumulate is Infinity', 'It is a number of batches.')
  if (optimization === 'manual' && !trainStep)
    throw refused('Trainer', "optimization is 'manual', but there is no trainStep", 'Give { trainStep } that steps the optimisers.')
  if (classWeights && trainStep)
    throw refused('Trainer', 'classWeights go with a loss, not with a trainStep', 'Weigh the loss in the trainStep.')
}

function devRun(options: FitOptions): FitOptions {
  const count = options.fastDevRun === true ? 1 : Number(options.fastDevRun)
  const { resume: _, maxSteps: __, batchesPerEpoch: ___, validateEvery: ____, ...rest } = options
  return { ...rest, epochs: 1, limitBatches: { train: count, validation: count } }
}

async function firstOf(data: BatchData, count: number): Promise<unknown[]> {
  const source = new BatchSource(data)
  const limit = countOf('overfitBatches', count, source.length)
  const batches: unknown[] = []
  while (batches.length < limit) {
    const batch = await source.next()
    if (batch === undefined) break
    batches.push(batch)
  }
  await source.close()
  return batches
}

/** Trees of one structure -> one, whose leaves are put together. */
function together(trees: readonly unknown[]): unknown {
  if (trees.length === 1) return trees[0]
  const columns = trees.map((tree) => leavesOf(tree, isTensor))
  let next = 0
  return mapTree(trees[0], isTensor, () => {
    const i = next++
    return concat(columns.map((column) => column[i]!))
  })
}

const refused = (op: string, message: string, hint: string) => new CotangentError('invalid-argument', { op, message, hint })

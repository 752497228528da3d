import { CotangentError } from '../errors.ts'
import { compile, type Compiled } from '../graph/compile.ts'
import type { Module } from '../nn/module.ts'
import { full } from '../op/index.ts'
import { clipGradNorm, clipGradValue, replaceGradient } from '../optim/clip.ts'
import { GradScaler } from '../optim/grad-scaler.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import { autocast } from '../tensor/autocast.ts'
import { noGrad, withModes } from '../tensor/modes.ts'
import { keep } from '../tensor/scope.ts'
import { Tensor } from '../tensor/tensor.ts'
import { mapTree } from '../tree.ts'
import { type Batch, batchSizeOf, isTensor, readBatch } from './batch.ts'
import { callForward } from './call-forward.ts'
import { classWeigher, type LossOf, lossTerms } from './loss-terms.ts'
import { type Logs, MetricSet } from './metric-set.ts'
import { Mean } from './metrics/mean.ts'
import type { StepResult, TrainerOptions } from './trainer-options.ts'

type AnyOptions = TrainerOptions<never, never>

/** The step of the trainer itself says how much its loss counts; others count by their examples. */
type AnyResult = StepResult & { readonly lossWeight?: Tensor }

/** What a step leaves for metrics that are no part of it. */
interface Left {
  readonly outputs: unknown
  readonly targets: unknown
  readonly weights: Tensor | undefined
}

export type Phase = 'train' | 'evaluate'

/** Where a batch stands among those that make one step of the optimiser. */
interface Accumulation {
  readonly first: boolean
  /** Batches that the optimiser's step behind this one is made of; 0: there is none yet. */
  readonly ends: number
}

export interface StepProgramState {
  readonly means: Readonly<Record<string, unknown>>
  readonly metrics: Readonly<Record<string, unknown>>
}

/**
 * The steps of a training as compiled programs, which also keep the books: the mean loss and the metrics are tensors that a step
 * changes in place, so that nothing is read until somebody asks.
 */
export class StepProgram {
  readonly model: Module
  readonly metrics: MetricSet
  readonly scaler: GradScaler | undefined
  readonly #options: AnyOptions
  readonly #loss: LossOf | undefined
  readonly #classWeights: ((targets: unknown) => Tensor) | undefined
  readonly #means: Readonly<Record<Phase, Map<string, Mean>>> = { train: new Map(), evaluate: new Map() }
  readonly #lastLoss: Tensor = outside(() => keep(full([], Number.NaN)))
  /** A step of the training as compiled; has no program before the first. */
  get trainStep(): Compiled<(...args: never[]) => unknown> {
    return this.#train
  }

  readonly #train: Compiled<(batch: unknown, at: Accumulation) => Left | null>
  readonly #evaluate: Compiled<(batch: unknown) => Left | null>
  readonly #update: Compiled<(ends: number) => null>
  readonly #forward: Compiled<(inputs: unknown) => unknown>

  constructor(model: Module, options: AnyOptions) {
    this.model = model
    this.#options = options
    this.metrics = new MetricSet(options.metrics)
    this.#loss = options.loss && lossTerms(options.loss, options.lossWeights)
    this.#classWeights = options.classWeights && classWeigher(options.classWeights)
    if (options.precision === 'float16') this.scaler = new GradScaler(options.scaler)
    const compiled = <F extends (...args: never[]) => unknown>(f: F): Compiled<F> =>
      options.compile === false ? compile(f, { debug: true }) : compile(f, options.compile === true ? {} : options.compile)
    this.#train = compiled((batch: unknown, at: Accumulation) => this.#trainStep(batch, at))
    this.#evaluate = compiled((batch: unknown) => this.#evalStep(batch))
    this.#update = compiled((ends: number) => this.#optimize(ends))
    this.#forward = compiled((inputs: unknown) => this.#inPrecision(() => this.#outputs(inputs)))
  }

  /** @throws {CotangentError} `invalid-argument` without an optimiser. */
  get optimizer(): Optimizer {
    const { optimizer } = this.#options
    if (!optimizer) throw refused('there is no optimizer', 'Make the trainer with { optimizer: new optim.AdamW(model) }.')
    return optimizer
  }

  /** Trains on a batch. */
  train(batch: unknown, at: Accumulation): void {
    this.#updateMetrics(this.#train(this.#argument(batch, this.#options.trainStep), at))
  }

  /** Takes the step of batches that were gone through before. */
  update(ends: number): void {
    this.#update(ends)
  }

  /** Takes a batch into loss and metrics. */
  evaluate(batch: unknown): void {
    const { evalStep, trainStep } = this.#options
    this.#updateMetrics(noGrad(() => this.#evaluate(this.#argument(batch, evalStep ?? trainStep))))
  }

  predict(inputs: unknown): unknown {
    return noGrad(() => this.#forward(inputs))
  }

  /** The loss of the last batch: waits for the engine. */
  async lastLoss(): Promise<number> {
    return (await this.#lastLoss.data())[0] as number
  }

  /** Losses and metrics since the last `reset`. */
  async logs(phase: Phase): Promise<Logs> {
    const means = await Promise.all([...this.#means[phase]].map(async ([name, mean]) => [name, await mean.compute()] as const))
    // The loss comes first, whatever was recorded before it.
    means.sort(([a], [b]) => Number(b === 'loss') - Number(a === 'loss'))
    return { ...Object.fromEntries(means), ...(await this.metrics.compute()) }
  }

  reset(phase: Phase): void {
    for (const mean of this.#means[phase].values()) mean.reset()
    this.metrics.reset()
  }

  /** What the logs of training follow from, as copies. */
  stateDict(): StepProgramState {
    const means = Object.fromEntries([...this.#means.train].map(([name, mean]) => [name, mean.stateDict()]))
    return mapTree({ means, metrics: this.metrics.stateDict() }, isTensor, (x) => x.clone()) as StepProgramState
  }

  loadStateDict({ means, metrics }: StepProgramState): void {
    for (const [name, state] of Object.entries(means)) this.#mean('train', name).loadStateDict(state as never)
    this.metrics.loadStateDict(metrics)
  }

  /** Forgets the programs, after something was changed that they do not watch. */
  clear(): void {
    for (const program of [this.#train, this.#evaluate, this.#update, this.#forward]) program.clear()
  }

  #argument(batch: unknown, step: unknown): unknown {
    return step ? batch : readBatch(batch, this.#options.batch)
  }

  #trainStep(batch: unknown, { first, ends }: Accumulation): Left | null {
    const { trainStep, optimization } = this.#options
    const size = batchSizeOf(batch)
    if (optimization === 'manual')
      return this.#account(
        'train',
        this.#inPrecision(() => resultOf(trainStep!(batch as never))),
        size,
      )
    const { optimizer } = this
    if (first) optimizer.zeroGrad()
    const result = this.#inPrecision(() =>
      trainStep ? resultOf(trainStep(batch as never)) : this.#ownStep(batch as Batch, { training: true }),
    )
    const { loss } = result
    if (loss.rank > 0) throw refused(`the loss has the shape [${loss.shape.join(', ')}]`, 'Return one number: loss.mean().')
    const scaled = this.scaler ? this.scaler.scale(loss) : loss
    scaled.backward()
    if (ends > 0) this.#optimize(ends)
    return this.#account('train', result, size)
  }

  #evalStep(batch: unknown): Left | null {
    const step = this.#options.evalStep ?? this.#options.trainStep
    const result = this.#inPrecision(() => (step ? resultOf(step(batch as never)) : this.#ownStep(batch as Batch, { training: false })))
    return this.#account('evaluate', result, batchSizeOf(batch))
  }

  #ownStep({ inputs, targets, weights }: Batch, { training }: { readonly training: boolean }): AnyResult {
    if (!this.#loss) throw refused('there is no loss', 'Make the trainer with { loss: crossEntropy }, or a trainStep.')
    const outputs = this.#outputs(inputs)
    const byClass = training ? this.#classWeights?.(targets) : undefined
    const both = weights && byClass ? byClass.mul(weights) : (byClass ?? weights)
    const { total, parts } = this.#loss(outputs, targets, both)
    const logs = Object.fromEntries(Object.entries(parts).map(([name, part]) => [`${name}Loss`, part]))
    return { loss: total, outputs, targets, ...(weights && { weights }), logs, ...(both && { lossWeight: both.sum() }) }
  }

  #outputs(inputs: unknown): unknown {
    const { forward } = this.#options
    if (forward) return forward(inputs as never)
    return callForward(this.model, inputs)
  }

  #optimize(ends: number): null {
    const { clipNorm, clipValue } = this.#options
    const { optimizer, scaler } = this
    scaler?.unscale(optimizer)
    if (ends > 1)
      for (const param of optimizer.params)
        if (param.grad)
          replaceGradient(
            param,
            noGrad(() => param.grad!.mul(1 / ends)),
          )
    if (clipValue !== undefined) clipGradValue(optimizer.params, clipValue)
    if (clipNorm !== undefined) this.#record('train', 'gradNorm', clipGradNorm(optimizer.params, clipNorm), 1)
    if (scaler) {
      scaler.step(optimizer)
      scaler.update()
    } else optimizer.step()
    return null
  }

  /** Enters the results of a step into loss and metrics. */
  #account(phase: Phase, result: AnyResult, examples: number): Left | null {
    const { loss, outputs, targets, weights, logs = {}, lossWeight } = result
    const size = lossWeight?.detach() ?? examples
    const value = loss.detach()
    if (phase === 'train') noGrad(() => this.#lastLoss.assign(value.cast('float32')))
    this.#record(phase, 'loss', value, size)
    for (const [name, x] of Object.entries(logs)) this.#record(phase, name, x.detach(), size)
    if (outputs === undefined) {
      const { names } = this.metrics
      if (names.length === 0 || (phase === 'train' && this.#options.evalStep)) return null
      throw refused(
        `the step gave no outputs, which ${names.join(', ')} would be measured by`,
        'Return { loss, outputs, targets } of trainStep, or log numbers of your own: { loss, logs: { name: tensor } }.',
      )
    }
    const detached = mapTree(outputs, isTensor, (x) => x.detach())
    this.metrics.update(detached, targets, weights, { traceable: true })
    return this.metrics.needsOutputs ? { outputs: detached, targets, weights } : null
  }

  #updateMetrics(left: Left | null): void {
    if (left) this.metrics.update(left.outputs, left.targets, left.weights, { traceable: false })
  }

  #record(phase: Phase, name: string, value: Tensor, size: number | Tensor): void {
    this.#mean(phase, name).update(value, {
      weights: size instanceof Tensor ? size : full([], size, { dtype: 'float64' }),
    })
  }

  #mean(phase: Phase, name: string): Mean {
    let mean = this.#means[phase].get(name)
    if (!mean) this.#means[phase].set(name, (mean = outside(() => new Mean({ name }))))
    return mean
  }

  #inPrecision<T>(body: () => T): T {
    const { precision = 'float32' } = this.#options
    return precision === 'float32' ? body() : autocast(body, { dtype: precision })
  }
}

function resultOf(result: Tensor | StepResult): StepResult {
  if (result instanceof Tensor) return { loss: result }
  if (typeof result === 'object' && result !== null && result.loss instanceof Tensor) return result
  if (result instanceof Promise) throw refused('trainStep gave a promise', 'A step is recorded as one program: leave out async and await.')
  throw refused('trainStep gave no loss', 'Return the loss as a tensor, or { loss, outputs, targets, logs }.')
}

/** What is there for good, also where it is made while a step is recorded. */
const outside = <T>(body: () => T): T => withModes({ tracer: null }, body)

const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'fit', message, hint })

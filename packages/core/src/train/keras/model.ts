import { CotangentError } from '../../errors.ts'
import { Module, type Slot } from '../../nn/module.ts'
import { Sequential } from '../../nn/sequential.ts'
import { type InputSpec, summary } from '../../nn/summary.ts'
import { Optimizer } from '../../optim/optimizer.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { mapTree, type Tree } from '../../tree.ts'
import { type BatchData, isTensor } from '../batch.ts'
import type { FitOptions } from '../fit-options.ts'
import type { ClassWeights, Loss, LossFunction } from '../loss-terms.ts'
import type { AnyMetric, Logs, Metrics } from '../metric-set.ts'
import { isTensorTree, tensorBatches, type TensorData } from '../tensor-data.ts'
import type { TrainerOptions } from '../trainer-options.ts'
import { type PredictOptions, Trainer } from '../trainer.ts'
import { FunctionalModule, type LayerLike, type NodeTree } from './functional.ts'
import { lossLikeOutputs, metricLikeOutputs } from './like-outputs.ts'
import { losses } from './losses.ts'
import { metrics as metricsByName } from './metrics.ts'
import { named } from './named.ts'
import { type OptimizerMaker, optimizers } from './optimizers.ts'

/** How a model is to be trained; names are those of Keras, in either case and with or without underscores. */
export interface ModelCompileOptions extends Omit<TrainerOptions, 'optimizer' | 'loss' | 'metrics' | 'classWeights'> {
  readonly optimizer: string | Optimizer | OptimizerMaker
  /** For an optimiser that is given by name. */
  readonly learningRate?: number
  readonly loss: string | Loss | Readonly<Record<string, string | LossFunction>>
  /** For a model with several outputs, those of each by its name. */
  readonly metrics?: MetricList | Readonly<Record<string, MetricList | string | AnyMetric>>
}

type MetricList = readonly (string | AnyMetric)[]

/** `fit` of `Trainer`, with Keras' names for data, classes and steps. */
export interface ModelFitOptions extends Omit<FitOptions, 'validation'> {
  /** `[x, y]`, or batches. */
  readonly validationData?: readonly [Tree<Tensor>, Tree<Tensor>] | BatchData
  readonly classWeight?: ClassWeights
  /** How much each example counts, where the data are tensors. */
  readonly sampleWeight?: Tensor
  /** Batches that make an epoch: `batchesPerEpoch`. */
  readonly stepsPerEpoch?: number
  /** Batches of a validation: `limitBatches: { validation }`. */
  readonly validationSteps?: number
  /** Epochs from one validation to the next: `validateEvery: { epochs }`. */
  readonly validationFreq?: number
  /** 0: silent, 1: bars where the output is a terminal (default, as is `auto`), 2: lines. */
  readonly verbose?: 'auto' | 0 | 1 | 2
}

/** Which data, and how many at a time; batches of 32 by default where the data are tensors. */
export interface ModelEvaluateOptions {
  readonly batchSize?: number
  /** How much each example counts, where the data are tensors. */
  readonly sampleWeight?: Tensor
  /** Only the first so many batches. */
  readonly steps?: number
}

/** Which data are predicted, and how many at a time. */
export interface ModelPredictOptions extends PredictOptions {
  /** Only the first so many batches. */
  readonly steps?: number
}

/** What `fit` resolves to: metrics epoch by epoch, as in Keras' `History`. */
export interface KerasHistory {
  /** The values of each metric, epoch by epoch. */
  readonly history: Readonly<Record<string, readonly number[]>>
  readonly epoch: readonly number[]
}

/** A model with Keras' methods, over `Trainer`: `compile`, `fit`, `evaluate`, `predict`, `summary`. */
export class Model extends Module {
  /** Private, so that its parts have the names that they have in it. */
  readonly #module: Module
  #options: ModelCompileOptions | undefined
  readonly #trainers = new Map<string, Trainer>()
  #uncompiled: Trainer | undefined

  /** Of a module, or of values that layers make of inputs. */
  constructor(of: Module | { readonly inputs: NodeTree; readonly outputs: NodeTree }) {
    super()
    this.#module = of instanceof Module ? of : new FunctionalModule(of.inputs, of.outputs)
  }

  forward(...inputs: readonly unknown[]): unknown {
    return (this.#module as unknown as { forward(...inputs: readonly unknown[]): unknown }).forward(...inputs)
  }

  /** @throws {CotangentError} `invalid-argument` for a name that nothing has, with those that are near. */
  compile(options: ModelCompileOptions): this {
    const { optimizer, learningRate, loss, metrics = [] } = options
    const made =
      optimizer instanceof Optimizer
        ? optimizer
        : (typeof optimizer === 'string' ? named('compile', 'optimizer', optimizer, optimizers) : optimizer)(this, learningRate)
    this.#options = { ...options, optimizer: made, loss: lossOf(loss), metrics }
    // Names are looked up now, so that a wrong one is known at once.
    metricsOf(metrics, loss)
    this.#lossName = loss
    this.#trainers.clear()
    return this
  }

  #lossName: ModelCompileOptions['loss'] = ''

  /**
   * Trains on tensors `x` and `y`, arrays or objects of them where there are several inputs or outputs, or on batches.
   *
   * @throws {CotangentError} as `Trainer.fit`, and `invalid-argument` before `compile`.
   */
  async fit(x: Tree<Tensor>, y: Tree<Tensor>, options?: ModelFitOptions): Promise<KerasHistory>
  async fit(data: BatchData, options?: ModelFitOptions): Promise<KerasHistory>
  async fit(data: Tree<Tensor> | BatchData, second?: Tree<Tensor> | ModelFitOptions, third: ModelFitOptions = {}): Promise<KerasHistory> {
    const tensors = tensorsOf(data, second)
    if (!tensors && Array.isArray(second))
      throw refused('x and y are not both tensors', 'Make tensors of them: model.fit(tensor(x), tensor(y)).')
    const given = tensors ? third : ((second ?? {}) as ModelFitOptions)
    const { validationData, classWeight, sampleWeight, stepsPerEpoch, validationSteps, validationFreq, verbose = 1, ...options } = given
    const limits = typeof options.limitBatches === 'number' ? { train: options.limitBatches } : options.limitBatches
    const { history } = await this.#trainer(classWeight).fit(
      tensors ? { ...tensors, ...(sampleWeight && { weights: sampleWeight }) } : (data as BatchData),
      {
        ...options,
        ...(stepsPerEpoch !== undefined && { batchesPerEpoch: stepsPerEpoch }),
        ...(validationSteps !== undefined && { limitBatches: { ...limits, validation: validationSteps } }),
        ...(validationFreq !== undefined && { validateEvery: { epochs: validationFreq } }),
        ...(validationData && { validation: setOf(validationData, tensors) }),
        ...(verbose === 0 && { display: 'quiet' }),
        ...(verbose === 2 && { display: 'plain' }),
      },
    )
    const names = [...new Set(history.epochs.flatMap(({ logs }) => Object.keys(logs)))]
    return {
      history: Object.fromEntries(names.map((name) => [name, history.values(name)])),
      epoch: history.epochs.map(({ epoch }) => epoch - 1),
    }
  }

  /** Loss and metrics, of tensors or batches. */
  evaluate(x: Tree<Tensor>, y: Tree<Tensor>, options?: ModelEvaluateOptions): Promise<Logs>
  evaluate(data: BatchData, options?: ModelEvaluateOptions): Promise<Logs>
  evaluate(data: Tree<Tensor> | BatchData, second?: Tree<Tensor> | ModelEvaluateOptions, third: ModelEvaluateOptions = {}): Promise<Logs> {
    const tensors = tensorsOf(data, second)
    const { batchSize = 32, sampleWeight, steps } = tensors ? third : ((second ?? {}) as ModelEvaluateOptions)
    return this.#trainer().evaluate(tensors ? { ...tensors, ...(sampleWeight && { weights: sampleWeight }) } : (data as BatchData), {
      batchSize,
      ...(steps !== undefined && { limitBatches: steps }),
    })
  }

  /** @param x One input, as many in an array or object as the model was described with, or batches. */
  predict(x: Tree<Tensor> | BatchData, { batchSize = 32, steps, ...options }: ModelPredictOptions = {}): Promise<Tensor> {
    const module = this.#module
    const several = module instanceof FunctionalModule && module.takes(x)
    return this.#predictor().predict(several ? tensorBatches({ x: x as Tree<Tensor> }, batchSize, { shuffle: false }) : (x as BatchData), {
      batchSize,
      ...options,
      ...(steps !== undefined && { limitBatches: steps }),
    })
  }

  /** Trains on one batch. @returns Its loss and metrics, before the step. */
  async trainOnBatch(x: Tree<Tensor>, y: Tree<Tensor>, options: Pick<ModelFitOptions, 'sampleWeight' | 'classWeight'> = {}): Promise<Logs> {
    const { sampleWeight, classWeight } = options
    const batch = [x, y, ...(sampleWeight ? [sampleWeight] : [])]
    const { logs } = await this.#trainer(classWeight).fit([batch], { display: 'quiet' })
    return logs
  }

  /** Loss and metrics of one batch. */
  testOnBatch(x: Tree<Tensor>, y: Tree<Tensor>, { sampleWeight }: Pick<ModelEvaluateOptions, 'sampleWeight'> = {}): Promise<Logs> {
    return this.#trainer().evaluate([[x, y, ...(sampleWeight ? [sampleWeight] : [])]])
  }

  /** The outputs for one batch. */
  predictOnBatch(x: Tree<Tensor>): Promise<Tensor> {
    return this.#predictor().predict([[x]])
  }

  /** The layers with their output shapes, parameters and multiply-adds, for inputs of that shape (batch included). */
  summary(...inputs: readonly InputSpec[]): string {
    return summary(this.#module, ...inputs).toString()
  }

  override get training(): boolean {
    return super.training
  }

  override set training(training: boolean) {
    super.training = training
    this.#module.training = training
  }

  override *slots(prefix = ''): Generator<Slot> {
    yield* this.#module.slots(prefix)
  }

  override namedChildren(): Map<string, Module> {
    return this.#module.namedChildren()
  }

  override toString(): string {
    return this.#module.toString()
  }

  /** Predictions take nothing that a model is compiled with, but for the precision. */
  #predictor(): Trainer {
    return this.#options ? this.#trainer() : (this.#uncompiled ??= new Trainer(this))
  }

  #trainer(classWeights?: ClassWeights): Trainer {
    if (!this.#options) throw refused('the model has not been compiled', "Call model.compile({ optimizer: 'adam', loss: 'mse' }) first.")
    const key = JSON.stringify(classWeights ?? null)
    let trainer = this.#trainers.get(key)
    if (!trainer) {
      const { optimizer, loss, metrics = [], learningRate: _, ...rest } = this.#options
      trainer = new Trainer(this, {
        ...rest,
        optimizer: optimizer as Optimizer,
        loss: loss as Loss,
        metrics: metricsOf(metrics, this.#lossName),
        ...(classWeights && { classWeights }),
      })
      this.#trainers.set(key, trainer)
    }
    return trainer
  }
}

/** `keras.sequential([new nn.Linear(784, 32), relu, new nn.Linear(32, 10)])`. */
export function sequential(layers: readonly LayerLike[]): Model {
  return new Model(new Sequential(...(layers as never[])))
}

const lossCalled = (name: string): LossFunction => lossLikeOutputs(named('compile', 'loss', name, losses))

function lossOf(loss: ModelCompileOptions['loss']): Loss {
  if (typeof loss === 'string') return lossCalled(loss)
  if (typeof loss === 'function' || 'forward' in loss) return loss as Loss
  return Object.fromEntries(
    Object.entries(loss).map(([output, each]) => [output, typeof each === 'string' ? lossCalled(each) : (each as LossFunction)]),
  )
}

function metricsOf(metrics: NonNullable<ModelCompileOptions['metrics']>, loss: ModelCompileOptions['loss']): Metrics {
  if (isList(metrics)) return metricsByNameOf(metrics, loss)
  const lossOfOutput = (output: string) => (typeof loss === 'object' ? (loss as Record<string, string | LossFunction>)[output] : undefined)
  return Object.fromEntries(
    Object.entries(metrics).map(([output, each]) => [output, metricsByNameOf(isList(each) ? each : [each], lossOfOutput(output) ?? loss)]),
  )
}

const isList = (x: unknown): x is MetricList => Array.isArray(x)

function metricsByNameOf(metrics: MetricList, loss: ModelCompileOptions['loss']): Record<string, AnyMetric> {
  const logits = typeof loss === 'string' && /logits/i.test(loss)
  return Object.fromEntries(
    metrics.map((metric, i) => {
      if (typeof metric === 'string') return [metric, metricLikeOutputs(named('compile', 'metric', metric, metricsByName)({ logits }))]
      return [metric.name || `metric${i}`, metric]
    }),
  )
}

/** Whether it is `x` and `y` that were given, and not batches. */
const tensorsOf = (x: unknown, y: unknown): { x: Tree<Tensor>; y: Tree<Tensor> } | undefined =>
  isTensorTree(x) && isTensorTree(y) ? { x, y } : undefined

/** `[x, y]` looks like two batches where both are arrays: what it is goes by what the model trains on. */
function setOf(data: readonly [Tree<Tensor>, Tree<Tensor>] | BatchData, training: TensorData | undefined): BatchData | TensorData {
  const isPair = Array.isArray(data) && data.length === 2 && data.every(isTensorTree)
  const form = (tree: unknown) => JSON.stringify(mapTree(tree, isTensor, () => 0))
  if (isPair && (data.every(isTensor) || (training && form(data) === form([training.x, training.y])))) return { x: data[0]!, y: data[1]! }
  return data as BatchData
}

const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'Model', message, hint })

import type { CompileOptions } from '../graph/compile.ts'
import type { CheckpointParts } from '../io/checkpoint.ts'
import type { GradScalerOptions } from '../optim/grad-scaler.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { BatchNames } from './batch.ts'
import type { Callback } from './callback.ts'
import type { Schedule } from './callbacks/learning-rate-schedule.ts'
import type { DisplayMode, DisplayOptions } from './display.ts'
import type { ClassWeights, Loss } from './loss-terms.ts'
import type { Metrics } from './metric-set.ts'

/** What a step of your own gives: the loss, or more. */
export interface StepResult {
  readonly loss: Tensor
  /** For metrics, with `targets`. */
  readonly outputs?: unknown
  readonly targets?: unknown
  /** How much each example counts in metrics. */
  readonly weights?: Tensor
  /** Further numbers to log, 0-d: their mean over the epoch's examples is. */
  readonly logs?: Readonly<Record<string, Tensor>>
}

/** Computes the loss of a batch as it comes from the data. It is compiled: see `compile`. */
export type StepFunction<B = never> = { method(batch: B): Tensor | StepResult }['method']

export const precisions = ['float32', 'bfloat16', 'float16'] as const
/** What products are computed in: `float16` with a `GradScaler`, `bfloat16` without one, else `float32`. */
export type Precision = (typeof precisions)[number]

/** How a model is trained. */
export interface TrainerOptions<O = Tensor, T = Tensor> {
  /** Needed to train, not to evaluate or predict. */
  readonly optimizer?: Optimizer
  readonly loss?: Loss<O, T>
  /** What each output's loss is multiplied by, where there are several; default 1. */
  readonly lossWeights?: Readonly<Record<string, number>>
  readonly metrics?: Metrics<O, T>
  /**
   * The outputs of the model for the inputs of a batch, for instance with preprocessing before it. Default: `model.forward(inputs)`,
   * or `model.forward(...inputs)` where inputs are an array.
   */
  readonly forward?: (inputs: never) => O
  /** How to read batches that are objects. Default: the first entry is the inputs, the second the targets; `weights` are weights. */
  readonly batch?: BatchNames
  /** In place of forward pass and loss. Gradients and the optimiser's step follow by themselves. */
  readonly trainStep?: StepFunction
  /** The same for evaluation; default: `trainStep`, where that is given. */
  readonly evalStep?: StepFunction
  /**
   * `manual`: `trainStep` takes gradients and steps itself, of as many optimisers as it likes (name them in `parts`), and what it
   * returns is only logged.
   */
  readonly optimization?: 'automatic' | 'manual'
  /** How much examples of each class count in the training loss. */
  readonly classWeights?: ClassWeights
  /** Largest norm of all gradients together. The norms before are logged as `gradNorm`. */
  readonly clipNorm?: number
  /** Largest magnitude of each element of a gradient. */
  readonly clipValue?: number
  /** Batches whose mean gradient makes one step. Default 1. */
  readonly accumulate?: number
  /** Mixed precision, by `autocast`; float16 also scales losses. Default float32. */
  readonly precision?: Precision
  readonly scaler?: Partial<GradScalerOptions>
  /** Whether steps are compiled (default), and how. */
  readonly compile?: boolean | CompileOptions
  /** Learning rates: `{ step: scheduler }` or `{ epoch: scheduler }`. Either may be a function that makes it when the number of steps is known. */
  readonly schedule?: Schedule
  /** In their order; those of `fit` follow. */
  readonly callbacks?: readonly Callback[]
  /** How progress is shown. Default `auto`: a live display on a terminal, else plain lines. */
  readonly display?: DisplayMode | DisplayOptions
  /** What else belongs into checkpoints, such as a second optimiser. */
  readonly parts?: CheckpointParts
}

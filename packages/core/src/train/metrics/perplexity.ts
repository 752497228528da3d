import { CotangentError } from '../../errors.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import { classLogLoss } from './log-loss.ts'
import { MeanMetric, type NameOption } from './mean-metric.ts'

/** Whether predictions are logits (as they are by default) or probabilities, and which tokens count for nothing. */
export interface PerplexityOptions extends NameOption {
  /** Tokens with this index count for nothing. Default: none. */
  readonly ignoreIndex?: number
  /** Default true; else predictions are probabilities. */
  readonly fromLogits?: boolean
}

/** exp of the mean cross-entropy of tokens: predictions `[..., vocabulary]`, targets token indices `[...]`. NaN without tokens. */
export class Perplexity extends MeanMetric<[predictions: Tensor, targets: Tensor, options?: MetricUpdateOptions]> {
  readonly #options: PerplexityOptions

  constructor(options: PerplexityOptions = {}) {
    super(options.name ?? 'perplexity')
    this.#options = options
  }

  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    const classes = predictions.shape.at(-1)
    if (!classes) {
      throw new CotangentError('shape-mismatch', {
        op: this.name,
        message: 'predictions must have the vocabulary on their last axis',
        shapes: [predictions.shape],
        hint: 'Give scores [..., vocabulary].',
      })
    }
    const setup = { fromLogits: true, ...this.#options, name: this.name, task: 'multiclass' as const, classes }
    this.accumulateMean(() => classLogLoss(setup, predictions, targets, options, Number.EPSILON))
  }

  protected override finish(mean: number): number {
    return Math.exp(mean)
  }
}

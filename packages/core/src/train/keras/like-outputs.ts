import type { Tensor } from '../../tensor/tensor.ts'
import type { LossFunction } from '../loss-terms.ts'
import type { AnyMetric } from '../metric-set.ts'
import type { Metric, MetricUpdateOptions } from '../metric.ts'

/** Targets with the axes of the outputs, as Keras has them: `[n]` for outputs `[n, 1]`, `[n, 1]` for outputs `[n]` or for classes `[n, c]`. */
function likeOutputs(outputs: Tensor, targets: Tensor): Tensor {
  const single = (x: Tensor) => x.shape.at(-1) === 1
  if (targets.rank === outputs.rank - 1 && single(outputs)) return targets.unsqueeze(-1)
  if (targets.rank === outputs.rank + 1 && single(targets)) return targets.squeeze(-1)
  return targets
}

/** Class numbers of any dtype, `[n]` or `[n, 1]`, as indices; one-hot targets stay as they are. */
export function classIndices(outputs: Tensor, targets: Tensor): Tensor {
  const column = targets.rank === outputs.rank && targets.shape.at(-1) === 1 && outputs.shape.at(-1) !== 1
  const indices = column ? targets.squeeze(-1) : targets
  return indices.rank === outputs.rank ? indices : indices.cast('int32')
}

/** A loss whose targets are brought to the outputs' axes. */
export const lossLikeOutputs =
  (loss: LossFunction): LossFunction =>
  (outputs, targets, options) =>
    loss(outputs, likeOutputs(outputs, targets), options)

/** A metric whose targets are brought to the outputs' axes. */
export function metricLikeOutputs(metric: AnyMetric): AnyMetric {
  if (typeof metric === 'function') return (outputs, targets) => metric(outputs, likeOutputs(outputs, targets))
  return new MetricLikeOutputs(metric as Metric<unknown, [Tensor, Tensor, MetricUpdateOptions]>)
}

class MetricLikeOutputs implements Metric<unknown, [outputs: Tensor, targets: Tensor, options: MetricUpdateOptions]> {
  readonly #metric: Metric<unknown, [Tensor, Tensor, MetricUpdateOptions]>

  constructor(metric: Metric<unknown, [Tensor, Tensor, MetricUpdateOptions]>) {
    this.#metric = metric
  }

  get name(): string {
    return this.#metric.name
  }

  get traceable(): boolean {
    return this.#metric.traceable
  }

  update(outputs: Tensor, targets: Tensor, options: MetricUpdateOptions): void {
    this.#metric.update(outputs, likeOutputs(outputs, targets), options)
  }

  compute(): Promise<unknown> {
    return this.#metric.compute()
  }

  reset(): void {
    this.#metric.reset()
  }

  merge(other: this): void {
    this.#metric.merge(other.#metric)
  }

  stateDict(): unknown {
    return this.#metric.stateDict()
  }

  loadStateDict(state: never): void {
    this.#metric.loadStateDict(state)
  }
}

import type { Tensor } from '../tensor/tensor.ts'

/** How much the elements of a batch count. */
export interface MetricUpdateOptions {
  /** Sample weights, of the targets' shape or of its first axes (`[batch]` for `[batch, height, width]`). Default 1. */
  readonly weights?: Tensor
  /** Which elements count at all: bool, of the targets' shape or of its first axes. NaN does no harm where it is false. */
  readonly mask?: Tensor
}

/**
 * A number (or a table) over many batches that is the same as that over all of them at once: `update` takes in a batch, `compute`
 * gives the value of all since the last `reset`.
 */
export interface Metric<Out = unknown, In extends readonly unknown[] = readonly never[]> {
  /** What logs call it. */
  readonly name: string
  /**
   * Whether `update` may be called within `compile`: what it accumulates are tensors, which it changes in place. One that keeps
   * every score, or works on texts, is updated outside, with what the step returned.
   */
  readonly traceable: boolean
  update(...batch: In): void
  /** The value so far. What there is without any samples, each metric says; most give NaN. */
  compute(): Promise<Out>
  /** Forgets all batches. */
  reset(): void
  /** Takes in what another metric of the same kind and options has seen, for instance in another process. */
  merge(other: this): void
  stateDict(): unknown
  loadStateDict(state: never): void
}

import type { Compiled } from '../graph/compile.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** What a run's settings can be. */
export type HyperParameters = Readonly<Record<string, string | number | boolean>>

/** Where scalars, distributions and texts of a run go, for TensorBoard and the like: `EventFileWriter` of `@cotangent/formats`, or your own. */
export interface SummaryWriter {
  scalar(tag: string, value: number, step: number): void
  histogram(tag: string, values: ArrayLike<number>, step: number): void
  /** Markdown. */
  text(tag: string, text: string, step: number): void
  /** @param metrics How well the run went; null names a tag that is written as a scalar. */
  hparams(values: HyperParameters, metrics: Readonly<Record<string, number | null>>): void
  /**
   * The ops of a compiled step.
   *
   * @param names Parameters and buffers by name, which say what modules there are.
   */
  graph?(step: Compiled<(...args: never[]) => unknown>, options: { readonly names: ReadonlyMap<string, Tensor> }): void
  /** Resolves when all that was given is safe. */
  flush(): Promise<void>
  /** Ends the run; `status` says how it went. */
  close(options?: { readonly status?: 'success' | 'failure' }): Promise<void>
}

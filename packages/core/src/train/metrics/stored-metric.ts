import { CotangentError } from '../../errors.ts'
import { concat, zeros } from '../../op/index.ts'
import { noGrad } from '../../tensor/modes.ts'
import { keep } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Metric } from '../metric.ts'

/** Columns of a matrix on the host, each of as many numbers as there are rows. */
export interface StoredRows {
  readonly rows: number
  /** Number `column` of row `row`. */
  at(row: number, column: number): number
}

/**
 * A metric that needs every sample at the end: it keeps a row of float64 numbers of each. Its memory grows with the samples, so it
 * cannot be traced.
 */
export abstract class StoredMetric<Out, In extends readonly unknown[]> implements Metric<Out, In> {
  readonly name: string
  readonly traceable = false
  readonly #columns: number
  /** Blocks of rows. Neighbours of like sizes are joined, so that they stay few. */
  #blocks: Tensor[] = []

  constructor(name: string, columns: number) {
    this.name = name
    this.#columns = columns
  }

  abstract update(...batch: In): void

  /** The value, from all rows. */
  protected abstract evaluate(rows: StoredRows): Out

  /** Keeps rows `[samples, columns]`, which must be in memory of their own. `rows` runs without recording gradients. */
  protected store(rows: () => Tensor): void {
    const block = noGrad(rows)
    if (block.isTracer) {
      throw new CotangentError('tracer-read', {
        op: this.name,
        message: 'this metric keeps every sample, which a compiled program cannot',
        hint: 'Return predictions from the compiled function and update the metric outside, or use a metric with { thresholds }.',
      })
    }
    this.#push(block)
  }

  #push(block: Tensor): void {
    let last = block
    for (let before = this.#blocks.at(-1); before && before.shape[0]! <= 2 * last.shape[0]!; before = this.#blocks.at(-1)) {
      this.#blocks.pop()
      last = noGrad(() => concat([before, last], 0))
    }
    this.#blocks.push(keep(last))
  }

  async compute(): Promise<Out> {
    const columns = this.#columns
    const values = (await this.#joined().data()) as Float64Array
    return this.evaluate({ rows: values.length / columns, at: (row, column) => values[row * columns + column]! })
  }

  #joined(): Tensor {
    return this.#blocks.length === 0 ? zeros([0, this.#columns], { dtype: 'float64' }) : noGrad(() => concat(this.#blocks, 0))
  }

  reset(): void {
    this.#blocks = []
  }

  merge(other: this): void {
    this.#checkColumns(other.#columns)
    for (const block of other.#blocks) this.#push(block.clone())
  }

  stateDict(): { readonly samples: Tensor } {
    return { samples: this.#joined() }
  }

  loadStateDict({ samples }: { readonly samples: Tensor }): void {
    this.#checkColumns(samples.shape[1])
    this.#blocks = [keep(samples.clone())]
  }

  #checkColumns(columns: number | undefined): void {
    if (columns === this.#columns) return
    throw new CotangentError('shape-mismatch', {
      op: this.name,
      message: `the state to take over has ${columns} numbers a sample instead of ${this.#columns}`,
      hint: 'It must come from a metric of the same kind and options.',
    })
  }
}

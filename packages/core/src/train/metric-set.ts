import { CotangentError } from '../errors.ts'
import { full } from '../op/index.ts'
import { Tensor } from '../tensor/tensor.ts'
import { batchSizeOf } from './batch.ts'
import { entry } from './loss-terms.ts'
import type { Metric, MetricUpdateOptions } from './metric.ts'
import { Mean } from './metrics/mean.ts'

/** What a run has measured, by name. */
export type Logs = Readonly<Record<string, number>>

/** A number of a batch, of which the mean over all examples is taken: 0-d, or one for each example. */
export type MetricFunction<O = Tensor, T = Tensor> = { method(outputs: O, targets: T): Tensor }['method']

/** A metric that keeps a state, or a function of outputs and targets, whose mean over all examples counts. */
export type AnyMetric<O = Tensor, T = Tensor> = Metric<unknown, never[]> | MetricFunction<O, T>

/** Metrics by name, or under the names that they have themselves; for a model with several outputs, by the name of the output first. */
export type Metrics<O = Tensor, T = Tensor> =
  | readonly Metric<unknown, never[]>[]
  | { readonly [name: string]: AnyMetric<O, T> | { readonly [name: string]: AnyMetric } }

interface Entry {
  readonly name: string
  readonly output: string | undefined
  readonly metric: Metric
  readonly update: (outputs: unknown, targets: unknown, options: MetricUpdateOptions) => void
}

/** A class cannot be called. */
const isClass = (x: object): boolean => /^class\b/.test(Function.prototype.toString.call(x))

const isMetric = (x: unknown): x is Metric =>
  typeof x === 'object' && x !== null && typeof (x as Metric).update === 'function' && 'compute' in x

/** The metrics of a model by their names in logs. */
export class MetricSet {
  readonly #entries: readonly Entry[]

  constructor(metrics: Metrics<never, never> = []) {
    this.#entries = Array.isArray(metrics)
      ? metrics.map((metric: Metric, i) => entryOf(isMetric(metric) ? metric.name : `metrics[${i}]`, undefined, metric))
      : Object.entries(metrics).flatMap(([name, metric]) =>
          isMetric(metric) || typeof metric === 'function'
            ? [entryOf(name, undefined, metric)]
            : Object.entries(metric as object).map(([inner, part]) => entryOf(name + capital(inner), name, part)),
        )
    const names = this.#entries.map(({ name }) => name)
    const twice = names.find((name, i) => name === 'loss' || names.indexOf(name) !== i)
    if (twice !== undefined)
      throw refused(
        twice === 'loss' ? 'a metric is called loss' : `two metrics are called ${twice}`,
        'Give metrics by name: { name: metric }.',
      )
  }

  /** The names of all. */
  get names(): readonly string[] {
    return this.#entries.map(({ name }) => name)
  }

  /** Whether there are metrics that cannot be updated within a compiled step. */
  get needsOutputs(): boolean {
    return this.#entries.some(({ metric }) => !metric.traceable)
  }

  /** Takes in a batch, in the metrics that can, or cannot, be part of a compiled step. */
  update(outputs: unknown, targets: unknown, weights: Tensor | undefined, { traceable }: { readonly traceable: boolean }): void {
    for (const { metric, update, output } of this.#entries) {
      if (metric.traceable !== traceable) continue
      const [o, t] = output === undefined ? [outputs, targets] : [entry('outputs', outputs, output), entry('targets', targets, output)]
      update(o, t, weights ? { weights } : {})
    }
  }

  /** The values so far. Tables and texts are not among them: ask the metric itself. */
  async compute(): Promise<Logs> {
    const values = await Promise.all(this.#entries.map(async ({ name, metric }) => numbersIn(name, await metric.compute())))
    return Object.assign({}, ...values) as Logs
  }

  reset(): void {
    for (const { metric } of this.#entries) metric.reset()
  }

  stateDict(): Record<string, unknown> {
    return Object.fromEntries(this.#entries.map(({ name, metric }) => [name, metric.stateDict()]))
  }

  loadStateDict(state: Readonly<Record<string, unknown>>): void {
    for (const { name, metric } of this.#entries) if (name in state) metric.loadStateDict(state[name] as never)
  }
}

function entryOf(name: string, output: string | undefined, metric: unknown): Entry {
  if (isMetric(metric)) return { name, output, metric, update: (o, t, options) => metric.update(...([o, t, options] as never[])) }
  if (typeof metric !== 'function')
    throw refused(
      `the metric ${name} is ${typeof metric === 'string' ? `the text '${metric}'` : typeof metric}`,
      'Use a metric of train.metrics, such as new train.metrics.Accuracy({ classes: 10 }), or a function (outputs, targets) => number of each example.',
    )
  if (isClass(metric)) throw refused(`the metric ${name} is the class ${metric.name}`, `Make one: new ${metric.name}({ ... }).`)
  const mean = new Mean({ name })
  const update: Entry['update'] = (outputs, targets, { weights }) => {
    const values: unknown = (metric as MetricFunction<unknown, unknown>)(outputs, targets)
    if (!(values instanceof Tensor))
      throw refused(
        `the metric ${name} gave ${values === null ? 'null' : typeof values}, not a tensor`,
        'Return a tensor of one number, or one for each example.',
      )
    mean.update(values, weights && values.rank > 0 ? { weights } : { weights: sizeOf(values, targets, outputs) })
  }
  return { name, output, metric: mean, update }
}

/** A mean counts as often as there are examples. */
function sizeOf(values: Tensor, targets: unknown, outputs: unknown): Tensor {
  return full(values.shape, values.rank > 0 ? 1 : batchSizeOf([targets, outputs]), { dtype: 'float64' }) as Tensor
}

const capital = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1)

/** What logs call the loss or a metric of a validation. */
export const evaluationName = (name: string): string => `val${capital(name)}`

/** Numbers, also those within an object. */
function numbersIn(name: string, value: unknown): Record<string, number> {
  if (typeof value === 'number') return { [name]: value }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {}
  return Object.fromEntries(Object.entries(value).flatMap(([key, part]) => Object.entries(numbersIn(name + capital(key), part))))
}

const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'metrics', message, hint })

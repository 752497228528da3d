import { CotangentError } from '../errors.ts'
import { didYouMean } from '../near-names.ts'
import type { Logs } from './metric-set.ts'
import type { Training } from './training.ts'

type Awaitable<T> = T | Promise<T>

/**
 * What is to happen beside a training: an object with any of these methods, or one of the classes of `train`. Callbacks are called in
 * the order that they were given in, those of the trainer before those of `fit`, and each is awaited; those that are `last` come behind
 * all others. A state (`stateDict`) goes into checkpoints.
 *
 * `fit` calls, for each epoch: `onEpochStart`; for each batch `onBatchStart`, `onBatchEnd` and, when it made the optimiser step,
 * `onStepEnd`; for each validation `onValidationStart`, `onValidationBatchEnd`, `onValidationEnd`; and `onEpochEnd`, when the
 * validation at the end of the epoch is over. An epoch that is stopped before its first batch has no end. Around all of it `onFitStart` and `onFitEnd`, or `onError`.
 */
export interface Callback {
  /** What its state is called in checkpoints. Default: the name of its class. */
  readonly name?: string
  readonly last?: boolean
  /** Whether it keeps something beyond the training, such as files: then it is left out of a `fastDevRun`. */
  readonly keeps?: boolean
  onFitStart?(training: Training): Awaitable<void>
  /** Also when it was stopped early or interrupted. */
  onFitEnd?(training: Training): Awaitable<void>
  /**
   * Behind every `onFitEnd`, so also behind the last checkpoint: to leave the model as it is to be used. Callbacks that run validations
   * with weights of their own (`aroundValidation`) come first, so that those that kept the best of these have the last word.
   */
  afterFit?(training: Training): Awaitable<void>
  /** In place of `onFitEnd`; `fit` throws the error behind it. */
  onError?(training: Training, error: unknown): Awaitable<void>
  onEpochStart?(training: Training): Awaitable<void>
  /** @param logs Everything that the epoch gave: loss, metrics, and those of validations as `valLoss` and so on. */
  onEpochEnd?(training: Training, logs: Logs): Awaitable<void>
  onBatchStart?(training: Training, batch: unknown): Awaitable<void>
  /** Nothing has been read by then: `await training.loss()` reads, and so waits for, the loss of the batch. */
  onBatchEnd?(training: Training): Awaitable<void>
  /** Behind the `onBatchEnd` of a batch that completed a step of the optimiser. */
  onStepEnd?(training: Training): Awaitable<void>
  onValidationStart?(training: Training): Awaitable<void>
  onValidationBatchEnd?(training: Training): Awaitable<void>
  /**
   * The model has the weights that were validated, within any `aroundValidation`.
   *
   * @param logs What the validation gave, as `valLoss` and so on.
   */
  onValidationEnd?(training: Training, logs: Logs): Awaitable<void>
  /** Runs a validation, for instance with other weights: it must call `evaluate` once. */
  aroundValidation?(training: Training, evaluate: () => Promise<void>): Promise<void>
  stateDict?(): unknown
  loadStateDict?(state: never): void
}

type Hook = { [K in keyof Callback]-?: K extends `on${string}` | 'afterFit' ? K : never }[keyof Callback]
type Rest<H extends Hook> = Parameters<NonNullable<Callback[H]>> extends [Training, ...infer R] ? R : never

/** All callbacks of a training. Hooks that none of them has cost nothing. */
export class Callbacks {
  readonly #training: Training
  readonly #byHook = new Map<Hook, readonly Callback[]>()
  readonly #names: ReadonlyMap<string, Callback>
  readonly all: readonly Callback[]

  /** @throws {CotangentError} `invalid-argument` for two callbacks of one name that have states. */
  constructor(training: Training, callbacks: readonly Callback[]) {
    this.#training = training
    this.all = [...callbacks.filter(({ last }) => !last), ...callbacks.filter(({ last }) => last)]
    this.#names = named(this.all)
  }

  /** Whether a callback listens. */
  has(hook: Hook): boolean {
    return this.#of(hook).length > 0
  }

  async call<H extends Hook>(hook: H, ...rest: Rest<H>): Promise<void> {
    for (const callback of this.#of(hook)) await (callback[hook] as (...args: unknown[]) => Awaitable<void>)(this.#training, ...rest)
  }

  aroundValidation(evaluate: () => Promise<void>): Promise<void> {
    return this.all.reduceRight<() => Promise<void>>(
      (inner, callback) => (callback.aroundValidation ? () => callback.aroundValidation!(this.#training, inner) : inner),
      evaluate,
    )()
  }

  stateDict(): Record<string, unknown> {
    return Object.fromEntries([...this.#names].map(([name, callback]) => [name, callback.stateDict!()]))
  }

  /** Takes over the states of those that were there. */
  loadStateDict(state: Readonly<Record<string, unknown>>): void {
    for (const [name, callback] of this.#names) if (name in state) callback.loadStateDict?.(state[name] as never)
  }

  #of(hook: Hook): readonly Callback[] {
    let found = this.#byHook.get(hook)
    if (!found) {
      found = this.all.filter((callback) => callback[hook])
      if (hook === 'afterFit')
        found = [...found.filter(({ aroundValidation }) => aroundValidation), ...found.filter((each) => !each.aroundValidation)]
      this.#byHook.set(hook, found)
    }
    return found
  }
}

/** Every method of a callback that a training calls, so that the compiler tells of one that is missing. */
const hooks: Readonly<Record<Hook | 'aroundValidation' | 'stateDict', true>> = {
  onFitStart: true,
  onFitEnd: true,
  afterFit: true,
  onError: true,
  onEpochStart: true,
  onEpochEnd: true,
  onBatchStart: true,
  onBatchEnd: true,
  onStepEnd: true,
  onValidationStart: true,
  onValidationBatchEnd: true,
  onValidationEnd: true,
  aroundValidation: true,
  stateDict: true,
}

/**
 * Callbacks that were given, as a list of those that can be called.
 *
 * @throws {CotangentError} `invalid-argument` for what is no list, a class in place of an object of it, and objects that no hook would call.
 */
export function checkCallbacks(given: readonly Callback[] | undefined): readonly Callback[] {
  if (given === undefined) return []
  if (!Array.isArray(given)) throw refused('callbacks are no array', 'Pass { callbacks: [callback] }.')
  given.forEach((callback: unknown, i) => {
    if (typeof callback === 'function')
      throw refused(
        `callback ${i} is a function, ${callback.name || 'without a name'}`,
        'Make an object of the class, new EarlyStopping(), or pass { onEpochEnd() {} }.',
      )
    if (typeof callback !== 'object' || callback === null) throw refused(`callback ${i} is ${String(callback)}`, 'It must be an object.')
    const known = Object.keys(hooks)
    if (known.some((hook) => typeof (callback as Record<string, unknown>)[hook] === 'function')) return
    const own = Object.keys(callback)
    throw refused(
      `callback ${i} has no method that a training would call${own.length > 0 ? `, only ${own.join(', ')}` : ''}`,
      `${own.map((name) => didYouMean(name, known)).find(Boolean) ?? ''}There are ${known.join(', ')}.`,
    )
  })
  return given
}

const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'fit', message, hint })

function named(callbacks: readonly Callback[]): Map<string, Callback> {
  const names = new Map<string, Callback>()
  for (const callback of callbacks.filter(({ stateDict }) => stateDict)) {
    const name = callback.name ?? callback.constructor.name
    if (names.has(name)) {
      throw refused(
        `two callbacks are called ${name}, and their states could not be told apart in checkpoints`,
        'Give one of them another { name }.',
      )
    }
    names.set(name, callback)
  }
  return names
}

import type { AnomalyChecks } from '../autograd/anomaly.ts'
import type { Saved } from '../autograd/tape.ts'
import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import type { Autocast } from './autocast.ts'
import type { Generator } from './generator.ts'
import type { Plan, Primitive } from './primitive.ts'
import { Scalar } from './scalar.ts'
import type { Tensor } from './tensor.ts'

/** What live numbers follow from, for files, which cannot hold functions. */
export type NumbersOrigin =
  | { readonly kind: 'random'; readonly generator: Generator }
  /** The numbers of these names that an optimiser's rule (`UpdateRule.numbers`) makes of its options and the state of a parameter. */
  | {
      readonly kind: 'rule'
      readonly rule: string
      readonly options: object
      readonly state: { readonly step: number }
      readonly dtype: DType
      readonly names: readonly string[]
    }

/** What a host effect does, for files. */
export type EffectOrigin =
  /** Counts a step of an optimiser: for good, or until `skip` is read and turns out to be true. */
  | { readonly kind: 'count'; readonly state: { step: number }; readonly skip?: Tensor }
  /** Reads `skip`, and takes back what was counted if it is true. */
  | { readonly kind: 'settle'; readonly skip: Tensor }
  /** Takes a step of a learning rate scheduler. */
  | { readonly kind: 'schedule'; readonly scheduler: object }
  /** Keeps track of the order of calls, which is settled in a program. */
  | { readonly kind: 'bookkeeping' }

export interface GuardOptions {
  /** Whether it goes on to hold until `changes` goes up, so that it need not be looked at before. */
  readonly lasting?: boolean
}

/** Takes ops that come to the door, instead of their being run: records them, or transforms them (`vmap`, `jvp`). */
export interface Tracer {
  /**
   * @param plan What would run; its outputs are the specs of the results, which are tensors without numbers.
   * @param into See `bind`.
   */
  bind(op: Primitive<never>, inputs: readonly (Tensor | Scalar)[], attrs: unknown, plan: Plan, into?: readonly Tensor[]): Tensor[]
  /** Stands for `count` numbers that every run of the recorded program asks `compute` for. */
  lift(count: number, dtype: DType, compute: () => readonly number[], origin?: NumbersOrigin): Scalar[]
  /** Has every run do something on the host, in order with the numbers that it asks for. */
  effect(run: () => void, origin?: EffectOrigin): void
  /** Makes the record hold only as long as `check` does. `what` names it for people. */
  guard(what: string, check: () => boolean, options?: GuardOptions): void
  /** `.grad` of a tensor as the program has it so far. */
  gradOf(x: Tensor): Tensor | null
  setGrad(x: Tensor, gradient: Tensor | null): void
  /** Is told that the numbers of a tensor from outside have been read, on which the record then depends. */
  look?(x: Tensor): void
  /** Function transformations only: the same value as a tensor of this level, which gradients within it can be taken by. */
  variable?(x: Tensor): Tensor
  /** Whether ops on plain tensors run at once, so that their values can be read. */
  readonly runs?: boolean
}

/** Decides how recorded ops keep the values that their gradients need. */
export interface Saver {
  save(value: Tensor | Scalar): Saved
  /** What is being computed a second time, so as not to have been kept since the first. */
  readonly again?: object
}

/** Sees which shapes are looked at while a function is traced, and may give others that tell more. */
export interface ShapeWatcher {
  shape(shape: Shape): Shape
  /** @param count Of a tensor's elements. */
  size(count: number): number
}

/** Runs `body`, which is an op or a compiled function of that name, and remembers how long it took. */
type Watcher = <T>(kind: 'op' | 'compiled', name: string, body: () => T) => T

/** What the door looks at on every op. */
export const modes = {
  /** Whether ops on tensors that require gradients are recorded. */
  grad: true,
  /** Looks for NaN in all results, for which recorded ops remember the user's stack. Null: nobody looks. */
  anomaly: null as AnomalyChecks | null,
  tracer: null as Tracer | null,
  /** Null: recorded ops hold on to what they save. */
  saver: null as Saver | null,
  /** Runs what is timed: ops and compiled functions. Null: nobody looks. */
  watcher: null as Watcher | null,
  /** Sees reads of `shape` and `size`. Null: nobody looks. */
  shapeWatcher: null as ShapeWatcher | null,
  /** The mixed precision that ops cast their operands for. Null: they take them as they come. */
  autocast: null as Autocast | null,
}

/**
 * Runs `body` with some modes changed, and sets them back.
 *
 * @param name What the user called, for the error on an async `body`.
 */
export function withModes<T>(changes: Partial<typeof modes>, body: () => T, name = 'withModes'): T {
  const before = { ...modes }
  Object.assign(modes, changes)
  try {
    const result = body()
    if (result instanceof Promise) refuseAsync(name, result)
    return result
  } finally {
    Object.assign(modes, before)
  }
}

function refuseAsync(op: string, result: Promise<unknown>): never {
  // This error stands for whatever becomes of the promise, which nobody can await any more.
  result.catch(() => {})
  throw new CotangentError('invalid-argument', {
    op,
    message: 'the function is async: what holds inside would end at its first await',
    hint: `Await outside, and call ${op} around the synchronous parts.`,
  })
}

/**
 * Runs `body` without recording gradients, like PyTorch's `no_grad`.
 *
 * @throws `invalid-argument` if `body` is async: the mode would end at its first `await`.
 */
export function noGrad<T>(body: () => T): T {
  return withModes({ grad: false }, body, 'noGrad')
}

/** Runs `body` with gradients recorded, within a `noGrad`. */
export function enableGrad<T>(body: () => T): T {
  return withModes({ grad: true }, body, 'enableGrad')
}

/**
 * `count` numbers at the door that follow from the state of the host, such as a learning rate: asked for now, or, in a program
 * that is being recorded, on each of its runs.
 *
 * @param origin Without it, programs that ask for the numbers cannot be exported.
 */
export function liveScalars(count: number, dtype: DType, compute: () => readonly number[], origin?: NumbersOrigin): Scalar[] {
  return modes.tracer ? modes.tracer.lift(count, dtype, compute, origin) : compute().map((value) => new Scalar(value, dtype))
}

/** Does something to the state of the host: now, or on each run of the program that is being recorded. */
export function hostEffect(run: () => void, origin?: EffectOrigin): void {
  if (modes.tracer) modes.tracer.effect(run, origin)
  else run()
}

/** A value that is there, or one that will be. Pipelines of which all parts answer at once can be gone through without waiting. */
export type Later<T> = T | Pending<T>

/**
 * A value that will be there: like a promise, but those who wait are told at the very moment. So there is never a time at which
 * an element has left one stage of a pipeline and not reached the next, and a state that is saved at any moment is whole.
 */
export class Pending<T> {
  #outcome: { readonly value: T } | { readonly error: unknown } | undefined
  #waiting: { onValue(value: T): void; onError(error: unknown): void }[] = []

  resolve(value: T): void {
    this.#outcome = { value }
    for (const { onValue } of this.#take()) onValue(value)
  }

  reject(error: unknown): void {
    this.#outcome = { error }
    for (const { onError } of this.#take()) onError(error)
  }

  /** Callbacks must not throw. A failure that nobody waits for is forgotten. */
  // oxlint-disable-next-line unicorn/no-thenable -- so that `await` takes it as it is
  then(onValue: (value: T) => void, onError: (error: unknown) => void): void {
    if (!this.#outcome) this.#waiting.push({ onValue, onError })
    else if ('error' in this.#outcome) onError(this.#outcome.error)
    else onValue(this.#outcome.value)
  }

  #take() {
    const waiting = this.#waiting
    this.#waiting = []
    return waiting
  }
}

/**
 * The answer of what was closed while somebody waited for it. No answer leaves those who wait, and so the state of the pass, as they are.
 */
export const unanswered = <T>(): Pending<T> => new Pending()

/** The answer of somebody else's function, which may be a promise. */
export function later<T>(answer: T | PromiseLike<T>): Later<T> {
  if (!isPromise(answer)) return answer
  const pending = new Pending<T>()
  answer.then(
    (value) => pending.resolve(value),
    (error: unknown) => pending.reject(error),
  )
  return pending
}

function isPromise<T>(answer: T | PromiseLike<T>): answer is PromiseLike<T> {
  return typeof answer === 'object' && answer !== null && typeof (answer as { then?: unknown }).then === 'function'
}

/** `change` of a value, now or when it is there. What `change` throws, the result fails with. */
export function after<T, U>(value: Later<T>, change: (value: T) => Later<U>): Later<U> {
  if (!(value instanceof Pending)) return change(value)
  const result = new Pending<U>()
  value.then(
    (there) => settle(result, () => change(there)),
    (error) => result.reject(error),
  )
  return result
}

/** What `attempt` gives, or what `mend` makes of its failure. */
export function recover<T>(attempt: () => Later<T>, mend: (error: unknown) => Later<T>): Later<T> {
  let value: Later<T>
  try {
    value = attempt()
  } catch (error) {
    return mend(error)
  }
  if (!(value instanceof Pending)) return value
  const result = new Pending<T>()
  value.then(
    (there) => result.resolve(there),
    (error) => settle(result, () => mend(error)),
  )
  return result
}

/** Does `last` whatever comes of `attempt`. */
export function finallyDo<T>(attempt: () => Later<T>, last: () => Later<unknown>): Later<T> {
  const outcome = recover<{ value: T } | { error: unknown }>(
    () => after(attempt(), (value) => ({ value })),
    (error) => ({ error }),
  )
  return after(outcome, (known) =>
    after(last(), () => {
      if ('error' in known) throw known.error
      return known.value
    }),
  )
}

function settle<T>(result: Pending<T>, compute: () => Later<T>): void {
  let value: Later<T>
  try {
    value = compute()
  } catch (error) {
    return result.reject(error)
  }
  if (value instanceof Pending)
    value.then(
      (there) => result.resolve(there),
      (error) => result.reject(error),
    )
  else result.resolve(value)
}

/** Code that may wait in the middle: it yields what it waits for and goes on with the value. */
type Routine<T> = Generator<Pending<unknown>, T, unknown>

/** Runs a routine: to its end at once if all that it waits for is there. */
export function run<T>(routine: Routine<T>): Later<T> {
  const first = routine.next()
  if (first.done) return first.value
  const result = new Pending<T>()
  // A loop, because what is awaited may be there already: calling oneself from the callback could go as deep as the data is long.
  const drive = (step: IteratorResult<Pending<unknown>, T>): void => {
    while (!step.done) {
      let answered: (() => IteratorResult<Pending<unknown>, T>) | undefined
      let waiting = true
      const go = (advance: () => IteratorResult<Pending<unknown>, T>) => {
        if (waiting) answered = advance
        else attempt(advance)
      }
      step.value.then(
        (value) => go(() => routine.next(value)),
        (error) => go(() => routine.throw(error)),
      )
      waiting = false
      if (!answered) return
      step = answered()
    }
    result.resolve(step.value)
  }
  const attempt = (advance: () => IteratorResult<Pending<unknown>, T>): void => {
    try {
      drive(advance())
    } catch (error) {
      result.reject(error)
    }
  }
  attempt(() => first)
  return result
}

/** In a routine: `const x = yield* wait(f())`. */
export function* wait<T>(value: Later<T>): Generator<Pending<unknown>, T, unknown> {
  return value instanceof Pending ? ((yield value) as T) : value
}

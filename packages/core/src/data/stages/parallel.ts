import { type Later, Pending, unanswered } from '../later.ts'
import { loadStep, type SavedStep, saveStep } from '../saved-value.ts'
import type { Cursor, Pass, Step } from '../stage.ts'

interface ParallelOptions<T, U> {
  /** Elements that are being made or wait to be handed out, at most. */
  readonly atOnce: number
  /** Whether elements are handed out in the order that they came in, or as they are done. */
  readonly ordered: boolean
  /** @param index Number of the element in this pass. */
  readonly apply: (step: Step<T>, index: number) => Later<U>
}

export interface ParallelState {
  /** Elements that came in. */
  readonly index: number
  /** Those that were not handed out when the state was saved: they are made again. */
  readonly waiting: readonly (SavedStep & { readonly index: number })[]
}

interface Slot<T, U> {
  /** What came in, unless that failed. */
  readonly input: { readonly step: Step<T>; readonly index: number } | undefined
  outcome: { readonly step: Step<U> } | { readonly error: unknown } | undefined
}

/** Changes elements, several at once. */
export function parallelPass<T, U>(
  input: Cursor<T>,
  saved: ParallelState | undefined,
  options: ParallelOptions<T, U>,
): Pass<U, ParallelState> {
  return new ParallelPass(input, saved, options)
}

class ParallelPass<T, U> implements Pass<U, ParallelState> {
  readonly #input: Cursor<T>
  readonly #options: ParallelOptions<T, U>
  #slots: Slot<T, U>[] = []
  #index: number
  #pulling = false
  #ended = false
  #closed = false
  #waiter: Pending<Step<U> | undefined> | undefined
  #restored: ParallelState['waiting']

  constructor(input: Cursor<T>, saved: ParallelState | undefined, options: ParallelOptions<T, U>) {
    this.#input = input
    this.#options = options
    this.#index = saved?.index ?? 0
    this.#restored = saved?.waiting ?? []
  }

  next(): Later<Step<U> | undefined> {
    if (this.#closed) return unanswered()
    if (this.#restored.length > 0) this.#restart()
    // Where everything answers at once there is nothing to keep track of.
    if (this.#options.atOnce === 1 && this.#slots.length === 0 && !this.#pulling && !this.#ended) {
      const step = this.#input.next()
      if (step instanceof Pending) this.#await(step)
      else if (!step) this.#ended = true
      else {
        const value = this.#options.apply(step, this.#index++)
        if (!(value instanceof Pending)) return { value, place: step.place }
        this.#index--
        this.#add(step, () => value)
      }
    } else this.#fill()
    const ready = this.#take()
    if (ready) return unpack(ready)
    if (this.#ended && this.#slots.length === 0) return undefined
    this.#waiter = new Pending()
    return this.#waiter
  }

  state(): ParallelState {
    const waiting = this.#slots.flatMap(({ input }) => (input ? { index: input.index, ...saveStep(input.step) } : []))
    return { index: this.#index, waiting: [...this.#restored, ...waiting] }
  }

  close(): Later<void> {
    this.#closed = true
    return this.#input.close()
  }

  #restart(): void {
    const restored = this.#restored
    this.#restored = []
    for (const { index, ...step } of restored) this.#start(loadStep(step), index)
  }

  /** Takes in elements until enough are under way. */
  #fill(): void {
    const { atOnce } = this.#options
    while (this.#slots.length < atOnce && !this.#pulling && !this.#ended && !this.#closed) {
      let step: Later<Step<T> | undefined>
      try {
        step = this.#input.next()
      } catch (error) {
        this.#slots.push({ input: undefined, outcome: { error } })
        return
      }
      if (step instanceof Pending) return this.#await(step)
      if (!step) this.#ended = true
      else if (this.#add(step)) return
    }
  }

  #await(step: Pending<Step<T> | undefined>): void {
    this.#pulling = true
    step.then(
      (there) => {
        this.#pulling = false
        if (there) this.#add(there)
        else this.#ended = true
        this.#fill()
        this.#deliver()
      },
      (error) => {
        this.#pulling = false
        this.#slots.push({ input: undefined, outcome: { error } })
        this.#deliver()
      },
    )
  }

  /** Whether the element can be handed out at once. */
  #add(step: Step<T>, apply?: () => Later<U>): boolean {
    const slot = this.#start(step, this.#index++, apply)
    return slot.outcome !== undefined && (!this.#options.ordered || this.#slots[0] === slot)
  }

  #start(step: Step<T>, index: number, apply = () => this.#options.apply(step, index)): Slot<T, U> {
    const slot: Slot<T, U> = { input: { step, index }, outcome: undefined }
    this.#slots.push(slot)
    const finish = (value: U) => {
      slot.outcome = { step: { value, place: step.place } }
    }
    try {
      const value = apply()
      if (value instanceof Pending)
        value.then(
          (there) => {
            finish(there)
            this.#deliver()
          },
          (error) => {
            slot.outcome = { error }
            this.#deliver()
          },
        )
      else finish(value)
    } catch (error) {
      slot.outcome = { error }
    }
    return slot
  }

  #take(): Slot<T, U> | undefined {
    const at = this.#options.ordered ? 0 : this.#slots.findIndex(({ outcome }) => outcome !== undefined)
    const slot = this.#slots[at]
    if (slot?.outcome === undefined) return undefined
    this.#slots.splice(at, 1)
    return slot
  }

  #deliver(): void {
    const waiter = this.#waiter
    // What is not handed out stays in the state.
    if (!waiter || this.#closed) return
    const slot = this.#take()
    if (!slot && !(this.#ended && this.#slots.length === 0)) return
    this.#waiter = undefined
    if (!slot) waiter.resolve(undefined)
    else if ('error' in slot.outcome!) waiter.reject(slot.outcome.error)
    else waiter.resolve(slot.outcome!.step)
  }
}

function unpack<T, U>({ outcome }: Slot<T, U>): Step<U> {
  if ('error' in outcome!) throw outcome.error
  return outcome!.step
}

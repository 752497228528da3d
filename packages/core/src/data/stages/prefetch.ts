import { checkCount } from '../check.ts'
import { type Later, Pending, unanswered } from '../later.ts'
import { loadStep, type SavedStep, saveStep } from '../saved-value.ts'
import { type Cursor, type Pass, type Stage, stageOver, type Step } from '../stage.ts'

/** Elements to have ready; `'auto'` begins with few and doubles when the consumer had to wait although all were ready before. */
export type PrefetchDepth = number | 'auto'

const autoDepth = { least: 2, most: 64 }

export function prefetchStage<T>(input: Stage<T>, depth: PrefetchDepth): Stage<T> {
  if (depth !== 'auto') checkCount('prefetch', 'depth', depth)
  return stageOver<T, T, PrefetchState>({
    name: 'prefetch',
    input,
    length: input.length,
    pass: (cursor, _, saved) => new PrefetchPass(cursor, depth, saved),
  })
}

export interface PrefetchState {
  readonly queue: readonly SavedStep[]
}

/** Asks for elements before they are asked for. An input that answers at once has nothing to gain and is asked when need be. */
export class PrefetchPass<T> implements Pass<T, PrefetchState> {
  readonly #input: Cursor<T>
  readonly #auto: boolean
  #depth: number
  #queue: ({ readonly step: Step<T> } | { readonly error: unknown })[]
  #wasFull = false
  #pulling = false
  #ended = false
  #closed = false
  #waiter: Pending<Step<T> | undefined> | undefined

  constructor(input: Cursor<T>, depth: PrefetchDepth, saved?: PrefetchState) {
    this.#input = input
    this.#auto = depth === 'auto'
    this.#depth = depth === 'auto' ? autoDepth.least : depth
    this.#queue = (saved?.queue ?? []).map((step) => ({ step: loadStep(step) }))
  }

  next(): Later<Step<T> | undefined> {
    const ready = this.#queue.shift()
    if (ready) {
      this.#pump()
      if ('error' in ready) throw ready.error
      return ready.step
    }
    if (this.#ended) return undefined
    if (this.#closed) return unanswered()
    if (this.#auto && this.#wasFull) {
      this.#depth = Math.min(2 * this.#depth, autoDepth.most)
      this.#wasFull = false
    }
    if (!this.#pulling) {
      const step = this.#input.next()
      if (!(step instanceof Pending)) {
        this.#ended = step === undefined
        return step
      }
      this.#await(step)
    }
    this.#waiter = new Pending()
    return this.#waiter
  }

  state(): PrefetchState {
    return { queue: this.#queue.flatMap((entry) => ('step' in entry ? saveStep(entry.step) : [])) }
  }

  close(): Later<void> {
    this.#closed = true
    return this.#input.close()
  }

  #pump(): void {
    while (!this.#pulling && !this.#ended && !this.#closed && this.#queue.length < this.#depth) {
      try {
        const step = this.#input.next()
        if (step instanceof Pending) return this.#await(step)
        if (step) this.#queue.push({ step })
        else this.#ended = true
      } catch (error) {
        this.#queue.push({ error })
        return
      }
    }
    this.#wasFull ||= this.#queue.length >= this.#depth
  }

  #await(answer: Pending<Step<T> | undefined>): void {
    this.#pulling = true
    answer.then(
      (step) => {
        this.#pulling = false
        const waiter = this.#take()
        if (!step) this.#ended = true
        else if (!waiter) this.#queue.push({ step })
        // First the next one is under way, then this one is dealt with.
        this.#pump()
        waiter?.resolve(step)
      },
      (error) => {
        this.#pulling = false
        const waiter = this.#take()
        if (waiter) waiter.reject(error)
        else this.#queue.push({ error })
      },
    )
  }

  #take(): Pending<Step<T> | undefined> | undefined {
    const waiter = this.#waiter
    this.#waiter = undefined
    return waiter
  }
}

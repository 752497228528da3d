import { checkCount } from '../check.ts'
import { run, wait } from '../later.ts'
import { applyTo } from '../place.ts'
import { loadStep, type SavedStep, saveStep } from '../saved-value.ts'
import { elementsStage, type ElementsLike } from '../sources/elements.ts'
import { type Cursor, type Stage, stageOver, type Step } from '../stage.ts'
import { PrefetchPass, type PrefetchState } from './prefetch.ts'
import { closeAll } from './zip.ts'

/** Makes of an element a dataset, or anything that has elements. */
export type InnerFunction<T, U> = (value: T) => ElementsLike<U> | PromiseLike<ElementsLike<U>>

/** How many sources are read in turns, and how many elements each gives in its turn. */
export interface InterleaveOptions {
  /** Inner datasets that are open at a time; default 4. */
  readonly cycleLength?: number
  /** Elements taken from one before it is the next one's turn; default 1. */
  readonly blockLength?: number
  /** Elements that each open one makes ahead, all of them at the same time; default 0. The order stays the same. */
  readonly prefetch?: number
}

interface InnerState extends SavedStep {
  readonly number: number
  readonly cursor: unknown
}

interface InterleaveState {
  /** Inner datasets that were opened. */
  readonly opened: number
  readonly slots: readonly (InnerState | null)[]
  readonly at: number
  readonly taken: number
  /** An element of the input that has not become an inner dataset yet. */
  readonly held: SavedStep | null
}

interface Slot<T, U> {
  readonly step: Step<T>
  readonly number: number
  readonly cursor: Cursor<U>
}

export function interleaveStage<T, U>(name: string, input: Stage<T>, f: InnerFunction<T, U>, options: InterleaveOptions): Stage<U> {
  const { cycleLength = 4, blockLength = 1, prefetch = 0 } = options
  checkCount(name, 'cycleLength', cycleLength)
  checkCount(name, 'blockLength', blockLength, { infinite: true })
  checkCount(name, 'prefetch', prefetch, { least: 0 })
  return stageOver<T, U, InterleaveState>({
    name,
    input,
    length: undefined,
    pass: (cursor, opening, saved) => {
      let opened = saved?.opened ?? 0
      let at = saved?.at ?? 0
      let taken = saved?.taken ?? 0
      let held: Step<T> | undefined = saved?.held ? loadStep(saved.held) : undefined
      let slots: (Slot<T, U> | undefined)[] = Array.from({ length: cycleLength }, () => undefined)
      let toOpen = saved?.slots
      let ended = false
      function* enter(step: Step<T>, number: number, state?: unknown) {
        const inner = yield* wait(applyTo(name, step, f))
        const stage = elementsStage(inner)
        const own = stage.open(opening.input(1).repetition(number), prefetch > 0 ? (state as AheadState | undefined)?.cursor : state)
        return { step, number, cursor: prefetch > 0 ? ahead(own, prefetch, (state as AheadState | undefined)?.queue) : own }
      }
      function* reopen(states: InterleaveState['slots']) {
        const made: (Slot<T, U> | undefined)[] = []
        for (const slot of states) made.push(slot ? yield* enter(loadStep<T>(slot), slot.number, slot.cursor) : undefined)
        slots = made
        toOpen = undefined
      }
      const turn = () => {
        at = (at + 1) % cycleLength
        taken = 0
      }
      function* next() {
        if (toOpen) yield* reopen(toOpen)
        for (;;) {
          const slot = slots[at]
          if (slot) {
            const step = yield* wait(slot.cursor.next())
            if (step) {
              if (++taken >= blockLength) turn()
              return step
            }
            slots[at] = undefined
            turn()
            yield* wait(slot.cursor.close())
          } else if (ended) {
            if (slots.every((open) => !open)) return undefined
            turn()
          } else {
            held ??= yield* wait(cursor.next())
            if (!held) ended = true
            else {
              const step = held
              try {
                slots[at] = yield* enter(step, opened)
              } finally {
                opened++
                held = undefined
              }
            }
          }
        }
      }
      return {
        next: () => run(next()),
        state: () => ({
          opened,
          at,
          taken,
          held: held ? saveStep(held) : null,
          slots:
            toOpen ?? slots.map((slot) => (slot ? { ...saveStep(slot.step), number: slot.number, cursor: slot.cursor.state() } : null)),
        }),
        close: () => closeAll([...slots.flatMap((slot) => slot?.cursor ?? []), cursor]),
      }
    },
  })
}

interface AheadState {
  readonly cursor: unknown
  readonly queue: PrefetchState
}

function ahead<U>(cursor: Cursor<U>, depth: number, queue: PrefetchState | undefined): Cursor<U> {
  const pass = new PrefetchPass(cursor, depth, queue)
  return {
    next: () => pass.next(),
    state: (): AheadState => ({ cursor: cursor.state(), queue: pass.state() }),
    close: () => pass.close(),
  }
}

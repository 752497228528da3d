import { indexedStage } from '../indexed.ts'
import { after, Pending, run } from '../later.ts'
import type { Indexed, Opening, Stage, Step } from '../stage.ts'

/**
 * Keeps elements in memory when they are first made: later passes get the same ones, in the order of the first. Elements with
 * indices are kept one by one, others once a pass has seen all of them.
 */
export function cacheStage<T>(input: Stage<T>): Stage<T> {
  const { indexed } = input
  if (indexed && input.length !== Infinity) return indexedCache(input, (opening) => indexed(opening))
  let kept: readonly Step<T>[] | undefined
  return {
    name: 'cache',
    inputs: [input],
    length: input.length,
    open(opening, state) {
      let given = (state as number | undefined) ?? 0
      // What is kept is the same whichever pass made it.
      const cursor = kept ? undefined : input.open(opening.input().fixed)
      const seen: Step<T>[] = []
      function* fill() {
        // The first ones have been handed out before, by a program that is no more.
        while (seen.length <= given) {
          const answer = cursor!.next()
          const step = answer instanceof Pending ? ((yield answer) as Step<T> | undefined) : answer
          if (!step) {
            kept = seen
            return
          }
          seen.push(step)
        }
      }
      const hold = () => (kept ?? seen)[given]
      const give = (step: Step<T> | undefined) => {
        if (step) given++
        return step
      }
      return {
        next: () => (kept || !cursor ? give(hold()) : after(run(fill()), () => give(hold()))),
        state: () => given,
        close: () => cursor?.close(),
      }
    },
  }
}

function indexedCache<T>(input: Stage<T>, indexed: (opening: Opening) => Indexed<T>): Stage<T> {
  const kept = new Map<number, T>()
  return indexedStage({
    name: 'cache',
    inputs: [input],
    length: input.length!,
    hasRows: input.hasRows ?? false,
    open: (opening): Indexed<T> => {
      const elements = indexed(opening.input().fixed)
      // Slices of tensors are in memory.
      if (elements.rows) return elements
      return {
        length: elements.length,
        at: (index) =>
          kept.has(index)
            ? kept.get(index)!
            : after(elements.at(index), (value) => {
                kept.set(index, value)
                return value
              }),
        placeOf: (index) => elements.placeOf(index),
      }
    },
  })
}

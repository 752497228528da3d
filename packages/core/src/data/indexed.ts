import { Pending } from './later.ts'
import { changed } from './place.ts'
import type { Cursor, Indexed, Opening, Stage } from './stage.ts'

interface IndexedSpec<T> {
  readonly name: string
  readonly inputs?: readonly Stage<unknown>[]
  readonly length: number
  readonly hasRows?: boolean
  readonly open: (opening: Opening) => Indexed<T>
}

/** A stage whose elements can be had in any order. Its whole state is how many were handed out. */
export function indexedStage<T>({ name, inputs = [], length, hasRows = false, open }: IndexedSpec<T>): Stage<T> {
  return { name, inputs, length, hasRows, indexed: open, open: (opening, state) => openIndexed(open(opening), state) }
}

function openIndexed<T>(elements: Indexed<T>, state: unknown): Cursor<T> {
  let next = (state as number | undefined) ?? 0
  let waiting = false
  const arrived = () => {
    waiting = false
  }
  return {
    next: () => {
      if (next >= elements.length) return undefined
      const index = next++
      const value = elements.at(index)
      if (value instanceof Pending) {
        waiting = true
        value.then(arrived, arrived)
      }
      return changed({ value: undefined, place: elements.placeOf(index) }, value)
    },
    // One that is being made has not been handed out.
    state: () => next - Number(waiting),
    close: () => {},
  }
}

/** Elements in another order: `order` has their indices. */
export function reordered<T>(elements: Indexed<T>, order: Int32Array): Indexed<T> {
  const { rows } = elements
  return {
    length: order.length,
    at: (index) => elements.at(order[index]!),
    placeOf: (index) => elements.placeOf(order[index]!),
    ...(rows && {
      rows: (indices) =>
        rows(indices instanceof Int32Array ? indices.map((i) => order[i]!) : order.subarray(indices.start, indices.start + indices.count)),
    }),
  }
}

/** `length` elements from `start` on, each `step`-th. */
export function stridden<T>(elements: Indexed<T>, { start, step, length }: { start: number; step: number; length: number }): Indexed<T> {
  const { rows } = elements
  return {
    length,
    at: (index) => elements.at(start + index * step),
    placeOf: (index) => elements.placeOf(start + index * step),
    ...(rows && {
      rows: (indices) => {
        if (indices instanceof Int32Array) return rows(indices.map((i) => start + i * step))
        if (step === 1) return rows({ start: start + indices.start, count: indices.count })
        return rows(Int32Array.from({ length: indices.count }, (_, i) => start + (indices.start + i) * step))
      },
    }),
  }
}

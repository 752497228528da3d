import { checkCount } from '../check.ts'
import { indexedStage } from '../indexed.ts'
import { applyTo } from '../place.ts'
import type { Indexed, Stage } from '../stage.ts'

/** Elements with a number each, which can be had in any order: PyTorch's map-style dataset. */
export interface IndexedElements<T> {
  readonly length: number
  get(index: number): T | PromiseLike<T>
}

export function indexedElementsStage<T>(elements: IndexedElements<T>, name = 'fromIndexed'): Stage<T> {
  const { length } = elements
  checkCount(name, 'length', length, { least: 0 })
  const indexed: Indexed<T> = {
    length,
    at: (index) => applyTo(name, { value: index, place: indexed.placeOf(index) }, (i) => elements.get(i)),
    placeOf: (index) => ({ source: name, index }),
  }
  return indexedStage({ name, length, open: () => indexed })
}

/** An array's elements as they are: one that is a promise stays one. */
export function arrayStage<T>(values: readonly T[]): Stage<T> {
  const { length } = values
  const indexed: Indexed<T> = { length, at: (index) => values[index]!, placeOf: (index) => ({ index }) }
  return indexedStage({ name: 'from', length, open: () => indexed })
}

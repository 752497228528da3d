import { expect, it } from 'vitest'
import type { Binding, NativeProduct } from './binding.ts'
import { RoutineCache } from './routine-cache.ts'

/** Hands out numbered handles, and knows which of them were not released. */
function counting() {
  const live = new Set<object>()
  let made = 0
  const binding = {
    prepare(description: NativeProduct) {
      if (description.words === 0) return undefined
      made++
      const handle = { words: description.words }
      live.add(handle)
      return { handle, scratchBytes: description.words, implementation: '' }
    },
    release: (handle: object) => void live.delete(handle),
  } as unknown as Binding
  return { binding, live, made: () => made }
}

// Only that they differ counts.
const description = (words: number) => ({ words }) as NativeProduct

it('keeps the latest ones, one for equal descriptions', () => {
  const { binding, live, made } = counting()
  const cache = new RoutineCache(binding, 2)
  const [one, two] = [cache.get(description(1))!, cache.get(description(2))!]
  expect(cache.get(description(1))).toBe(one)
  expect(made()).toBe(2)
  one.handle()
  const three = cache.get(description(3))!
  // Two had not run for longest.
  expect([...live]).toEqual([one.handle(), three.handle()])
  expect(two.handle()).toEqual({ words: 2 })
  expect(cache.size).toBe(2)
  expect(live.size).toBe(2)
  expect(made()).toBe(4)
  expect(two.scratchBytes).toBe(2)
})

it('two users of one description that was forgotten share it again', () => {
  const { binding, live } = counting()
  const cache = new RoutineCache(binding, 1)
  const first = cache.get(description(1))!
  cache.get(description(2))!.handle()
  const second = cache.get(description(1))!
  for (const user of [first, second, first, second]) {
    expect(live.has(user.handle())).toBe(true)
    expect(live.size).toBe(1)
  }
})

it('tells numbers apart that JSON does not', () => {
  const { binding, made } = counting()
  const cache = new RoutineCache(binding, 10)
  const numbers = [NaN, Infinity, -Infinity, 0, -0, 1]
  for (let round = 0; round < 2; round++)
    for (const value of numbers) cache.get({ words: 1, postOps: [{ value }] } as unknown as NativeProduct)
  expect(made()).toBe(numbers.length)
})

it('does not remember what there is nothing for', () => {
  const { binding } = counting()
  const cache = new RoutineCache(binding, 1)
  expect(cache.get(description(0))).toBeUndefined()
  expect(cache.size).toBe(0)
})

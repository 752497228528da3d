import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { WeakReferences } from '../../core/src/engine/object-watcher.ts'
import { Reclaimer } from '../../core/src/tensor/reclaim.ts'
import { loaded, nativeEngine } from './engines.ts'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as (options?: { type: 'minor' }) => void

/** Of its own stack frame, so that no register holds the objects. */
function watchSome(watch: (object: object) => number, count: number, held?: object[]): number[] {
  return Array.from({ length: count }, () => {
    const object = {}
    held?.push(object)
    return watch(object)
  })
}

test.runIf(loaded)('objects that nobody holds are seen to go by a collection of young ones', () => {
  const { binding } = loaded!
  const watcher = binding.watcher()
  const watch = (object: object) => binding.watch(watcher, object)
  const held: object[] = []
  const kept = watchSome(watch, 20, held)
  const dropped = watchSome(watch, 20)
  expect(binding.gone(watcher)).toEqual([])
  gc({ type: 'minor' })
  const gone = binding.gone(watcher)
  // A register may hold the last one.
  expect(gone.length).toBeGreaterThanOrEqual(19)
  expect(dropped).toEqual(expect.arrayContaining(gone))
  expect(binding.gone(watcher)).toEqual([])
  // Numbers are given out again, and never twice at a time.
  expect(gone).toContain(watch(held))
  expect(held.length).toBe(kept.length)
  for (const number of kept) binding.forget(watcher, number)
  expect(() => binding.forget(watcher, kept[0]!)).toThrow(/no object of that number/)
  expect(() => binding.forget(watcher, 1e6)).toThrow(/no object of that number/)
  expect(() => binding.watch(watcher, 1 as never)).toThrow(/only objects/)
  expect(() => binding.gone({} as never)).toThrow(/not what this function works on/)
  held.length = 0
  gc()
  expect(kept.some((number) => binding.gone(watcher).includes(number))).toBe(false)
})

test('weak references of JavaScript need a full collection', async () => {
  const references = new WeakReferences()
  const numbers = watchSome((object) => references.watch(object), 20)
  references.forget(numbers.shift()!)
  await new Promise((resolve) => setTimeout(resolve))
  gc()
  expect(references.gone().length).toBeGreaterThanOrEqual(18)
  expect(references.gone()).toEqual([])
})

test.runIf(loaded)('memory that grows is freed by collections of young objects', () => {
  const { engine } = nativeEngine(1)
  try {
    expect(engine.watcher!.seesYoung).toBe(true)
    const reclaimer = new Reclaimer(engine, { leastGrowth: 2 ** 20, mostGrowth: 2 ** 20 })
    const before = engine.memoryUse().inUse
    const spec = { dtype: 'float32', size: 2 ** 16 } as Parameters<Reclaimer['allocate']>[0]
    let most = 0
    for (let i = 0; i < 500; i++) {
      reclaimer.track(reclaimer.allocate(spec, 'test'))
      most = Math.max(most, engine.memoryUse().inUse - before)
    }
    // 125 MB in all.
    expect(most).toBeLessThan(3 * 2 ** 20)
  } finally {
    engine.close()
  }
})

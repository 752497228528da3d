import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Operand, Routine } from '../../core/src/engine/routine.ts'
import { rowMajor } from '../src/layout.ts'
import { both, loaded, nativeEngine } from './engines.ts'

const dense = (shape: readonly number[]): Operand => ({ dtype: 'float32', shape, strides: rowMajor(shape) })
const matmul = (m: number, k: number, n: number): Routine => ({
  kind: 'routine',
  name: 'matmul',
  attrs: {},
  inputs: [dense([m, k]), dense([k, n])],
  outputs: [dense([m, n])],
})
// Its threads wait for each other before they add up what each has.
const gradient = (batch: number, size: number, from: number, to: number): Routine =>
  ({
    kind: 'routine',
    name: 'convGradWeight',
    attrs: { kernel: [3, 3], stride: [1, 1], padding: [1, 1].map((p) => [p, p]), dilation: [1, 1], groups: 1 },
    inputs: [dense([batch, size, size, from]), dense([batch, size, size, to])],
    outputs: [dense([3, 3, from, to])],
  }) as Routine

const threadsOfProcess = () => readdirSync('/proc/self/task').length

describe.skipIf(!loaded || !loaded.binding.info().threadsShared)("the engine's threads", () => {
  test.each([2, 3, 8])('%i of them compute what one does, awake, asleep or still starting', (threads) => {
    const { engine } = nativeEngine(threads)
    for (const wait of [false, true]) {
      if (wait) expect(engine.pool.awaitWorkers(10_000)).toBe(true)
      for (let i = 0; i < 12; i++) {
        // Workers sleep after 50 microseconds.
        if (i % 4 === 3) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
        for (const routine of [matmul(65 + i, 70, 129), gradient(3, 9, 16, 32 + i), matmul(7, 300, 20)]) {
          const { expected, actual } = both(engine, routine)
          expect(actual).toEqual(expected)
        }
      }
    }
    engine.pool.close()
  })

  test.skipIf(process.platform !== 'linux')('are all that there are: oneDNN starts none', () => {
    const { engine } = nativeEngine(2)
    expect(engine.pool.awaitWorkers(10_000)).toBe(true)
    both(engine, matmul(64, 64, 64))
    both(engine, matmul(64, 64, 64))
    const before = threadsOfProcess()
    for (let i = 0; i < 50; i++) both(engine, matmul(100 + i, 64, 100))
    expect(threadsOfProcess()).toBe(before)
    engine.pool.close()
  })

  test('come and go: other numbers of threads, between routines and in routines that are ready', () => {
    const { engine } = nativeEngine(2)
    for (const threads of [4, 1, 2, 6, 3]) {
      engine.pool.setThreads(threads)
      for (const routine of [matmul(90, 80, 70), gradient(2, 8, 16, 16)]) {
        const { expected, actual } = both(engine, routine)
        expect(actual).toEqual(expected)
      }
    }
    engine.pool.close()
  })

  test('are let go when a routine fails', () => {
    const { binding } = loaded!
    const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true })
    const heap = binding.attach(new Uint8Array(memory.buffer))
    const team = binding.team(heap)
    expect(() => binding.run(heap, {}, 0, 0, 1, 0)).toThrow(/not what this function works on/)
    binding.assist(0, 1, 1, team, 1)
    binding.assist(0, 1, 1, team + 1000, 1)
  })
})

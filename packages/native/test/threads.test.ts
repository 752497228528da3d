import { readdirSync } from 'node:fs'
import type { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { KernelBuilder } from '../../core/src/engine/kernel.ts'
import type { Operand, Routine } from '../../core/src/engine/routine.ts'
import { awaitWorkers } from '../../core/src/engine/wasm/await-workers.ts'
import { runProgram, small } from '../../core/test/engine.ts'
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
      if (wait) expect(awaitWorkers(engine.pool, 10_000)).toBe(true)
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
    expect(awaitWorkers(engine.pool, 10_000)).toBe(true)
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

  test('stay between routines, and go back for kernels, other numbers of threads and good', async () => {
    const { engine } = nativeEngine(2)
    const started: Worker[] = []
    const note = (worker: Worker) => started.push(worker)
    process.on('worker', note)
    expect(awaitWorkers(engine.pool, 10_000)).toBe(true)
    const size = 2 ** 18
    const k = new KernelBuilder('double', [size])
    k.output('float32', k.mul(k.load(k.input('float32'), [1]), k.constant('float32', 2)))
    const kernel = k.build()
    const numbers = small(3, size)
    const doubled = numbers.map((n) => n * 2)
    const turn = () => new Promise((resolve) => setTimeout(resolve, 5))
    const check = () => {
      const { expected, actual } = both(engine, matmul(70, 60, 50))
      expect(actual).toEqual(expected)
    }
    for (let i = 0; i < 6; i++) {
      await turn()
      check()
      if (i % 2 === 0) expect(runProgram(engine, kernel, [numbers])[0]).toEqual(doubled)
      check()
      // It may be in the addon at this moment.
      const worker = started.at(-1)!
      await worker.terminate()
      await turn()
      check()
      expect(awaitWorkers(engine.pool, 10_000)).toBe(true)
      await turn()
      expect(started.at(-1)).not.toBe(worker)
    }
    check()
    engine.pool.setThreads(1)
    check()
    process.off('worker', note)
    engine.pool.close()
  })

  test('use no CPU when idle', async () => {
    const { engine } = nativeEngine(2)
    expect(awaitWorkers(engine.pool, 10_000)).toBe(true)
    for (let i = 0; i < 5; i++) both(engine, matmul(70, 60, 50))
    await new Promise((resolve) => setTimeout(resolve, 20))
    const before = process.cpuUsage()
    await new Promise((resolve) => setTimeout(resolve, 300))
    const { user, system } = process.cpuUsage(before)
    expect((user + system) / 1000).toBeLessThan(150)
    engine.pool.close()
  })

  test('are let go when a routine fails', () => {
    const { binding } = loaded!
    const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true })
    const heap = binding.attach(new Uint8Array(memory.buffer))
    const team = binding.team(heap)
    expect(() => binding.run(heap, {}, 0, 0, 1, 0)).toThrow(/not what this function works on/)
    const word = new Int32Array(memory.buffer, 64, 1)
    binding.assist(0, 1, 1, 64, 1e9, team, 2)
    word[0] = 1
    binding.assist(0, 1, 1, 64, 50, team, 1)
    binding.assist(0, 1, 1, 64, 1e9, team + 1000, 2)
  })
})

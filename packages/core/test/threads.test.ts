import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { dropout, manualSeed, normal, randint, registerEngine, setEngine, setThreads, type Tensor, uniform, zeros, conv2d } from 'cotangent'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { referenceRoutine } from '../src/engine/reference/routine.ts'
import { WasmEngine } from '../src/engine/wasm/engine.ts'
import { expectError } from './bad-call.ts'
import { bundle } from './bundle.ts'

const notices: string[] = []
const engine = new WasmEngine({ threads: 3, fallback: referenceRoutine, notice: (message) => notices.push(message) })
registerEngine('threads', () => engine)
const second = new WasmEngine({ threads: 2, fallback: referenceRoutine })
registerEngine('second', () => second)

const folder = mkdtempSync(join(tmpdir(), 'cotangent-'))

/** The workers that the engines start, so that tests can end them. */
const workers: Worker[] = []
const threads = process.getBuiltinModule('node:worker_threads')
const started = threads.Worker

beforeAll(() => {
  threads.Worker = class extends started {
    constructor(...args: ConstructorParameters<typeof started>) {
      super(...args)
      workers.push(this)
    }
  }
})
beforeEach(async () => {
  setEngine('threads')
  await setThreads(3)
})
afterEach(() => {
  setEngine('wasm')
})
afterAll(() => {
  threads.Worker = started
  engine.close()
  second.close()
  rmSync(folder, { recursive: true })
})

/** A program of `fixtures` as a file that Node runs as it is. */
async function bundled(name: string): Promise<string> {
  const { code } = await bundle(new URL(`./fixtures/${name}`, import.meta.url))
  const file = join(folder, `${name}.mjs`)
  writeFileSync(file, code)
  return file
}

const large = 300_000

/** Ops that are long enough to be shared, each a function of the seed alone. */
const computations: Readonly<Record<string, () => Tensor[]>> = {
  elementwise: () => [uniform([large]).exp().mul(1.3).sin()],
  reductions: () => {
    const x = normal([517, 613])
    return [x.sum(), x.sum(0), x.mean(1), x.variance(), x.max(0), x.argmax(), x.norm(), x.prod(1)]
  },
  softmax: () => [normal([700, 501]).softmax(1), normal([501, 300]).logSoftmax(0)],
  matmul: () => [normal([257, 130]).matmul(normal([130, 311])), normal([5, 90, 70]).matmul(normal([70, 65]))],
  conv: () => {
    const x = normal([4, 31, 29, 16]).setRequiresGrad()
    const w = normal([3, 3, 16, 24]).setRequiresGrad()
    const y = conv2d(x, w, { padding: 1, stride: 2 })
    y.square().sum().backward()
    return [y.detach(), x.grad!, w.grad!]
  },
  random: () => [uniform([large]), normal([large]), randint(0, 1000, [large]), dropout(normal([large]), 0.3)],
  sort: () => [normal([40, 5000]).sort().values, normal([large]).cumSum(0)],
  scatter: () => [zeros([1000]).indexAdd(0, randint(0, 1000, [large]), normal([large]))],
}

/** Stands for all bits of a tensor, and is quick to compare. */
const bits = (x: Tensor) => createHash('sha1').update(x.dataSync()).digest('hex')

const run = (name: string) => {
  manualSeed(3)
  return computations[name]!().map(bits)
}

test.each(Object.keys(computations))('%s: the same bits on 1, 2 and 3 threads', async (name) => {
  await setThreads(1)
  const expected = run(name)
  for (const count of [2, 3]) {
    await setThreads(count)
    expect(run(name)).toEqual(expected)
  }
})

test('tensors live through changes of the thread count', async () => {
  const x = normal([large])
  const before = bits(x)
  const total = x.sum().item()
  for (const count of [1, 3, 2, 4, 1, 3]) {
    await setThreads(count)
    expect(x.sum().item()).toBe(total)
    expect(engine.threads).toBe(count)
  }
  expect(bits(x)).toBe(before)
})

test('ops between setThreads and its end use the threads that are there', async () => {
  await setThreads(1)
  const up = setThreads(3)
  const x = uniform([large])
  const sum = x.sum().item()
  await up
  expect(x.sum().item()).toBe(sum)
})

describe('a failure', () => {
  test('a trap during an op, on any thread, is an error of the caller, and the next op works', () => {
    const good = uniform([large])
    const bad = uniform([large])
    const { buffer } = bad.storage as unknown as { buffer: { pointer: number } }
    const { pointer } = buffer
    for (let i = 0; i < 5; i++) {
      // Past the end of the heap.
      buffer.pointer = 2 ** 32 - 2 ** 20 + 64 * i
      try {
        const { cause } = expectError(() => bad.add(good), 'engine-failure', /add.*: .*(out of bounds|index)/)
        expect(cause).toBeInstanceOf(Error)
      } finally {
        buffer.pointer = pointer
      }
      expect(good.add(good).sub(good.mul(2)).abs().max().item()).toBe(0)
    }
  })

  test('workers that are terminated are replaced, and no result is wrong', async () => {
    const x = normal([large])
    const expected = bits(x.exp())
    for (let i = 0; i < 2; i++) {
      const running = workers.splice(0)
      expect(running.length).toBeGreaterThan(0)
      const ended = Promise.all(running.map((worker) => worker.terminate()))
      // Until the crew knows, an op may fail, but only as ours do.
      try {
        expect(bits(x.exp())).toBe(expected)
      } catch (error) {
        expect(error).toMatchObject({ code: 'engine-failure' })
      }
      await ended
      expect(bits(x.exp())).toBe(expected)
      await setThreads(3)
      expect(bits(x.exp())).toBe(expected)
    }
  })
})

test('two engines with threads in one process', async () => {
  const a = normal([large])
  setEngine('second')
  await setThreads(2)
  const b = uniform([large])
  expect(b.mul(2).sum().item()).toBeCloseTo(b.sum().item() * 2, 0)
  expect(a.mul(2).engine).toBe(engine)
  expect(b.mul(2).engine).toBe(second)
  expectError(() => a.add(b), 'invalid-argument', /different engines/)
})

test('in a worker thread', async () => {
  const file = await bundled('in-worker.ts')
  const inside = await new Promise<Float32Array>((resolve, reject) => {
    const worker = new started(file, { execArgv: [] })
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  manualSeed(7)
  const x = normal([300, 300])
  // The bundle knows nothing of `compile`, which brings a way to go over rows that adds up in another order.
  const here = x.matmul(x).softmax(1).sum(0).dataSync()
  expect(inside).toHaveLength(300)
  inside.forEach((value, i) => expect(value).toBeCloseTo(Number(here[i]), 5))
})

test('a program ends by itself', async () => {
  const child = spawn(process.execPath, [await bundled('trains-and-ends.ts')], { stdio: 'pipe' })
  let output = ''
  let errors = ''
  let printed = 0
  child.stdout.on('data', (chunk) => {
    output += String(chunk)
    printed = performance.now()
  })
  child.stderr.on('data', (chunk) => (errors += String(chunk)))
  const code = await new Promise((resolve) => child.on('exit', resolve))
  expect(errors).toBe('')
  expect(code).toBe(0)
  expect(Number(output)).toBeLessThan(2)
  expect(performance.now() - printed).toBeLessThan(2000)
})

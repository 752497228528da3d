import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, expectTypeOf, test, vi } from 'vitest'
import { currentEngine } from '../../engine/registry.ts'
import { arange, type CotangentError, type Tensor, tensor } from '../../index.ts'
import { Dataset } from '../dataset.ts'
import { elementsOf, expectResumes, plain } from '../test/resume.ts'
import type { Order, transform } from '../test/transform.ts'
import type { double } from '../test/typed-transform.ts'
import { WorkerPool } from '../worker-pool.ts'

// As one file of JavaScript, because workers that translate the whole library first take seconds to start.
const folder = mkdtempSync(join(tmpdir(), 'workers-'))
const module = pathToFileURL(join(folder, 'transform.js'))
const pool = new WorkerPool<typeof transform>(module, { workers: 2 })
beforeAll(async () => {
  const source = (name: string) => fileURLToPath(new URL(`../test/${name}.ts`, import.meta.url))
  const bundle = await rolldown({
    input: { transform: source('transform'), program: source('idle-pool') },
    platform: 'node',
    resolve: { conditionNames: ['source', 'node', 'import'] },
  })
  await bundle.write({ dir: folder, format: 'esm' })
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await bundle.close()
})
afterAll(async () => {
  await pool.close()
  rmSync(folder, { recursive: true })
})
const orders = (n: number, kind: Order['do'] = 'wait') => Dataset.range(n).map((x): Order => ({ do: kind, x, tensor: tensor([x, 1]) }))
const thrown = (dataset: Dataset<unknown>): Promise<CotangentError> =>
  elementsOf(dataset).then(
    () => expect.unreachable(),
    (error) => error,
  )

describe('mapInWorkers', () => {
  test('tensors go and come back, in order', async () => {
    const dataset = orders(9).mapInWorkers<typeof transform>(pool)
    type Element = { index: number; sum: Tensor; bytes: Uint8Array<ArrayBuffer>; random: Tensor | null; half: Tensor }
    expectTypeOf<typeof dataset extends Dataset<infer T> ? T : never>().toExtend<Element>()
    expect(dataset.length).toBe(9)
    let next = 0
    for await (const { index, sum, bytes, half } of dataset) {
      expect([index, sum.toArray(), [...bytes], half.dtype, half.toArray()]).toEqual([
        next,
        [2 * next, next + 1],
        [next],
        'float16',
        [next],
      ])
      next++
    }
    expect(next).toBe(9)
  })

  test('results are written among this program’s tensors, whatever their layout', async () => {
    const write = vi.spyOn(currentEngine(), 'write')
    const large = (x: number) => arange(20_000).add(x) as Tensor
    const turned = Dataset.range(12).map((x): Order => ({ do: 'turn', x, tensor: large(x) }))
    let results = 0
    for await (const { sum } of turned.mapInWorkers<typeof transform>(pool, { ahead: 1 })) {
      // Only of the first ones is not known how large they are.
      if (results++ === 2) write.mockClear()
      const same = sum.transpose(0, 1).reshape([-1]).sub(arange(20_000))
      expect([sum.shape, same.min().item(), same.max().item()]).toEqual([[4, 5000], 2 * (results - 1), 2 * (results - 1)])
    }
    expect(write.mock.calls.filter(([, , , { length }]) => length === 20_000)).toEqual([])
    write.mockRestore()
  })

  test('what a worker hands over is gone there, but for parts of more and what it keeps', async () => {
    const values = async (what: Order['do']) => {
      const one = new WorkerPool<typeof transform>(module, { workers: 1 })
      const made: unknown[] = []
      try {
        for await (const { sum } of orders(4, what).mapInWorkers<typeof transform>(one)) made.push(sum.toArray())
      } finally {
        await one.close()
      }
      return made
    }
    expect(await values('part')).toEqual([0, 1, 2, 0].map((row) => [0, 1, 2, 3].map((x) => 4 * row + x)))
    expect(await values('kept')).toEqual(Array.from({ length: 4 }, () => [0, 1, 2, 3]))
    await expect(values('lost')).rejects.toThrow(/element 1 .*this tensor was released/)
  })

  test('large results keep their numbers, also where their size changes', async () => {
    const large = (x: number) => arange(20_000 + (x % 3)).mul(x + 1) as Tensor
    const dataset = Dataset.range(24).map((x): Order => ({ do: 'add', x, tensor: large(x) }))
    const sums: Tensor[] = []
    for await (const { sum } of dataset.mapInWorkers<typeof transform>(pool)) sums.push(sum)
    for (const [x, sum] of sums.entries()) expect(sum.sub(large(x)).sub(x).abs().max().item(), `element ${x}`).toBe(0)
  })

  test('random numbers are the same for any number of workers, and those of map', async () => {
    const { transform: here } = await import('../test/transform.ts')
    const make = (workers: number) => orders(6, 'random').mapInWorkers<typeof transform>(new WorkerPool(module, { workers }), { seed: 5 })
    const one = await elementsOf(make(1))
    expect(await elementsOf(make(3))).toEqual(one)
    expect(await elementsOf(orders(6, 'random').map(here, { seed: 5 }))).toEqual(one)
  })

  test('out of order, all of them', async () => {
    const indices: number[] = []
    for await (const { index } of orders(12).mapInWorkers<typeof transform>(pool, { ordered: false })) indices.push(index)
    expect(indices.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, i) => i))
  })

  test('goes on from any position', async () => {
    await expectResumes(() => orders(7, 'random').mapInWorkers<typeof transform>(pool, { seed: 2 }).prefetch(2).batch(2), { every: 2 })
  })

  test('an error says which element, and where in the worker', async () => {
    const error = await thrown(orders(3, 'fail').mapInWorkers<typeof transform>(pool))
    expect(error).toMatchObject({ code: 'bad-record', message: expect.stringMatching(/^mapInWorkers: element 0 of range: cannot do 0/) })
    expect(error.cause).toMatchObject({
      name: 'RangeError',
      message: 'cannot do 0',
      stack: expect.stringMatching(/at failing \(.*transform/),
    })
    expect(await elementsOf(orders(3, 'fail').mapInWorkers<typeof transform>(pool).ignoreErrors())).toEqual([])
  })

  test('a worker that dies is an error that says so; the next pass has new workers', async () => {
    const dying = new WorkerPool<typeof transform>(module, { workers: 1 })
    const error = await thrown(orders(2, 'die').mapInWorkers<typeof transform>(dying))
    expect(error).toMatchObject({ code: 'engine-failure', message: expect.stringMatching(/a worker died while it made element 0.*code 3/) })
    expect(await elementsOf(orders(2).mapInWorkers<typeof transform>(dying))).toHaveLength(2)
    await dying.close()
  })

  test('a pool that is closed, or an element that no message can hold, is an error that says so', async () => {
    const closing = new WorkerPool<typeof transform>(module, { workers: 1 })
    const slow = orders(9, 'hang').mapInWorkers<typeof transform>(closing)
    setTimeout(() => void closing.close(), 300)
    const error = await thrown(slow)
    expect(error).toMatchObject({ code: 'engine-failure', message: expect.stringMatching(/ended while .*: the pool was closed/) })
    const functions = orders(3).map((order) => (order.x === 1 ? ({ ...order, f: () => 1 } as Order) : order))
    expect(await thrown(functions.mapInWorkers<typeof transform>(pool))).toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(/element 1 cannot be sent to a worker: .*but no functions/),
    })
    expect(await elementsOf(orders(2).mapInWorkers<typeof transform>(pool))).toHaveLength(2)
  })

  test('results of all dtypes, without elements or axes, twice in one result', async () => {
    const values = (x: number) => ({
      bool: tensor([x > 1]),
      int64: tensor([2n ** 40n + BigInt(x)], { dtype: 'int64' }),
      bfloat16: tensor([x], { dtype: 'bfloat16' }),
      zero: tensor(x),
      empty: tensor([]).reshape([0, 3]),
    })
    const given = Dataset.range(5).map((x): Order => ({ do: 'echo', x, values: values(x) }))
    let x = 0
    for await (const { sum, values: made } of given.mapInWorkers<typeof transform>(pool)) {
      expect(plain(made)).toEqual(plain([values(x), values(x)]))
      expect(sum.toArray()).toEqual([x++])
    }
    expect(x).toBe(5)
  })

  test('a module that cannot be used is an error', async () => {
    expect(() => new WorkerPool('./augment.ts' as never)).toThrow(/the module is the text '.\/augment.ts'.*passes it to inWorker/)
    const noWorker = Dataset.range(2).mapInWorkers(((x: number) => x) as never)
    await expect(elementsOf(noWorker)).rejects.toThrow(/gave no worker.*What workers do is in a module of its own/)
    const failing = Dataset.range(2).mapInWorkers(((x: { y: { z: number } }) => x.y.z) as never)
    await expect(elementsOf(failing)).rejects.toThrow(/the function that should start a worker failed/)
    const missing = await thrown(orders(2).mapInWorkers<typeof transform>(new URL('./missing.ts', import.meta.url), { workers: 1 }))
    expect(missing).toMatchObject({ code: 'invalid-argument', message: expect.stringMatching(/missing\.ts cannot be used/) })
    const none = await thrown(orders(2).mapInWorkers<typeof transform>(new URL('../test/no-transform.ts', import.meta.url), { workers: 1 }))
    expect(none.message).toMatch(/passes no function to inWorker/)
  })

  test('a module of TypeScript', async () => {
    const dataset = Dataset.range(4).mapInWorkers<typeof double>(new URL('../test/typed-transform.ts', import.meta.url), { workers: 1 })
    expect(await elementsOf(dataset)).toEqual([0, 2, 4, 6])
  })

  test('a worker of one’s own making, and its end with the pass', async () => {
    const made: Worker[] = []
    const exits: number[] = []
    const start = () => {
      const worker = new Worker(module)
      worker.on('exit', (code) => exits.push(code))
      made.push(worker)
      return worker
    }
    for await (const element of orders(50).mapInWorkers<typeof transform>(start, { workers: 2 })) {
      expect(plain(element.sum)).toMatchObject({ values: [0, 1] })
      break
    }
    expect([made.length, exits.length]).toEqual([2, 2])
  })

  test('idle workers do not keep the program alive', async () => {
    const out = await new Promise((done, fail) => {
      execFile(process.execPath, [join(folder, 'program.js'), module.href], { timeout: 15_000 }, (error, text) =>
        error ? fail(error) : done(text),
      )
    })
    expect(out).toBe('0\n')
  })
})

import { execFileSync } from 'node:child_process'
import type { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, it } from 'vitest'
import { CotangentError } from '../../errors.ts'
import { ModuleBuilder } from './assembler.ts'
import { Heap } from './heap.ts'
import { Pool, type PoolOptions } from './pool.ts'
import { workerMain } from './worker.ts'

const pools: Pool[] = []
afterEach(() => {
  process.removeAllListeners('worker')
  for (const pool of pools.splice(0)) pool.close()
})

function setup(options: PoolOptions = {}) {
  const heap = new Heap()
  const notices: string[] = []
  const pool = new Pool(heap, { threads: 2, notice: (n) => notices.push(n), ...options })
  pools.push(pool)
  return { heap, pool, notices }
}

type Body = (f: ReturnType<ModuleBuilder['function']>, i: { index: number; type: 'i32' }, args: { index: number; type: 'i32' }[]) => void

/** A module whose one function runs `body` for each of its tasks; `args` are i32. */
function kernel(args: number, body: Body, shared = true): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder()
  m.importMemory({ shared })
  const f = m.function('kernel', { export: true })
  const i = f.param('i32')
  const end = f.param('i32')
  const thread = f.param('i32')
  const params = Array.from({ length: args }, () => f.param('i32'))
  f.for(i, end, 1, () => body(f, i, [thread, ...params]))
  return m.toBytes()
}

/** out[i] += i + extra */
const addIndex = (shared = true) =>
  kernel(
    2,
    (f, i, [, out, extra]) => {
      const element = () => {
        f.get(out!)
        f.get(i)
        f.i32(2)
        f.op('i32.shl')
        f.op('i32.add')
      }
      element()
      element()
      f.mem('i32.load')
      f.get(i)
      f.get(extra!)
      f.op('i32.add')
      f.op('i32.add')
      f.mem('i32.store')
    },
    shared,
  )

/** out[i] = thread */
const writeThread = () =>
  kernel(1, (f, i, [thread, out]) => {
    f.get(out!)
    f.get(i)
    f.i32(2)
    f.op('i32.shl')
    f.op('i32.add')
    f.get(thread!)
    f.mem('i32.store')
  })

/**
 * Traps, or loops for ever, on every thread but the first, which waits until a worker has done so and then calls `Math.random`:
 * a function that the test can put something else in place of.
 */
function misbehave(how: 'trap' | 'hang'): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder()
  m.importMemory({ shared: true })
  const random = m.importFunction('random', [], ['f64'], 'Math')
  const f = m.function('kernel', { export: true })
  f.param('i32')
  f.param('i32')
  const thread = f.param('i32')
  const flag = f.param('i32')
  f.get(thread)
  f.if(
    () => {
      f.get(flag)
      f.i32(1)
      f.mem('i32.atomic.store')
      if (how === 'trap') f.op('unreachable')
      else f.loop((again) => f.br(again))
    },
    () => {
      f.loop((again) => {
        f.get(flag)
        f.mem('i32.atomic.load')
        f.op('i32.eqz')
        f.brIf(again)
      })
      f.call(random)
      f.drop()
    },
  )
  return m.toBytes()
}

function errorOf(body: () => unknown): CotangentError {
  try {
    body()
  } catch (error) {
    if (error instanceof CotangentError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

function startedWorkers(): Worker[] {
  const started: Worker[] = []
  process.on('worker', (worker) => started.push(worker))
  return started
}

/** Launches until a worker has taken part, which it does once it has booted and compiled the module. */
function warm(pool: Pool, heap: Heap): void {
  const fn = pool.load(writeThread()).functions.kernel!
  const n = 200_000
  const out = heap.alloc(n * 4)
  for (let i = 0; i < 5000; i++) {
    pool.run(fn, n, 64, [out])
    if (heap.i32.subarray(out / 4, out / 4 + n).some((t) => t > 0)) return
  }
  throw new Error('no worker took part')
}

describe('Pool', () => {
  for (const threads of [1, 2, 3, 4]) {
    it(`does each task once on ${threads} threads`, async () => {
      const { heap, pool } = setup({ threads })
      expect(await pool.ready()).toBe(threads)
      const n = 30_011
      const out = heap.alloc(n * 4)
      const fn = pool.load(addIndex()).functions.kernel!
      for (const [tasks, grain] of [
        [n, 1],
        [n, 64],
        [n, 10_000],
        [n, n],
        [1, 1],
        [0, 1],
        [5, 2],
      ] as const) {
        for (let round = 0; round < 20; round++) {
          heap.u8.fill(0, out, out + n * 4)
          pool.run(fn, tasks, grain, [out, round])
          const got = heap.i32.subarray(out / 4, out / 4 + n)
          const wrong = got.findIndex((v, i) => v !== (i < tasks ? i + round : 0))
          expect(wrong).toBe(-1)
        }
      }
    })
  }

  it('has workers take part, in whole grains', async () => {
    const { heap, pool } = setup()
    await pool.ready()
    warm(pool, heap)
    const n = 1_000_003
    const grain = 1000
    const out = heap.alloc(n * 4)
    const fn = pool.load(writeThread()).functions.kernel!
    const seen = new Set<number>()
    for (let round = 0; round < 500 && seen.size < 2; round++) {
      pool.run(fn, n, grain, [out])
      const got = heap.i32.subarray(out / 4, out / 4 + n)
      for (let i = 0; i < n; i++) {
        seen.add(got[i]!)
        if (i % grain && got[i] !== got[i - 1]) throw new Error(`a range starts at ${i}`)
      }
    }
    expect(seen).toEqual(new Set([0, 1]))
  })

  it('does not wait for workers that boot', () => {
    const { heap, pool } = setup({ threads: 4 })
    const out = heap.alloc(4000)
    heap.u8.fill(0, out, out + 4000)
    const fn = pool.load(addIndex()).functions.kernel!
    pool.run(fn, 1000, 10, [out, 0])
    expect(heap.i32.subarray(out / 4, out / 4 + 1000).every((v, i) => v === i)).toBe(true)
  })

  it('starts no workers for small launches', () => {
    const { heap, pool } = setup({ threads: 4 })
    const fn = pool.load(addIndex()).functions.kernel!
    const { blocks } = heap.stats
    pool.run(fn, 100, 100, [heap.alloc(400), 0])
    expect(heap.stats.blocks).toBe(blocks + 1)
    expect(pool.readyThreads).toBe(1)
  })

  it('survives many small launches, with workers asleep or awake', async () => {
    const { heap, pool } = setup({ threads: 3 })
    await pool.ready()
    const out = heap.alloc(64 * 4)
    heap.u8.fill(0, out, out + 256)
    const fn = pool.load(addIndex()).functions.kernel!
    for (let i = 0; i < 30_000; i++) {
      pool.run(fn, 64, 4, [out, 1])
      if (i % 1000 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    }
    expect(heap.i32.subarray(out / 4, out / 4 + 64).every((v, i) => v === 30_000 * (i + 1))).toBe(true)
  })

  it('reads modules from memory that grew after the workers started', async () => {
    const { heap, pool } = setup()
    await pool.ready()
    heap.alloc(300 * 2 ** 20)
    expect(() => warm(pool, heap)).not.toThrow()
  })

  it('passes arguments of any count and type', async () => {
    const { heap, pool } = setup()
    await pool.ready()
    warm(pool, heap)
    for (const count of [0, 5, 11, 40]) {
      const m = new ModuleBuilder()
      m.importMemory({ shared: true })
      const f = m.function('kernel', { export: true })
      const [begin, end] = [f.param('i32'), f.param('i32')]
      f.param('i32')
      const out = f.param('i32')
      const values = Array.from({ length: count }, () => f.param('f64'))
      f.for(begin, end, 1, () => {
        f.get(out)
        f.get(begin)
        f.i32(3)
        f.op('i32.shl')
        f.op('i32.add')
        f.f64(0.5)
        for (const value of values) {
          f.get(value)
          f.op('f64.add')
        }
        f.mem('f64.store')
      })
      const fn = pool.load(m.toBytes()).functions.kernel!
      const n = 5000
      const p = heap.alloc(n * 8)
      const given = values.map((_, i) => i / 3)
      const sum = given.reduce((a, b) => a + b, 0.5)
      for (let round = 0; round < 20; round++) {
        heap.f64.fill(0, p / 8, p / 8 + n)
        pool.run(fn, n, 16, [p, ...given])
        expect(heap.f64.subarray(p / 8, p / 8 + n).every((v) => v === sum)).toBe(true)
      }
    }
    const fn = pool.load(kernel(129, () => {})).functions.kernel!
    expect(errorOf(() => pool.run(fn, 1000, 1, new Array(129).fill(0))).message).toContain('129 arguments')
  })

  it('lets modules import functions of Math', async () => {
    const m = new ModuleBuilder()
    m.importMemory({ shared: true })
    const exp = m.importFunction('exp', ['f64'], ['f64'], 'Math')
    const f = m.function('kernel', { export: true, results: ['f64'] })
    for (let i = 0; i < 3; i++) f.param('i32')
    f.f64(1)
    f.call(exp)
    const { pool } = setup({ threads: 1 })
    expect(pool.load(m.toBytes()).functions.kernel!.call(0, 1, 0)).toBe(Math.E)
  })

  it('throws here what a worker throws, and goes on', async () => {
    const { heap, pool } = setup()
    await pool.ready()
    warm(pool, heap)
    const flag = heap.alloc(4)
    const fn = pool.load(misbehave('trap')).functions.kernel!
    for (let round = 0; round < 5; round++) {
      heap.i32[flag / 4] = 0
      const error = errorOf(() => pool.run(fn, 2, 1, [flag]))
      expect(error.code).toBe('engine-failure')
      expect(error.message).toContain('kernel: failed in a worker thread: RuntimeError: unreachable')
      expect((error.cause as Error).stack).toContain('wasm')
      warm(pool, heap)
    }
  })

  it('throws what the own share of a launch throws, and goes on', async () => {
    const { heap, pool } = setup()
    await pool.ready()
    warm(pool, heap)
    const fn = pool.load(kernel(0, (f) => f.op('unreachable'))).functions.kernel!
    for (const tasks of [1, 100]) {
      const error = errorOf(() => pool.run(fn, tasks, 1, []))
      expect(error.code).toBe('engine-failure')
      expect(error.message).toContain('unreachable')
    }
    warm(pool, heap)
  })

  it('fails the launch in which a worker dies, and heals', async () => {
    const { heap, pool } = setup()
    const started = startedWorkers()
    await pool.ready()
    warm(pool, heap)
    const flag = heap.alloc(4)
    const { random } = Math
    Math.random = () => {
      for (const worker of started) void worker.terminate()
      return 0
    }
    const module = pool.load(misbehave('hang'))
    Math.random = random
    for (let round = 0; round < 2; round++) {
      heap.i32[flag / 4] = 0
      const error = errorOf(() => pool.run(module.functions.kernel!, 2, 1, [flag]))
      expect(error.code).toBe('engine-failure')
      expect(error.message).toContain('a worker thread died')
      expect(await pool.ready()).toBe(2)
      warm(pool, heap)
    }
    expect(started).toHaveLength(3)
  })

  it('replaces workers that die while idle', async () => {
    const { heap, pool } = setup({ threads: 3 })
    const started = startedWorkers()
    expect(await pool.ready()).toBe(3)
    await Promise.all(started.map((w) => w.terminate()))
    expect(pool.readyThreads).toBe(1)
    warm(pool, heap)
    expect(await pool.ready()).toBe(3)
  })

  it('falls to fewer threads when workers keep dying', async () => {
    const { heap, pool, notices } = setup()
    const out = heap.alloc(400)
    const fn = pool.load(addIndex()).functions.kernel!
    process.on('worker', (w) => void w.terminate())
    for (let i = 0; i < 200 && pool.threads > 1; i++) {
      pool.run(fn, 100, 1, [out, 0])
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    process.removeAllListeners('worker')
    expect(pool.threads).toBe(1)
    expect(notices).toHaveLength(1)
    expect(notices[0]).toContain('keep ending')
    pool.run(fn, 100, 1, [out, 0])
    pool.setThreads(2)
    expect(await pool.ready()).toBe(2)
  })

  it('grows and shrinks', async () => {
    const { heap, pool } = setup({ threads: 1 })
    expect(await pool.ready()).toBe(1)
    for (const threads of [3, 2, 4, 1, 2]) {
      pool.setThreads(threads)
      expect(pool.threads).toBe(threads)
      const out = heap.alloc(40_000)
      heap.u8.fill(0, out, out + 40_000)
      pool.run(pool.load(addIndex()).functions.kernel!, 10_000, 10, [out, 0])
      expect(heap.i32.subarray(out / 4, out / 4 + 10_000).every((v, i) => v === i)).toBe(true)
      await pool.ready()
      for (let i = 0; i < 2000 && pool.readyThreads !== threads; i++) await new Promise((resolve) => setTimeout(resolve, 1))
      expect(pool.readyThreads).toBe(threads)
    }
    for (const threads of [0, -1, 1.5, 129, Number.NaN]) expect(errorOf(() => pool.setThreads(threads)).code).toBe('invalid-argument')
  })

  it('gives each thread scratch memory of its own', async () => {
    const { heap, pool } = setup({ threads: 3 })
    const { blocks } = heap.stats
    const small = pool.scratch(100)
    expect(small.stride).toBe(128)
    expect(pool.scratch(90)).toBe(small)
    const big = pool.scratch(10_000)
    expect(heap.sizeOf(big.pointer)).toBeGreaterThanOrEqual(30_000)
    pool.setThreads(4)
    expect(heap.sizeOf(pool.scratch(1).pointer)).toBeGreaterThanOrEqual(40_000)
    expect(heap.stats.blocks).toBe(blocks + 1)
    pool.close()
    expect(heap.stats.blocks).toBe(blocks)
  })

  it('gives all memory back when closed, and starts again', async () => {
    const { heap, pool } = setup()
    await pool.ready()
    warm(pool, heap)
    pool.close()
    for (let i = 0; i < 2000 && heap.stats.blocks > 1; i++) await new Promise((resolve) => setTimeout(resolve, 1))
    expect(heap.stats.blocks).toBe(1)
    await pool.ready()
    warm(pool, heap)
  })

  it('uses no CPU when idle', async () => {
    const { heap, pool } = setup({ threads: 4 })
    await pool.ready()
    warm(pool, heap)
    await new Promise((resolve) => setTimeout(resolve, 20))
    const start = process.cpuUsage()
    await new Promise((resolve) => setTimeout(resolve, 300))
    const { user, system } = process.cpuUsage(start)
    expect((user + system) / 1000).toBeLessThan(30)
  })

  it('runs on one thread over unshared memory', () => {
    const heap = new Heap({ shared: false })
    const notices: string[] = []
    const pool = new Pool(heap, { threads: 4, notice: (n) => notices.push(n) })
    expect(pool.threads).toBe(1)
    expect(notices).toHaveLength(1)
    expect(new Pool(heap).threads).toBe(1)
    const out = heap.alloc(400)
    pool.run(pool.load(addIndex(false)).functions.kernel!, 100, 1, [out, 1])
    expect(heap.i32[out / 4 + 99]).toBe(100)
  })

  it('reads COTANGENT_THREADS', () => {
    const heap = new Heap()
    try {
      process.env.COTANGENT_THREADS = '3'
      expect(new Pool(heap).threads).toBe(3)
      process.env.COTANGENT_THREADS = 'many'
      expect(errorOf(() => new Pool(heap)).code).toBe('invalid-argument')
    } finally {
      delete process.env.COTANGENT_THREADS
    }
    expect(new Pool(heap).threads).toBeGreaterThanOrEqual(1)
  })

  it('lets the process exit, and works inside a worker thread', () => {
    const here = new URL('.', import.meta.url).href
    const script = `
      const { Heap } = await import(${JSON.stringify(`${here}heap.ts`)})
      const { Pool } = await import(${JSON.stringify(`${here}pool.ts`)})
      const heap = new Heap()
      const pool = new Pool(heap, { threads: 3 })
      const fn = pool.load(new Uint8Array(${JSON.stringify([...addIndex()])})).functions.kernel
      await pool.ready()
      const out = heap.alloc(40000)
      pool.run(fn, 10000, 10, [out, 0])
      console.log(heap.i32[out / 4 + 9999])`
    // A loader of the parent does not reach into worker threads.
    const loader = process.features.typescript ? '' : `(await import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))})).register();`
    const inWorker = `import { Worker } from 'node:worker_threads'
      new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(loader + script)})))`
    for (const source of [script, inWorker]) {
      const output = execFileSync(process.execPath, [...process.execArgv, '--input-type=module', '-e', source], {
        encoding: 'utf8',
        timeout: 15_000,
      })
      expect(output.trim()).toBe('9999')
    }
  })
})

describe('workerMain', () => {
  it('needs nothing but its own text', () => {
    // Evaluated where no module scope is visible: a reference to anything outside would fail at once.
    expect(() => new Function(`const __name = (f) => f; return ${workerMain.toString()}`)()).not.toThrow()
    expect(workerMain.toString()).not.toMatch(/__vi|\bimport\b/)
  })
})

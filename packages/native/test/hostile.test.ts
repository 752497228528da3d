import { afterAll, describe, expect, it } from 'vitest'
import { ReferenceEngine } from '../../core/src/engine/reference/engine.ts'
import { referenceRoutine } from '../../core/src/engine/reference/routine.ts'
import { routine } from '../../core/src/engine/routine.ts'
import { attachBackends } from '../../core/src/engine/wasm/backend-launch.ts'
import { WasmEngine } from '../../core/src/engine/wasm/engine.ts'
import { dense, runProgram, small } from '../../core/test/engine.ts'
import { everything } from '../src/backend.ts'
import { type Binding, kinds, type NativeDescription } from '../src/binding.ts'
import { status } from '../src/index.ts'
import { CountingBackend, loaded, nativeEngine } from './engines.ts'
import { multiply, run } from './processes.ts'

const product = (m: number, k: number, n: number) =>
  routine('matmul', {}, [dense('float32', [m, k]), dense('float32', [k, n])], [dense('float32', [m, n])])

describe.skipIf(!loaded)('the addon under hostile input', () => {
  const binding = loaded?.binding as Binding
  const { engine, backend } = loaded ? nativeEngine(2) : ({} as ReturnType<typeof nativeEngine>)
  const reference = new ReferenceEngine()
  afterAll(() => engine?.close())

  it('operands at any element', () => {
    const program = product(13, 37, 21)
    const inputs = [13 * 37, 37 * 21].map((size, i) => ({ values: [...small(9, i + 1), ...small(i, size)], offset: i + 1 }))
    expect(runProgram(engine, program, inputs)).toEqual(runProgram(reference, program, inputs))
  })

  it('a heap that grows after a routine was prepared', () => {
    const own = new WasmEngine({ threads: 1, fallback: referenceRoutine, backends: attachBackends([new CountingBackend()]) })
    const [m, k, n] = [64, 32, 16]
    const executable = own.prepare(product(m, k, n))
    const before = own.memoryUse().reserved
    const far = own.allocate(64 * 2 ** 20)
    expect(own.memoryUse().reserved).toBeGreaterThan(before)
    const buffers = [m * k, k * n, m * n].map((size, i) => {
      const buffer = own.allocate(4 * size)
      own.write(buffer, 'float32', 0, Float32Array.from(small(i, size)))
      return buffer
    })
    executable.run(buffers, [0, 0, 0], [])
    const [expected] = runProgram(reference, product(m, k, n), [small(0, m * k), small(1, k * n)])
    expect([...own.readSync(buffers[2]!, 'float32', 0, m * n)]).toEqual(expected)
    own.free(far)
    own.close()
  })

  it('addresses outside the heap, at every operand', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true })
    const heap = binding.attach(new Uint8Array(memory.buffer))
    const tensor = (word: number) => ({ type: 0, dims: [8, 8], strides: [8, 1], wanted: undefined, word })
    const description: NativeDescription = {
      kind: kinds.matmul,
      src: tensor(0),
      weights: tensor(1),
      dst: tensor(2),
      bias: undefined,
      window: undefined,
      postOps: [],
      words: 4,
      threads: 1,
      implementation: 0,
    }
    const prepared = binding.prepare(description)!
    const words = new Uint32Array(memory.buffer, 64, 4)
    const bytes = memory.buffer.byteLength
    const good = [1024, 2048, 4096, 8192]
    const attempt = (block = 64) => binding.run(heap, prepared.handle, block, bytes)
    words.set(good)
    expect(() => attempt()).not.toThrow()
    good.forEach((_, i) => {
      for (const bad of [bytes, bytes - 4, 2 ** 32 - 64, 1025]) {
        words.set(good)
        words[i] = bad
        // The last word counts only where there is scratch memory.
        if (i === 3 && prepared.scratchBytes === 0) continue
        expect(() => attempt(), `word ${i} = ${bad}`).toThrow(/does not lie on the heap/)
      }
    })
    words.set(good)
    for (const block of [bytes - 4, 2 ** 32 - 8, 65]) expect(() => attempt(block)).toThrow(/argument block/)
    expect(() => binding.run(prepared.handle, heap, 64, bytes)).toThrow(/not what this function works on/)
    expect(() => binding.run({}, prepared.handle, 64, bytes)).toThrow(/not what this function works on/)
    expect(() => binding.prepare({ ...description, kind: 9 as never })).toThrow(/no such kind/)
    expect(() => binding.prepare({ ...description, src: { ...tensor(0), dims: [8, 0] } })).toThrow(/positive/)
    expect(() => binding.prepare({ ...description, src: { ...tensor(0), strides: [8] } })).toThrow(/differ in length/)
    expect(() => binding.prepare({ ...description, words: 2 })).toThrow(/no word/)
    expect(() => binding.prepare({} as never)).toThrow(/number/)
    expect(() => binding.attach({} as never)).toThrow(/Uint8Array/)
    binding.release(prepared.handle)
    expect(() => attempt()).toThrow(/released/)
    binding.release(prepared.handle)
    // Sizes that do not go together, and sizes beyond all memory: nothing that oneDNN has code for.
    expect(binding.prepare({ ...description, weights: { ...tensor(1), dims: [9, 8] } })).toBeUndefined()
    const huge = (word: number) => ({ ...tensor(word), dims: [2 ** 40, 2 ** 40], strides: [2 ** 40, 1] })
    expect(() => binding.prepare({ ...description, src: huge(0), weights: huge(1), dst: huge(2) })).not.toThrow()
  })

  it('memory that is not shared is left alone', () => {
    expect(() => backend.attach(new WebAssembly.Memory({ initial: 1 }))).toThrow(/not shared/)
  })

  it('a thousand shapes leave nothing on the heap but their argument blocks', () => {
    const before = engine.heap.stats
    for (let i = 1; i <= 1000; i++) {
      const program = product(1 + (i % 29), 1 + (i % 31), 1 + (i % 37))
      const buffers = [...program.inputs, ...program.outputs].map(({ shape }) => engine.allocate(4 * shape[0]! * shape[1]!))
      engine.prepare(program).run(buffers, [0, 0, 0], [])
      buffers.forEach((buffer) => engine.free(buffer))
    }
    const after = engine.heap.stats
    expect(after.blocks - before.blocks).toBeLessThanOrEqual(1001)
    expect(after.bytesInUse - before.bytesInUse).toBeLessThan(1000 * 128 + 2 ** 20)
  })

  it('routines that were forgotten for want of room run again', () => {
    const few = nativeEngine(1, { ...everything, routines: 2 })
    const programs = [1, 2, 3, 4].map((n) => product(20, 10 * n, 30))
    const executables = programs.map((program) => few.engine.prepare(program))
    for (let round = 0; round < 3; round++) {
      programs.forEach((program, i) => {
        const sizes = [...program.inputs, ...program.outputs].map(({ shape }) => shape[0]! * shape[1]!)
        const buffers = sizes.map((size, b) => {
          const buffer = few.engine.allocate(4 * size)
          few.engine.write(buffer, 'float32', 0, Float32Array.from(small(b + round, size)))
          return buffer
        })
        executables[i]!.run(buffers, [0, 0, 0], [])
        const [expected] = runProgram(reference, program, [small(round, sizes[0]!), small(1 + round, sizes[1]!)])
        expect([...few.engine.readSync(buffers[2]!, 'float32', 0, sizes[2]!)]).toEqual(expected)
        buffers.forEach((buffer) => few.engine.free(buffer))
      })
    }
    expect(few.backend.taken).toBe(4)
    few.engine.close()
  })

  it('says what it runs on', () => {
    const now = status()
    if (process.env.COTANGENT_NATIVE === '0') expect(now).toEqual({ active: false, reason: 'COTANGENT_NATIVE=0 turns it off' })
    else expect(now).toMatchObject({ active: true, file: loaded!.file, version: expect.stringMatching(/^\d+\.\d+\.\d+$/) })
  })

  // A busy machine takes a while to start five threads that load TypeScript.
  it('is found by cotangent, also from worker threads that come and go', { timeout: 120_000 }, async () => {
    const program = `
import { Worker, isMainThread } from 'node:worker_threads'
import { register as registerCommonJs } from 'tsx/cjs/api'
import { register } from 'tsx/esm/api'
if (isMainThread) {
  const start = () => new Worker(new URL(import.meta.url))
  const first = start()
  await new Promise((resolve) => first.on('exit', resolve))
  const ended = [start(), start(), start()].map((worker) => new Promise((resolve) => worker.on('exit', resolve)))
  const killed = start()
  setTimeout(() => killed.terminate(), 300)
  console.log(...await Promise.all(ended))
} else {
  // Loaders of the parent are not those of its threads.
  register()
  registerCommonJs()
  const { normal, setThreads } = await import('cotangent')
  await setThreads(2)
  const a = normal([120, 90]), b = normal([90, 70])
  for (let i = 0; i < 30; i++) a.matmul(b)
}
`
    expect((await run(program, {}, 'mjs')).stdout.trim()).toBe('0 0 0')
  })

  it('uses no CPU when idle', async () => {
    const program = `
import { normal, setThreads } from 'cotangent'
await setThreads(2)
const a = normal([256, 256])
for (let i = 0; i < 20; i++) a.matmul(a).relu()
// Threads that wait for more keep their cores for a moment.
await new Promise((resolve) => setTimeout(resolve, 100))
const before = process.cpuUsage()
await new Promise((resolve) => setTimeout(resolve, 400))
const { user, system } = process.cpuUsage(before)
console.log(user + system < 100_000)
`
    expect((await run(program)).stdout.trim()).toBe('true')
  })

  it('is turned off by COTANGENT_NATIVE=0', async () => {
    const probe = `${multiply}
console.log(process.report.getReport().sharedObjects.some((file) => file.endsWith('cotangent-native.node')))`
    for (const [native, used] of [
      ['0', 'false'],
      ['1', 'true'],
    ] as const) {
      const { stdout, stderr } = await run(probe, { COTANGENT_NATIVE: native })
      expect(stdout.trim().split('\n')).toEqual(['[[19,22],[43,50]]', used])
      expect(stderr).toBe('')
    }
  })
})

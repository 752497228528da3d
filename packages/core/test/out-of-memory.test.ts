import { type CotangentError, detectAnomaly, ones, registerEngine, setEngine, type Tensor, zeros } from 'cotangent'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { referenceRoutine } from '../src/engine/reference/routine.ts'
import { WasmEngine } from '../src/engine/wasm/engine.ts'
import { expectError } from './bad-call.ts'

const MiB = 2 ** 20
const small = new WasmEngine({ threads: 1, maximumBytes: 64 * MiB, fallback: referenceRoutine })
registerEngine('small', () => small)

beforeAll(() => {
  setEngine('small')
})
afterAll(() => {
  small.close()
})

/** Fills the heap until it refuses; the tensors stay alive until the error has been made. */
function fill(make: () => Tensor): CotangentError {
  const held: Tensor[] = []
  const error = expectError(
    () => {
      for (;;) held.push(make())
    },
    'out-of-memory',
    /no room/,
  )
  expect(held.length).toBeGreaterThan(3)
  for (const x of held) x.dispose()
  return error
}

test('says what was asked for, what is in use, the limit, and what holds it', () => {
  const weights = ones([256, 1024]).mul(2)
  const error = fill(() => ones([1024, 1024]).add(1))
  expect(error.message).toMatch(
    /^add: no room for 4 MiB \(float32 \[1024, 1024\]\): [\d.]+ MiB in use, [\d.]+ MiB reserved of 64 MiB; live tensors: 1[0-9] x float32 \[1024, 1024\] from add \([456]\d MiB\), /,
  )
  expect(error.message).toContain('1 x float32 [256, 1024] from mul (1 MiB)')
  expect(error.hint).toMatch(/smaller batch.*noGrad.*detectAnomaly/)
  expect(error.cause).toMatchObject({ code: 'out-of-memory', op: 'heap' })
  expect(weights.at(0, 0).item()).toBe(2)
})

test('says where they were made inside detectAnomaly', () => {
  const error = detectAnomaly(() => fill(() => ones([1024, 1024])))
  expect(error.message).toMatch(/float32 \[1024, 1024\] from full at .*out-of-memory\.test\.ts:\d+:\d+/)
  expect(error.hint).not.toMatch(/detectAnomaly/)
})

test('garbage is no reason to fail, and memory is there again after a failure', () => {
  for (let i = 0; i < 100; i++) ones([1024, 1024])
  fill(() => zeros([512, 1024]))
  expect(ones([1024, 1024]).sum().item()).toBe(MiB)
})

test('a tensor larger than the heap', () => {
  expectError(() => zeros([2 ** 20, 2 ** 10]), 'out-of-memory', /no room for 4 GiB \(float32 \[1048576, 1024\]\).* of 64 MiB/)
  expectError(() => zeros([1e6, 1e6, 1e6]), 'out-of-memory', /no room/)
})

test('a matmul that runs out in the middle leaves its inputs alone', () => {
  const a = ones([2048, 2048])
  const b = ones([2048, 2048])
  expectError(() => a.matmul(b).matmul(b).matmul(b).add(a.matmul(b)), 'out-of-memory', /matmul|add|heap/)
  expect(a.sum().item()).toBe(2048 * 2048)
})

test('the reference engine', () => {
  setEngine('reference')
  try {
    expectError(() => zeros([1e6, 1e6, 1e6]), 'out-of-memory', /no room for/)
  } finally {
    setEngine('small')
  }
})

import { afterAll, describe, expect, it } from 'vitest'
import { ReferenceEngine } from '../../core/src/engine/reference/engine.ts'
import type { Routine } from '../../core/src/engine/routine.ts'
import { attentionCases, type AttentionCase, attentionGradOf, attentionOf, attentionValues } from '../../core/test/attention-routines.ts'
import { runProgram } from '../../core/test/engine.ts'
import { differenceOf } from '../../core/test/recurrent-routines.ts'
import { describeAttention } from '../src/attention.ts'
import { defaults } from '../src/backend.ts'
import type { NativeAttention } from '../src/binding.ts'
import { generator, loaded, nativeEngine } from './engines.ts'

describe.skipIf(!loaded)('attention in tiles', () => {
  const reference = new ReferenceEngine()
  const engines = loaded ? [nativeEngine(2), nativeEngine(1)] : []
  const { engine, backend } = engines[0] ?? ({} as ReturnType<typeof nativeEngine>)
  afterAll(() => engines.forEach((each) => each.engine.close()))

  /** The largest differences from the reference, forward and in the gradient; on one thread as on two. */
  function differences(
    given: AttentionCase,
    values = attentionValues(attentionOf(given)),
    taken = true,
  ): [forward: number, gradient: number] {
    const forward = attentionOf(given)
    const expected = runProgram(reference, forward, values)
    const backward = attentionGradOf(given)
    const above = attentionValues({ ...backward, inputs: backward.inputs.slice(0, 1) } as Routine)[0]!
    const [q, k, v, ...mask] = values
    const all = [above, q!, k!, v!, ...(expected as number[][]), ...mask]
    const expectedGradients = runProgram(reference, backward, all)
    const before = backend.taken
    const found = engines.map(({ engine: each }) => [
      differenceOf(runProgram(each, forward, values), expected),
      differenceOf(runProgram(each, backward, all), expectedGradients),
    ])
    expect(backend.taken - before).toBe(taken ? 2 : 0)
    return [Math.max(...found.map((d) => d[0]!)), Math.max(...found.map((d) => d[1]!))]
  }

  it.each(attentionCases)('%s', (_, given) => {
    const [forward, gradient] = differences(given)
    expect(forward).toBeLessThan(2e-5)
    expect(gradient).toBeLessThan(2e-4)
  })

  it('bfloat16', () => {
    for (const options of [{}, { causal: true }, { mask: 'bool' }, { mask: 'float32' }, { split: true, batch: [2, 2] }] as const) {
      const [forward, gradient] = differences({ queries: 37, keys: 'split' in options ? 37 : 70, size: 24, dtype: 'bfloat16', ...options })
      expect(forward).toBeLessThan(0.02)
      expect(gradient).toBeLessThan(0.1)
    }
  })

  it('random sizes', () => {
    const random = generator(3)
    for (let trial = 0; trial < 60; trial++) {
      const batch = Array.from({ length: random(4) }, () => 1 + random(3))
      const given: AttentionCase = {
        batch,
        queries: 1 + random(130),
        keys: 1 + random(150),
        size: 1 + random(40),
        width: 1 + random(70),
        causal: random(2) === 0,
        ...(random(3) === 0 && { mask: (['bool', 'float32', 'bfloat16'] as const)[random(3)]! }),
        grouped: batch.length > 0 && random(3) === 0,
        ...(trial % 2 === 0 && { dtype: 'bfloat16' }),
      }
      const [forward, gradient] = differences(given)
      const [least, most] = given.dtype ? [0.02, 0.15] : [2e-5, 5e-4]
      expect(forward, JSON.stringify(given)).toBeLessThan(least)
      expect(gradient, JSON.stringify(given)).toBeLessThan(most)
    }
  })

  it('columns apart', () => {
    const { attrs, inputs, outputs } = attentionOf({ batch: [2], queries: 19, keys: 30, size: 9, mask: 'bool' })
    const spread = inputs.map((x) => ({ ...x, strides: [x.shape[1]! * x.shape[2]!, 1, x.shape[1]!] }))
    const forward: Routine<'attention'> = { kind: 'routine', name: 'attention', attrs, inputs: spread, outputs }
    const values = attentionValues(forward)
    const before = backend.taken
    expect(differenceOf(runProgram(engine, forward, values), runProgram(reference, forward, values))).toBeLessThan(2e-5)
    expect(backend.taken - before).toBe(1)
  })

  it('NaN of one query stays there; minus infinity without a mask is NaN; rows without a key are 0', () => {
    const given = { batch: [], queries: 4, size: 2, causal: true }
    const values = attentionValues(attentionOf(given))
    values[0]![2] = Number.NaN
    expect(differences(given, values)[0]).toBeLessThan(1e-6)
    values[0]![2] = Number.NEGATIVE_INFINITY
    values[1]!.fill(1)
    const [plain] = runProgram(engine, attentionOf({ ...given, causal: false }), values)
    expect(plain!.map(Number.isNaN)).toEqual([false, false, true, true, false, false, false, false])
    const masked = attentionOf({ batch: [], queries: 2, keys: 300, size: 2, mask: 'bool' })
    const [result, logSums] = runProgram(
      engine,
      masked,
      attentionValues(masked).map((list, i) => (i === 3 ? list.map((_, at) => Number(at === 599)) : list)),
    )
    expect(result!.slice(0, 2)).toEqual([0, 0])
    expect(result!.slice(2)).not.toEqual([0, 0])
    expect(logSums).toEqual([Infinity, expect.any(Number)])
  })

  it.each<[string, AttentionCase]>([
    ['float64', { dtype: 'float64' }],
    ['float16', { dtype: 'float16' }],
    ['no keys', { queries: 3, keys: 0, causal: true }],
  ])('%s: left to the engine', (_, given) => {
    const [forward, gradient] = differences(given, undefined, false)
    expect(forward).toBeLessThan(2e-3)
    expect(gradient).toBeLessThan(2e-2)
  })

  it('addresses outside the heap, at every operand; descriptions that make no sense', () => {
    const { binding } = loaded!
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true })
    const heap = binding.attach(new Uint8Array(memory.buffer))
    const bytes = memory.buffer.byteLength
    for (const [given, words] of [
      [attentionOf({ queries: 7, keys: 9, size: 5, mask: 'bool' }), 7],
      [attentionGradOf({ queries: 7, keys: 9, size: 5, mask: 'float32' }), 11],
    ] as const) {
      const { attention } = describeAttention(given)!.describe(2) as { attention: NativeAttention }
      const prepared = binding.prepare({ attention })!
      const block = new Uint32Array(memory.buffer, 64, words)
      const run = () => binding.run(heap, prepared.handle, 64, bytes)
      const good = Array.from({ length: words }, (_, i) => 1024 * (i + 1))
      block.set(good)
      expect(run).not.toThrow()
      for (let word = 0; word < words; word++) {
        block.set(good)
        block[word] = bytes - 16
        expect(run, `word ${word}`).toThrow(/does not lie on the heap/)
      }
      expect(() => binding.run(heap, prepared.handle, bytes - 8, bytes)).toThrow(/not on the heap/)
      const refused: [Partial<NativeAttention>, RegExp][] = [
        [{ batch: [0] }, /positive/],
        [{ batch: [2, 2] }, /number of axes/],
        [{ operands: attention.operands.slice(1) }, /number of operands/],
        [{ operands: attention.operands.map((o) => o && { ...o, type: 2 }) }, /only masks are bool/],
        [{ operands: attention.operands.map((o) => o && { ...o, strides: o.strides.map(() => -1) }) }, /negative/],
      ]
      for (const [change, message] of refused) expect(() => binding.prepare({ attention: { ...attention, ...change } })).toThrow(message)
    }
  })

  it('by default takes what pays', () => {
    const own = nativeEngine(2, defaults)
    const takes = (given: AttentionCase) => own.engine.takes(attentionOf(given)) && own.engine.takes(attentionGradOf(given))
    expect([127, 128].map((queries) => takes({ queries, size: 64 }))).toEqual([false, true])
    expect([16, 1024].map((keys) => takes({ queries: 16, keys, size: 8 }))).toEqual([false, true])
    expect([128, 256].map((queries) => takes({ queries, size: 256 }))).toEqual([false, true])
    expect([127, 128].map((queries) => takes({ queries, size: 64, dtype: 'bfloat16' }))).toEqual([false, true])
    own.engine.close()
  })
})

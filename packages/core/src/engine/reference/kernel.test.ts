import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encode, decode, runProgram } from '../../../test/engine.ts'
import type { DType } from '../../dtype.ts'
import { KernelBuilder } from '../kernel.ts'
import { type Combiner, combiners } from '../scalar.ts'
import { ReferenceEngine } from './engine.ts'
import type { Num } from './storage.ts'

const engine = new ReferenceEngine()
const f32 = Math.fround

/** `x` cast from one dtype's scalar type to another dtype, element by element. */
function cast(values: readonly Num[], from: DType, to: DType): Num[] {
  const k = new KernelBuilder('cast', [values.length])
  const x = k.load(k.input(from), [1])
  k.output(to, k.narrow(x, to))
  return runProgram(engine, k.build(), [values])[0]!
}

function reduceAll(combine: Combiner, values: readonly Num[], dtype: DType): Num {
  const k = new KernelBuilder(combine, [], [values.length])
  const result = k.reduce(combine, k.load(k.input(dtype), [1]))
  k.output(combine.startsWith('arg') ? 'int32' : dtype, result)
  return runProgram(engine, k.build(), [values])[0]![0]!
}

describe('elementwise', () => {
  it('rounds every float32 instruction to float32', () => {
    const k = new KernelBuilder('add then scale', [2])
    const x = k.load(k.input('float32'), [1])
    k.output('float32', k.mul(k.add(x, k.like(x, 0.1)), k.like(x, 3)))
    const expected = [1, 2].map((v) => f32(f32(v + f32(0.1)) * 3))
    expect(runProgram(engine, k.build(), [[1, 2]])[0]).toEqual(expected)
  })

  it('rounds parameters to their type', () => {
    const k = new KernelBuilder('add param', [1])
    const a = k.param('float32')
    const b = k.param('int64')
    k.output('float64', k.cast(a, 'float64'))
    k.output('int64', b)
    expect(runProgram(engine, k.build(), [], [0.1, 7])).toEqual([[f32(0.1)], [7n]])
  })

  it('wraps int32 and int64, and divides integers towards zero', () => {
    const k = new KernelBuilder('integers', [3])
    const a = k.load(k.input('int32'), [1])
    const b = k.load(k.input('int32'), [1])
    const c = k.load(k.input('int64'), [1])
    k.output('int32', k.add(a, b))
    k.output('int32', k.mul(a, b))
    k.output('int32', k.div(a, b))
    k.output('int32', k.rem(a, b))
    k.output('int64', k.mul(c, c))
    const [sum, product, quotient, remainder, square] = runProgram(engine, k.build(), [
      [2 ** 31 - 1, -(2 ** 31), -7],
      [2, -1, 0],
      [2n ** 40n, -3n, 2n ** 32n + 1n],
    ])
    expect(sum).toEqual([-(2 ** 31) + 1, 2 ** 31 - 1, -7])
    expect(product).toEqual([-2, -(2 ** 31), 0])
    expect(quotient).toEqual([2 ** 30 - 1, -(2 ** 31), 0])
    expect(remainder).toEqual([1, 0, 0])
    expect(square).toEqual([0n, 9n, 2n ** 33n + 1n])
  })

  it('shifts by the amount modulo the width', () => {
    const k = new KernelBuilder('shifts', [2])
    const a = k.load(k.input('int32'), [1])
    const b = k.load(k.input('int64'), [1])
    k.output('int32', k.shl(a, k.like(a, 33)))
    k.output('int32', k.shru(a, k.like(a, 28)))
    k.output('int64', k.shr(b, k.like(b, 65)))
    k.output('int64', k.shru(b, k.like(b, 60)))
    expect(
      runProgram(engine, k.build(), [
        [-1, 5],
        [-4n, 6n],
      ]),
    ).toEqual([
      [-2, 10],
      [15, 0],
      [-2n, 3n],
      [15n, 0n],
    ])
  })

  it('compares NaN as unordered, and passes it through max and min', () => {
    const k = new KernelBuilder('NaN', [2])
    const x = k.load(k.input('float32'), [1])
    k.output('bool', k.isNaN(x))
    k.output('bool', k.lt(x, k.like(x, 5)))
    k.output('float32', k.max(x, k.like(x, 5)))
    k.output('float32', k.select(k.isNaN(x), k.like(x, -1), x))
    expect(runProgram(engine, k.build(), [[Number.NaN, 2]])).toEqual([
      [1, 0],
      [0, 1],
      [Number.NaN, 5],
      [-1, 2],
    ])
  })
})

describe('cast and narrow', () => {
  it('truncates and saturates floats to integers; NaN gives 0', () => {
    const values = [1.9, -1.9, Number.NaN, 1e20, -1e20, Number.POSITIVE_INFINITY]
    expect(cast(values, 'float64', 'int32')).toEqual([1, -1, 0, 2 ** 31 - 1, -(2 ** 31), 2 ** 31 - 1])
    expect(cast(values, 'float64', 'int64')).toEqual([1n, -1n, 0n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 63n - 1n])
    expect(cast([-0.5], 'float64', 'int32')).toEqual([0])
  })

  it('wraps into narrow integers', () => {
    expect(cast([300, -1, 128], 'int32', 'uint8')).toEqual([44, 255, 128])
    expect(cast([300, -1, 128], 'int32', 'int8')).toEqual([44, -1, -128])
    expect(cast([2n ** 32n + 5n, -1n], 'int64', 'int32')).toEqual([5, -1])
  })

  it('takes everything but zero for true, NaN as well', () => {
    expect(cast([0, -0, 0.5, Number.NaN], 'float32', 'bool')).toEqual([0, 0, 1, 1])
    expect(cast([0n, 2n ** 40n], 'int64', 'bool')).toEqual([0, 1])
  })

  it('rounds to float16 and bfloat16, ties to even', () => {
    expect(cast([1 + 2 ** -11, 1 + 3 * 2 ** -11, 65520, 2 ** -25, 2 ** -24], 'float32', 'float16')).toEqual([
      1,
      1 + 2 ** -9,
      Number.POSITIVE_INFINITY,
      0,
      2 ** -24,
    ])
    expect(cast([1 + 2 ** -8, 1 + 3 * 2 ** -8, Number.NaN], 'float32', 'bfloat16')).toEqual([1, 1 + 2 ** -6, Number.NaN])
  })

  it('rounds int64 to float32 once', () => {
    const tie = 2n ** 60n + 2n ** 36n
    expect(cast([tie, tie + 1n, -tie - 1n, 2n ** 53n + 1n], 'int64', 'float32')).toEqual([
      2 ** 60,
      2 ** 60 + 2 ** 37,
      -(2 ** 60) - 2 ** 37,
      2 ** 53,
    ])
  })

  it('keeps what narrow dtypes hold', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<DType>('float16', 'bfloat16', 'uint8', 'int8', 'bool'),
        fc.integer({ min: 0, max: 65535 }),
        (dtype, bits) => {
          const array = encode([0], dtype)
          array[0] = dtype === 'bool' ? bits % 2 : bits
          const values = decode(array, dtype)
          expect(cast(values, dtype, dtype)).toEqual(values)
        },
      ),
    )
  })
})

describe('loads', () => {
  it('follow any strides and offsets', () => {
    const k = new KernelBuilder('views', [2, 3])
    const x = k.input('float32')
    k.output('float32', k.load(x, [3, 1]))
    k.output('float32', k.load(x, [1, 2]))
    k.output('float32', k.load(x, [0, -1], 2))
    k.output('float32', k.load(x, [-3, -1], 5))
    const memory = { values: [99, 0, 1, 2, 3, 4, 5], offset: 1 }
    expect(runProgram(engine, k.build(), [memory])).toEqual([
      [0, 1, 2, 3, 4, 5],
      [0, 2, 4, 1, 3, 5],
      [2, 1, 0, 2, 1, 0],
      [5, 4, 3, 2, 1, 0],
    ])
  })

  it('store with any strides', () => {
    const k = new KernelBuilder('transpose', [2, 3])
    k.output('int8', k.load(k.input('int8'), [3, 1]), [1, 2])
    expect(runProgram(engine, k.build(), [[0, 1, 2, 3, 4, 5]])).toEqual([[0, 3, 1, 4, 2, 5]])
  })

  it('gather rows of a table', () => {
    const k = new KernelBuilder('embedding', [3, 2])
    const table = k.input('float64')
    const row = k.load(k.input('int32'), [1, 0])
    k.output('float64', k.gather(table, k.add(k.mul(row, k.like(row, 2)), k.index(1))))
    const memory = { values: [-1, 10, 11, 20, 21, 30, 31], offset: 1 }
    expect(runProgram(engine, k.build(), [memory, [2, 0, 2]])).toEqual([[30, 31, 10, 11, 30, 31]])
  })
})

describe('reductions', () => {
  it('make softmax in one kernel', () => {
    const k = new KernelBuilder('softmax', [2], [3])
    const x = k.load(k.input('float32'), [3, 1])
    const e = k.exp(k.sub(x, k.reduce('max', x)))
    k.output('float32', k.div(e, k.reduce('sum', e)))
    const [y] = runProgram(engine, k.build(), [[1, 2, 3, 1000, 1000, 1000]])
    const total = Math.exp(-2) + Math.exp(-1) + 1
    const expected = [Math.exp(-2) / total, Math.exp(-1) / total, 1 / total, 1 / 3, 1 / 3, 1 / 3]
    y!.forEach((v, i) => expect(v).toBeCloseTo(expected[i]!, 6))
  })

  it('run in place, with several outputs', () => {
    const k = new KernelBuilder('centre and swap', [2], [2])
    const x = k.load(k.input('float32'), [2, 1])
    const mean = k.div(k.reduce('sum', x), k.constant('float32', 2))
    k.output('float32', k.sub(x, mean))
    k.output('float32', mean)
    const buffer = engine.allocate(16)
    const means = engine.allocate(8)
    engine.write(buffer, 'float32', 0, Float32Array.of(1, 3, 10, 20))
    engine.prepare(k.build()).run([buffer, buffer, means], [0, 0, 0], [])
    expect(engine.readSync(buffer, 'float32', 0, 4)).toEqual(Float32Array.of(-1, 1, -5, 5))
    expect(engine.readSync(means, 'float32', 0, 2)).toEqual(Float32Array.of(2, 15))
  })

  it('let two outputs exchange their inputs in place', () => {
    const k = new KernelBuilder('swap', [2])
    const a = k.load(k.input('float32'), [1])
    const b = k.load(k.input('float32'), [1])
    k.output('float32', b)
    k.output('float32', a)
    const [p, q] = [engine.allocate(8), engine.allocate(8)]
    engine.write(p, 'float32', 0, Float32Array.of(1, 2))
    engine.write(q, 'float32', 0, Float32Array.of(3, 4))
    engine.prepare(k.build()).run([p, q, p, q], [0, 0, 0, 0], [])
    expect(engine.readSync(p, 'float32', 0, 2)).toEqual(Float32Array.of(3, 4))
    expect(engine.readSync(q, 'float32', 0, 2)).toEqual(Float32Array.of(1, 2))
  })

  it('give the first extremum, and the first NaN before any', () => {
    expect(reduceAll('argmax', [1, 3, 3, 2], 'float32')).toBe(1)
    expect(reduceAll('argmin', [1, 3, 1, 2], 'int32')).toBe(0)
    expect(reduceAll('argmax', [1, Number.NaN, 9, Number.NaN], 'float32')).toBe(1)
    expect(reduceAll('argmin', [Number.NaN, -9, Number.NaN], 'float32')).toBe(0)
    expect(reduceAll('max', [1, Number.NaN, 9], 'float32')).toBeNaN()
    expect(reduceAll('argmax', [1n, 5n, 5n], 'int64')).toBe(1)
  })

  it('count positions row-major over several axes', () => {
    const k = new KernelBuilder('argmax', [2], [2, 2])
    k.output('int32', k.reduce('argmax', k.load(k.input('float32'), [1, 4, 2])))
    expect(runProgram(engine, k.build(), [[0, 9, 1, 2, 5, 3, 4, 4]])).toEqual([[2, 0]])
  })

  it('round a float32 sum once, and wrap integer sums', () => {
    const many = Array.from({ length: 1000 }, () => f32(0.1))
    expect(reduceAll('sum', [2 ** 24, ...many, -(2 ** 24)], 'float32')).toBe(f32(1000 * f32(0.1)))
    expect(reduceAll('sum', [2 ** 31 - 1, 1], 'int32')).toBe(-(2 ** 31))
    expect(reduceAll('prod', [2 ** 20, 2 ** 12 + 1, 3], 'int32')).toBe(3 * 2 ** 20)
    expect(reduceAll('sum', [200, 100], 'uint8')).toBe(44)
    expect(reduceAll('sum', [2n ** 63n - 1n, 1n], 'int64')).toBe(-(2n ** 63n))
  })

  it('of nothing give the identity', () => {
    const of = (dtype: DType) =>
      combiners.filter((c) => dtype !== 'float32' || (c !== 'and' && c !== 'or')).map((c) => [c, reduceAll(c, [], dtype)])
    expect(Object.fromEntries(of('float32'))).toEqual({
      sum: 0,
      prod: 1,
      max: Number.NEGATIVE_INFINITY,
      min: Number.POSITIVE_INFINITY,
      argmax: 0,
      argmin: 0,
    })
    expect(Object.fromEntries(of('int32'))).toEqual({
      sum: 0,
      prod: 1,
      max: -(2 ** 31),
      min: 2 ** 31 - 1,
      and: -1,
      or: 0,
      argmax: 0,
      argmin: 0,
    })
    expect(Object.fromEntries(of('int64'))).toEqual({
      sum: 0n,
      prod: 1n,
      max: -(2n ** 63n),
      min: 2n ** 63n - 1n,
      and: -1n,
      or: 0n,
      argmax: 0,
      argmin: 0,
    })
    expect([reduceAll('and', [], 'bool'), reduceAll('or', [], 'bool')]).toEqual([1, 0])
  })

  it('over no rows write nothing', () => {
    const k = new KernelBuilder('sum', [0], [3])
    k.output('float32', k.reduce('sum', k.load(k.input('float32'), [3, 1])))
    expect(runProgram(engine, k.build(), [[]])).toEqual([[]])
  })

  it('of a row-level value count its repetitions', () => {
    const k = new KernelBuilder('repeat', [2], [5])
    k.output('int32', k.reduce('sum', k.load(k.input('int32'), [1, 0])))
    expect(runProgram(engine, k.build(), [[3, -1]])).toEqual([[15, -5]])
  })
})

describe('KernelBuilder', () => {
  it('shares equal nodes but tells -0 from 0 and 1n from 1', () => {
    const k = new KernelBuilder('shared', [1])
    const x = k.load(k.input('float32'), [1])
    expect(k.exp(x)).toBe(k.exp(x))
    expect(k.constant('float32', -0)).not.toBe(k.constant('float32', 0))
    expect(k.constant('float64', Number.NaN)).not.toBe(k.constant('float64', Number.POSITIVE_INFINITY))
    expect(k.constant('int64', 1)).not.toBe(k.constant('int32', 1))
  })

  it('refuses operands of mixed types or outside the domain', () => {
    const k = new KernelBuilder('typed', [1])
    const x = k.load(k.input('float32'), [1])
    const n = k.load(k.input('int32'), [1])
    expect(() => k.add(x, n)).toThrow('add is not defined on (float32, int32)')
    expect(() => k.exp(n)).toThrow('exp is not defined on (int32)')
  })
})

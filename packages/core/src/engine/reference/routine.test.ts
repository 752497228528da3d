import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dense, runRoutine, small, type TestInput } from '../../../test/engine.ts'
import { type DType, dtypes } from '../../dtype.ts'
import { type Operand, routine, type RoutineAttrs, type RoutineName } from '../routine.ts'
import { ReferenceEngine } from './engine.ts'
import type { Num } from './storage.ts'

const engine = new ReferenceEngine()
const run = <N extends RoutineName>(
  name: N,
  attrs: RoutineAttrs[N],
  inputs: Parameters<typeof runRoutine>[3],
  ...outputs: Operand[]
): Num[][] => runRoutine(engine, name, attrs, inputs, ...outputs)

const numbers = (dtype: DType, values: readonly number[]): Num[] => (dtype === 'int64' ? values.map(BigInt) : [...values])

describe('matmul', () => {
  const matmul = (dtype: DType, a: readonly number[], b: readonly number[], bias?: readonly number[]) =>
    run(
      'matmul',
      {},
      [
        [dense(dtype, [2, 3]), numbers(dtype, a)] as const,
        [dense(dtype, [3, 2]), numbers(dtype, b)] as const,
        ...(bias ? [[dense(dtype, [2]), numbers(dtype, bias)] as const] : []),
      ],
      dense(dtype, [2, 2]),
    )[0]

  it.each(dtypes.filter((d) => d !== 'bool'))('of %s', (dtype) => {
    expect(matmul(dtype, [1, 2, 3, 4, 5, 6], [1, 0, 2, 1, 0, 3])).toEqual(numbers(dtype, [5, 11, 14, 23]))
    expect(matmul(dtype, [1, 2, 3, 4, 5, 6], [1, 0, 2, 1, 0, 3], [10, 20])).toEqual(numbers(dtype, [15, 31, 24, 43]))
  })

  it('of bools is reachability', () => {
    expect(matmul('bool', [1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 1])).toEqual([1, 0, 0, 0])
  })

  it('wraps integers and rounds floats once', () => {
    const dot = (dtype: DType, a: Num[], b: Num[]) =>
      run(
        'matmul',
        {},
        [
          [dense(dtype, [1, a.length]), a],
          [dense(dtype, [b.length, 1]), b],
        ],
        dense(dtype, [1, 1]),
      )[0]![0]
    expect(dot('int32', [2 ** 31 - 1, 3], [2 ** 31 - 1, 2 ** 30])).toBe(-(2 ** 30) + 1)
    expect(dot('int64', [2n ** 62n, 1n], [2n, 5n])).toBe(-(2n ** 63n) + 5n)
    expect(dot('int8', [100, 1], [2, 1])).toBe(-55)
    expect(dot('float32', [2 ** 24, 1, -(2 ** 24)], [2 ** 24, 1, 2 ** 24])).toBe(1)
    expect(dot('float16', [60000, 60000, 1], [1, -1, 1])).toBe(1)
  })

  it('takes transposed, reversed and broadcast operands of a buffer', () => {
    const a = { dtype: 'float32', shape: [2, 2, 2], strides: [0, 1, 2] } as const
    const b = { dtype: 'float32', shape: [2, 2, 1], strides: [2, -1, 1] } as const
    const [y] = run(
      'matmul',
      {},
      [
        [a, { values: [9, 1, 2, 3, 4], offset: 1 }],
        [b, { values: [9, 9, 5, 6, 7, 8], offset: 3 }],
      ],
      dense('float32', [2, 2, 1]),
    )
    // [[1, 3], [2, 4]] times (6, 5) and (8, 7).
    expect(y).toEqual([21, 32, 29, 44])
  })

  it('over nothing gives zeros, or the bias', () => {
    expect(
      run(
        'matmul',
        {},
        [
          [dense('float32', [1, 0]), []],
          [dense('float32', [0, 2]), []],
        ],
        dense('float32', [1, 2]),
      ),
    ).toEqual([[0, 0]])
    const biased = run(
      'matmul',
      {},
      [
        [dense('int64', [1, 0]), []],
        [dense('int64', [0, 2]), []],
        [dense('int64', [2]), [3n, 4n]],
      ],
      dense('int64', [1, 2]),
    )
    expect(biased).toEqual([[3n, 4n]])
    expect(
      run(
        'matmul',
        {},
        [
          [dense('float32', [0, 3]), []],
          [dense('float32', [3, 2]), [1, 2, 3, 4, 5, 6]],
        ],
        dense('float32', [0, 2]),
      ),
    ).toEqual([[]])
  })

  it('accumulates narrow operands in the type of the output', () => {
    const [y] = run(
      'matmul',
      {},
      [
        [dense('int8', [1, 2]), [127, 127]],
        [dense('int8', [2, 1]), [127, 127]],
      ],
      dense('int32', [1, 1]),
    )
    expect(y).toEqual([2 * 127 * 127])
  })
})

describe('sort', () => {
  const sorted = (dtype: DType, values: readonly Num[], descending = false) =>
    run('sort', { descending }, [[dense(dtype, [values.length]), values]], dense(dtype, [values.length]), dense('int32', [values.length]))

  it('is stable in both directions, with NaN as the largest', () => {
    const values = [2, Number.NaN, 1, 2, -0, 0, Number.NaN]
    expect(sorted('float32', values)).toEqual([
      [-0, 0, 1, 2, 2, Number.NaN, Number.NaN],
      [4, 5, 2, 0, 3, 1, 6],
    ])
    expect(sorted('float32', values, true)).toEqual([
      [Number.NaN, Number.NaN, 2, 2, 1, -0, 0],
      [1, 6, 0, 3, 2, 4, 5],
    ])
  })

  it('sorts int64 beyond what doubles tell apart, bools and nothing', () => {
    expect(sorted('int64', [2n ** 60n + 1n, 2n ** 60n, -1n])).toEqual([
      [-1n, 2n ** 60n, 2n ** 60n + 1n],
      [2, 1, 0],
    ])
    expect(sorted('bool', [1, 0, 1, 0], true)).toEqual([
      [1, 1, 0, 0],
      [0, 2, 1, 3],
    ])
    expect(sorted('float32', [])).toEqual([[], []])
    expect(run('sort', { descending: false }, [[dense('int32', []), [5]]], dense('int32', []), dense('int32', []))).toEqual([[5], [0]])
  })

  it('sorts each row of a strided view like Array.prototype.sort', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 9 }), fc.nat(1000), (rows, columns, seed) => {
        const memory = small(seed, rows * columns)
        const view = { dtype: 'int32', shape: [rows, columns], strides: [1, rows] } as const
        const [values, positions] = run(
          'sort',
          { descending: false },
          [[view, memory]],
          dense('int32', [rows, columns]),
          dense('int32', [rows, columns]),
        )
        for (let r = 0; r < rows; r++) {
          const row = Array.from({ length: columns }, (_, c) => memory[r + c * rows]!)
          const at = positions!.slice(r * columns, (r + 1) * columns)
          expect(values!.slice(r * columns, (r + 1) * columns)).toEqual([...row].sort((a, b) => a - b))
          expect(at.map((c) => row[Number(c)])).toEqual([...row].sort((a, b) => a - b))
        }
      }),
    )
  })
})

describe('scatter', () => {
  const scatter = (dtype: DType, mode: RoutineAttrs['scatter']['mode'], base: Num[], index: number[], source: Num[]) =>
    run(
      'scatter',
      { axis: 0, mode },
      [
        [dense(dtype, [base.length]), base],
        [dense('int32', [index.length]), index],
        [dense(dtype, [index.length]), source],
      ],
      dense(dtype, [base.length]),
    )[0]

  it('combines repeated indices one by one', () => {
    const into = (mode: RoutineAttrs['scatter']['mode']) => scatter('float32', mode, [1, 2, 3], [2, 0, 2], [10, 20, 30])
    expect(into('set')).toEqual([20, 2, 30])
    expect(into('add')).toEqual([21, 2, 43])
    expect(into('mul')).toEqual([20, 2, 900])
    expect(into('max')).toEqual([20, 2, 30])
    expect(into('min')).toEqual([1, 2, 3])
  })

  it('wraps integers, passes NaN on, joins bools', () => {
    expect(scatter('int8', 'add', [100], [0, 0], [100, 1])).toEqual([-55])
    expect(scatter('int64', 'mul', [2n ** 62n], [0], [2n])).toEqual([-(2n ** 63n)])
    expect(scatter('float32', 'max', [1], [0, 0], [Number.NaN, 5])).toEqual([Number.NaN])
    expect(scatter('bool', 'add', [0, 0], [1, 1], [1, 1])).toEqual([0, 1])
    expect(scatter('float16', 'add', [1], [], [])).toEqual([1])
  })

  it('replaces the place on one axis of many', () => {
    const at = (axis: number, index: readonly number[], shape: readonly number[]) =>
      run(
        'scatter',
        { axis, mode: 'set' },
        [
          [dense('int32', [2, 3]), [0, 0, 0, 0, 0, 0]],
          [dense('int32', shape), index],
          [dense('int32', shape), [1, 2, 3, 4].slice(0, index.length)],
        ],
        dense('int32', [2, 3]),
      )[0]
    expect(at(1, [2, 0, 1, 1], [2, 2])).toEqual([2, 0, 1, 0, 4, 0])
    expect(at(0, [1, 0, 1], [1, 3])).toEqual([0, 2, 0, 1, 0, 3])
  })

  it('adds one source that is broadcast by strides', () => {
    const one = { dtype: 'float64', shape: [4], strides: [0] } as const
    const [histogram] = run(
      'scatter',
      { axis: 0, mode: 'add' },
      [
        [dense('float64', [3]), [0, 0, 0]],
        [dense('int32', [4]), [1, 2, 1, 1]],
        [one, [1]],
      ],
      dense('float64', [3]),
    )
    expect(histogram).toEqual([0, 3, 1])
  })
})

describe('cumulative', () => {
  const along = (x: Operand, values: TestInput | readonly Num[], attrs: RoutineAttrs['cumulative'], to: DType = x.dtype) =>
    run('cumulative', attrs, [[x, values]], dense(to, x.shape))[0]
  const running = (combine: RoutineAttrs['cumulative']['combine'], reverse = false, axis = 0) => ({ combine, reverse, axis })

  it('runs along any axis, in both directions', () => {
    const x = dense('float32', [2, 3])
    expect(along(x, [1, 2, 3, 4, 5, 6], running('sum', false, 1))).toEqual([1, 3, 6, 4, 9, 15])
    expect(along(x, [1, 2, 3, 4, 5, 6], running('sum', true, 1))).toEqual([6, 5, 3, 15, 11, 6])
    expect(along(x, [1, 2, 3, 4, 5, 6], running('prod', false, 0))).toEqual([1, 2, 3, 4, 10, 18])
    expect(along({ ...x, strides: [0, -1] }, { values: [1, 2, 3], offset: 2 }, running('max', false, 1))).toEqual([3, 3, 3, 3, 3, 3])
  })

  it('passes NaN on, and takes bools', () => {
    expect(along(dense('float32', [4]), [1, Number.NaN, 9, 0], running('max'))).toEqual([1, Number.NaN, Number.NaN, Number.NaN])
    expect(along(dense('bool', [4]), [0, 1, 0, 0], running('max'))).toEqual([0, 1, 1, 1])
    expect(along(dense('bool', [4]), [1, 1, 0, 1], running('prod'))).toEqual([1, 1, 0, 0])
  })

  it('computes in the type of the output', () => {
    expect(along(dense('bool', [3]), [1, 1, 1], running('sum'), 'int64')).toEqual([1n, 2n, 3n])
    expect(along(dense('uint8', [3]), [200, 100, 1], running('sum'), 'int32')).toEqual([200, 300, 301])
    expect(along(dense('uint8', [3]), [200, 100, 1], running('sum'))).toEqual([200, 44, 45])
    expect(along(dense('float32', [3]), [2 ** 24, 1, 1], running('sum'))).toEqual([2 ** 24, 2 ** 24, 2 ** 24 + 2])
    expect(along(dense('int32', [2]), [300, 50], running('max'), 'uint8')).toEqual([44, 50])
  })

  it('of nothing is nothing', () => {
    expect(along(dense('float32', [0, 3]), [], running('sum'))).toEqual([])
    expect(along(dense('float32', [3, 0]), [], running('sum', false, 1))).toEqual([])
  })

  it('undoes itself by differences', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { maxLength: 20 }), fc.boolean(), (values, reverse) => {
        const sums = along(dense('int32', [values.length]), values, running('sum', reverse)) as number[]
        const step = reverse ? 1 : -1
        expect(sums.map((s, i) => (s - (sums[i + step] ?? 0)) | 0)).toEqual(values)
      }),
    )
  })

  it('runs in place', () => {
    const x = dense('float32', [3])
    const buffer = engine.allocate(12)
    engine.write(buffer, 'float32', 0, Float32Array.of(1, 2, 3))
    engine.prepare(routine('cumulative', running('sum', true), [x], [x])).run([buffer, buffer], [0, 0], [])
    expect(engine.readSync(buffer, 'float32', 0, 3)).toEqual(Float32Array.of(6, 5, 3))
  })
})

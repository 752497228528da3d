import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dense, runRoutine, type TestInput } from '../../../test/engine.ts'
import { type DType, dtypeInfo } from '../../dtype.ts'
import { rowMajor, sizeOf } from '../../layout.ts'
import type { Buffer, Engine, Executable, Program } from '../engine.ts'
import { ReferenceEngine } from '../reference/engine.ts'
import { referenceRoutine } from '../reference/routine.ts'
import type { Num } from '../reference/storage.ts'
import { type Operand, type RoutineAttrs, type RoutineName, scatterModes, type WindowGeometry } from '../routine.ts'
import { WasmEngine } from './engine.ts'
import { KernelCompiler } from './kernel-program.ts'
import { RoutineCompiler } from './routine-program.ts'

/** The Wasm engine, with each task worth a thread of its own. */
class FineEngine extends WasmEngine {
  readonly #routines = new RoutineCompiler(this.heap, this.pool, new KernelCompiler(this.heap, this.pool), { grain: 1 })

  constructor(threads: number) {
    super({
      threads,
      fallback: ({ name }) => {
        throw new TypeError(`${name} has no emitted code`)
      },
    })
  }

  override prepare(program: Program): Executable {
    if (program.kind === 'kernel') return super.prepare(program)
    const run = this.#routines.prepare(program)
    if (!run) throw new TypeError(`${program.name} has no emitted code`)
    const sizes = [...program.inputs, ...program.outputs].map((o) => dtypeInfo[o.dtype].size)
    return {
      run: (buffers, offsets) =>
        run(
          buffers.map((b, i) => (b as Buffer & { pointer: number }).pointer + offsets[i]! * sizes[i]!),
          [],
        ),
    }
  }
}

const reference = new ReferenceEngine()
const engines = [new FineEngine(1), new FineEngine(3)]
beforeAll(async () => {
  await engines[1]!.pool.ready()
})
afterAll(() => engines.forEach((engine) => engine.close()))

type Input = readonly [Operand, TestInput]

/** Undefined if the engines give what the reference gives, on one thread and on more; only sorting tells -0 from 0. */
function disagreement<N extends RoutineName>(name: N, attrs: RoutineAttrs[N], inputs: readonly Input[], ...outputs: Operand[]) {
  const run = (engine: Engine) => {
    const results = runRoutine(engine, name, attrs, inputs, ...outputs)
    return name === 'sort' ? results : results.map((values) => values.map((v) => (v === 0 ? 0 : v)))
  }
  const expected = run(reference)
  for (const engine of engines) {
    const actual = run(engine)
    const same = actual.every((values, o) => values.length === expected[o]!.length && values.every((v, i) => Object.is(v, expected[o]![i])))
    if (!same) return { threads: engine.pool.threads, expected, actual }
  }
  return undefined
}

let seed = 1
function random(limit: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0
  return (seed >>> 8) % limit
}

/** Small whole numbers, now and then something special. */
function value(dtype: DType, specials: readonly number[]): Num {
  if (dtype === 'bool') return random(2)
  const small = random(13) - (dtype === 'uint8' ? 0 : 6)
  if (dtype === 'int64') return BigInt(small)
  return dtypeInfo[dtype].kind === 'float' && random(8) === 0 && specials.length ? specials[random(specials.length)]! : small
}

const layouts = ['dense', 'offset', 'gaps', 'transposed', 'reversed', 'broadcast'] as const
type LayoutName = (typeof layouts)[number]

/** An operand of the given shape that lies in memory somehow, with values in all of it. */
function operand(dtype: DType, shape: readonly number[], layout: LayoutName = 'dense', each: () => Num = () => value(dtype, [])): Input {
  let strides = rowMajor(shape)
  if (layout === 'gaps') strides = rowMajor(shape.map((n, axis) => (axis === shape.length - 1 ? 2 * n + 1 : n)))
  if (layout === 'transposed') strides = rowMajor([...shape].reverse()).reverse()
  if (layout === 'broadcast') strides = strides.map((s, axis) => (axis === 0 || (axis === 1 && shape.length > 2) ? 0 : s))
  let offset = layout === 'dense' ? 0 : 3
  if (layout === 'reversed' && sizeOf(shape) > 0) {
    const axis = shape.length - 1
    offset += (shape[axis]! - 1) * strides[axis]!
    strides = strides.map((s, d) => (d === axis ? -s : s))
  }
  const reach = strides.reduce((sum, s, axis) => sum + Math.max(0, s) * Math.max(0, shape[axis]! - 1), offset) + 1
  return [
    { dtype, shape, strides },
    { values: Array.from({ length: reach }, each), offset },
  ]
}

const layoutOf = fc.constantFrom(...layouts)
const laneDTypes = ['float32', 'float32', 'int32', 'float64', 'int64'] as const
const anyDType = fc.constantFrom<DType>(...laneDTypes, 'float16', 'bfloat16', 'uint8', 'int8', 'bool')
const run = <T extends [unknown, ...unknown[]]>(
  arbitraries: { [K in keyof T]: fc.Arbitrary<T[K]> },
  body: (...values: T) => void,
  numRuns = 120,
) =>
  fc.assert(
    fc.property(...arbitraries, (...values) => body(...values)),
    { numRuns },
  )
const size = (max: number, min = 0) => fc.integer({ min, max })

const axisGeometry = fc
  .record({
    kernel: size(4, 1),
    stride: size(3, 1),
    dilation: size(2, 1),
    before: size(3),
    after: size(3),
    windows: size(4, 1),
    cut: size(2),
  })
  .map((a) => {
    // Windows that fit, and up to `cut` pixels that none of them sees.
    const covered = (a.windows - 1) * a.stride + a.dilation * (a.kernel - 1) + 1 - a.before - a.after
    const spatial = Math.max(1, covered + Math.min(a.cut, a.stride - 1))
    const windows = Math.floor((spatial + a.before + a.after - a.dilation * (a.kernel - 1) - 1) / a.stride) + 1
    return { ...a, spatial, windows }
  })
const geometry = fc.array(axisGeometry, { minLength: 1, maxLength: 3 }).map((axes) => ({
  attrs: {
    kernel: axes.map((a) => a.kernel),
    stride: axes.map((a) => a.stride),
    dilation: axes.map((a) => a.dilation),
    padding: axes.map((a) => [a.before, a.after] as const),
  } satisfies WindowGeometry,
  spatial: axes.map((a) => a.spatial),
  windows: axes.map((a) => a.windows),
}))

describe('products', () => {
  it('matmul of any layouts, batches, dtypes', () => {
    run(
      [anyDType, anyDType, fc.array(size(3), { maxLength: 2 }), size(9), size(9), size(9), layoutOf, layoutOf, fc.boolean()],
      (dtype, other, batch, m, k, n, la, lb, biased) => {
        const inputs = [operand(other, [...batch, m, k], la), operand(dtype, [...batch, k, n], lb)]
        if (biased) inputs.push(operand(dtype, [n], lb))
        expect(disagreement('matmul', {}, inputs, dense(dtype, [...batch, m, n]))).toBeUndefined()
      },
      200,
    )
  })

  it.each(['bfloat16', 'float16'] as const)('matmul of %s over several panels, blocks and passes', (dtype) => {
    for (const [m, k, n] of [
      [133, 401, 9],
      [6, 13, 530],
      [1, 390, 21],
      [5, 390, 1],
    ] as const) {
      for (const [la, lb] of [
        ['dense', 'transposed'],
        ['transposed', 'dense'],
        ['gaps', 'reversed'],
      ] as const) {
        const specials = [Infinity, -0, 2 ** -6, -100]
        const inputs = [operand(dtype, [m, k], la), operand(dtype, [k, n], lb, () => value(dtype, la === 'gaps' ? specials : []))]
        expect(disagreement('matmul', {}, inputs, dense(dtype, [m, n])), `${m} ${k} ${n} ${la} ${lb}`).toBeUndefined()
      }
    }
  })

  it('matmul of a batch of vectors and one matrix', () => {
    const [x] = [operand('float32', [3, 5, 7])]
    const [w, values] = operand('float32', [7, 9])
    expect(
      disagreement('matmul', {}, [x, [{ ...w, shape: [3, 7, 9], strides: [0, 9, 1] }, values]], dense('float32', [3, 5, 9])),
    ).toBeUndefined()
  })

  it('convolutions and their gradients', () => {
    run(
      [anyDType, geometry, size(2), size(3, 1), size(3, 1), size(2, 1), layoutOf, layoutOf],
      (dtype, g, batch, cin, cout, groups, lx, lw) => {
        const attrs = { ...g.attrs, groups }
        const [x, w, y] = [
          [batch, ...g.spatial, cin * groups],
          [...g.attrs.kernel, cin, cout * groups],
          [batch, ...g.windows, cout * groups],
        ] as const
        expect(disagreement('conv', attrs, [operand(dtype, x, lx), operand(dtype, w, lw)], dense(dtype, y))).toBeUndefined()
        expect(
          disagreement('conv', attrs, [operand(dtype, x, lx), operand(dtype, w, lw), operand(dtype, [cout * groups], lw)], dense(dtype, y)),
        ).toBeUndefined()
        expect(disagreement('convGradInput', attrs, [operand(dtype, y, lx), operand(dtype, w, lw)], dense(dtype, x))).toBeUndefined()
        expect(disagreement('convGradWeight', attrs, [operand(dtype, x, lx), operand(dtype, y, lw)], dense(dtype, w))).toBeUndefined()
      },
    )
  })
})

describe('windows', () => {
  const channels = fc.constantFrom(0, 1, 2, 3, 4, 5, 7, 16, 17, 21, 35)

  it('maxPool and its gradient', () => {
    run(
      [anyDType, geometry, size(2), channels, layoutOf],
      (dtype, { attrs, spatial, windows }, batch, c, layout) => {
        const x = operand(dtype, [batch, ...spatial, c], layout, () => value(dtype, [Number.NaN, Number.NEGATIVE_INFINITY]))
        const y = [batch, ...windows, c]
        expect(disagreement('maxPool', attrs, [x], dense(dtype, y), dense('int32', y))).toBeUndefined()
        const volume = sizeOf(spatial)
        const positions = operand('int32', y, layout, () => random(volume + 1) - 1)
        expect(
          disagreement('maxPoolGrad', {}, [operand(dtype, y, layout), positions], dense(dtype, [batch, ...spatial, c])),
        ).toBeUndefined()
      },
      200,
    )
  })

  it('fold', () => {
    run(
      [anyDType, geometry, size(2), channels, layoutOf],
      (dtype, { attrs, spatial, windows }, batch, c, layout) => {
        const x = operand(dtype, [batch, ...windows, ...attrs.kernel, c], layout)
        expect(disagreement('fold', attrs, [x], dense(dtype, [batch, ...spatial, c]))).toBeUndefined()
      },
      200,
    )
  })
})

describe('along an axis', () => {
  const shape = fc.array(fc.oneof(size(5), fc.constantFrom(8, 19, 41)), { minLength: 1, maxLength: 3 })

  it('cumulative', () => {
    run(
      [anyDType, anyDType, shape, size(2), fc.constantFrom('sum', 'prod', 'max', 'min'), fc.boolean(), layoutOf],
      (dtype, from, sizes, a, combine, reverse, layout) => {
        const axis = a % sizes.length
        const narrowProduct =
          combine === 'prod' && (dtype === 'float16' || dtype === 'bfloat16' || dtype === 'float32' || dtype === 'float64')
        const each = () =>
          narrowProduct ? (from === 'int64' ? 1n : 1) : value(from, combine === 'max' || combine === 'min' ? [Number.NaN] : [])
        expect(
          disagreement(
            'cumulative',
            { axis, combine: combine as 'sum', reverse },
            [operand(from, sizes, layout, each)],
            dense(dtype, sizes),
          ),
        ).toBeUndefined()
      },
      250,
    )
  })

  it('sort', () => {
    run(
      [anyDType, size(4), fc.oneof(size(12), fc.constantFrom(39, 40, 41, 100, 300)), fc.boolean(), layoutOf],
      (dtype, rows, length, descending, layout) => {
        const specials = [Number.NaN, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, -0]
        const x = operand(dtype, [rows, length], layout, () => value(dtype, specials))
        expect(disagreement('sort', { descending }, [x], dense(dtype, [rows, length]), dense('int32', [rows, length]))).toBeUndefined()
      },
      200,
    )
  })

  it('sorts numbers of any size, and one number', () => {
    for (const dtype of ['float32', 'float64', 'int32', 'int64'] as const) {
      const float = dtype.startsWith('float')
      const each = () => {
        const wide = float ? (random(2 ** 23) - 2 ** 22) * 10 ** (random(60) - 30) : (random(2 ** 24) - 2 ** 23) * 200
        return dtype === 'int64' ? BigInt(wide) * 1_000_000_007n : dtype === 'float32' ? Math.fround(wide) : wide
      }
      for (const descending of [false, true]) {
        expect(
          disagreement('sort', { descending }, [operand(dtype, [2, 500], 'dense', each)], dense(dtype, [2, 500]), dense('int32', [2, 500])),
        ).toBeUndefined()
        expect(
          disagreement('sort', { descending }, [operand(dtype, [], 'dense', each)], dense(dtype, []), dense('int32', [])),
        ).toBeUndefined()
      }
    }
  })

  it('scatter', () => {
    run(
      [
        anyDType,
        fc.constantFrom(...scatterModes),
        fc.array(fc.tuple(size(6, 1), size(6)), { minLength: 1, maxLength: 3 }),
        size(2),
        fc.boolean(),
        layoutOf,
        layoutOf,
      ],
      (dtype, mode, sizes, a, rows, lb, ls) => {
        const axis = a % sizes.length
        const base = sizes.map(([n]) => n)
        const shape = sizes.map(([n, m], d) => (d === axis ? m : Math.min(n, m)))
        const whole = rows ? shape.map((n, d) => (d > axis ? base[d]! : n)) : shape
        const [index, positions] = operand('int32', whole, 'dense', () => random(base[axis]!))
        const strides = index.strides.map((s, d) => (rows && d > axis ? 0 : s))
        // Factors of 1 and 2 keep products exact.
        const each = () =>
          mode === 'mul'
            ? dtype === 'int64'
              ? BigInt(1 + random(2))
              : dtype === 'bool'
                ? random(2)
                : 1 + random(2)
            : value(dtype, mode === 'max' ? [Number.NaN] : [])
        expect(
          disagreement(
            'scatter',
            { axis, mode },
            [operand(dtype, base, lb), [{ ...index, strides }, positions], operand(dtype, whole, ls, each)],
            dense(dtype, base),
          ),
        ).toBeUndefined()
      },
      300,
    )
  })

  it('scatters wide rows', () => {
    const [index, positions] = operand('int32', [50, 1], 'dense', () => random(7))
    for (const width of [1, 3, 16, 37, 130]) {
      for (const mode of scatterModes) {
        const inputs = [
          operand('float32', [7, width], 'broadcast'),
          [{ ...index, shape: [50, width], strides: [1, 0] }, positions] as Input,
          operand('float32', [50, width], 'dense', () => (mode === 'mul' ? 1 + (random(6) === 0 ? 1 : 0) : random(9))),
        ]
        expect(disagreement('scatter', { axis: 0, mode }, inputs, dense('float32', [7, width]))).toBeUndefined()
      }
    }
  })
})

it('leaves windows over four axes to the fallback, with one notice', () => {
  const notices: string[] = []
  const engine = new WasmEngine({ threads: 1, fallback: referenceRoutine, notice: (message) => notices.push(message) })
  const attrs = { kernel: [1, 2, 1, 2], stride: [1, 1, 1, 1], padding: [0, 1, 0, 0].map((n) => [n, 0] as const), dilation: [1, 1, 1, 1] }
  const x = operand('float32', [1, 2, 2, 2, 3, 2])
  const y = dense('float32', [1, 2, 2, 2, 2, 2])
  const results = [engine, engine, reference].map((e) => runRoutine(e, 'maxPool', attrs, [x], y, { ...y, dtype: 'int32' }))
  expect(results[0]).toEqual(results[2])
  expect(results[1]).toEqual(results[2])
  expect(notices).toEqual(['Cotangent computes this slowly: maxPool of rank 6 has no compiled code.'])
  engine.close()
})

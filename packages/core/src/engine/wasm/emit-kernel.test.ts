import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { expected, KernelTrial, ulps } from '../../../test/kernel-trial.ts'
import { type DType, dtypeInfo, type TypedArray } from '../../dtype.ts'
import { type Kernel, KernelBuilder, type Value } from '../kernel.ts'
import '../../sequences.ts'
import { type Combiner, combiners, type ScalarOp, scalarTypeOf } from '../scalar.ts'
import { wasmFeatures } from './features.ts'

const trials = [false, ...(wasmFeatures().relaxedSimd ? [true] : [])].map((relaxed) => ({ relaxed, trial: new KernelTrial({ relaxed }) }))
afterAll(() => trials.forEach(({ trial }) => trial.close()))

let seed = 7
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0
  return (seed >>> 0) / 2 ** 32
}

function fill(dtype: DType, length: number): TypedArray {
  const data = new dtypeInfo[dtype].array(length)
  for (let i = 0; i < length; i++) {
    const r = random()
    if (dtype === 'int64') (data as BigInt64Array)[i] = BigInt(Math.trunc((r - 0.5) * 40))
    else if (dtype === 'bool') data[i] = Number(r < 0.5)
    else if (dtype === 'float16') data[i] = 0x3800 + Math.trunc(r * 0x7ff)
    else if (dtype === 'bfloat16') data[i] = 0x3f00 + Math.trunc(r * 0xff)
    else data[i] = dtypeInfo[dtype].kind === 'int' ? Math.trunc((r - 0.5) * 40) : (r - 0.5) * 4
  }
  return data
}

/** Floats may differ by rounding: of the operands of a sum, not only of its result. */
function close(dtype: DType, got: number | bigint, want: number | bigint, single: boolean): boolean {
  if (ulps(dtype, got, want) <= (dtypeInfo[dtype].size === 2 ? 1 : 8)) return true
  if (dtype !== 'float32' && dtype !== 'float64') return false
  return Math.abs(Number(got) - Number(want)) <= (single ? 2e-5 : 1e-12) * (1 + Math.abs(Number(want)))
}

/** 'same', or where the emitted code and the reference differ. */
function compare(
  trial: KernelTrial,
  kernel: Kernel,
  inputs: TypedArray[],
  scalars: number[] = [],
  inPlace: Record<number, number> = {},
): string {
  const got = trial.emitted(kernel, inputs, scalars, inPlace)
  const want = expected(kernel, inputs, scalars, inPlace)
  const single = kernel.nodes.some((n) => n.type === 'float32')
  for (const [o, { dtype }] of kernel.outputs.entries()) {
    const at = [...want[o]!.keys()].find((i) => !close(dtype, got[o]![i]!, want[o]![i]!, single))
    if (at !== undefined) return `${kernel.name} output ${o} at ${at}: ${got[o]![at]} instead of ${want[o]![at]}`
  }
  return 'same'
}

describe.each(trials)('relaxed: $relaxed', ({ trial }) => {
  test.each([
    [[3], [10]],
    [[5], [1]],
    [[1], [1000]],
    [
      [4, 3],
      [2, 17],
    ],
    [[2], [0]],
    [[0], [4]],
  ])('softmax of rows %j x %j', (parallel, reduce) => {
    const b = new KernelBuilder('softmax', parallel, reduce)
    const strides = dense([...parallel, ...reduce])
    const x = b.load(b.input('float32'), strides)
    const e = b.exp(b.sub(x, b.reduce('max', x)))
    b.output('float32', b.div(e, b.reduce('sum', e)))
    const kernel = b.build()
    const input = fill('float32', size(parallel) * size(reduce))
    expect(compare(trial, kernel, [input])).toBe('same')
    if (input.length) expect(compare(trial, kernel, [input], [], { 0: 0 })).toBe('same')
  })

  test('softmax of columns', () => {
    const b = new KernelBuilder('softmax', [37], [23])
    const x = b.load(b.input('float32'), [1, 37])
    const e = b.exp(b.sub(x, b.reduce('max', x)))
    b.output('float32', b.div(e, b.reduce('sum', e)), [1, 37])
    expect(compare(trial, b.build(), [fill('float32', 37 * 23)], [], { 0: 0 })).toBe('same')
  })

  test('layer norm with affine, mean and variance as further outputs', () => {
    const [rows, width] = [9, 77]
    const b = new KernelBuilder('layerNorm', [rows], [width])
    const x = b.load(b.input('float32'), [width, 1])
    const gain = b.load(b.input('float32'), [0, 1])
    const bias = b.load(b.input('float32'), [0, 1])
    const n = b.constant('float32', 1 / width)
    const mean = b.mul(b.reduce('sum', x), n)
    const centred = b.sub(x, mean)
    const variance = b.mul(b.reduce('sum', b.mul(centred, centred)), n)
    const scale = b.div(b.like(x, 1), b.sqrt(b.add(variance, b.param('float32'))))
    b.output('float32', b.add(b.mul(b.mul(centred, scale), gain), bias))
    b.output('float32', mean)
    b.output('float32', variance)
    expect(
      compare(trial, b.build(), [fill('float32', rows * width), fill('float32', width), fill('float32', width)], [1e-5], { 0: 0 }),
    ).toBe('same')
  })

  test('AdamW in place', () => {
    const n = 1003
    const b = new KernelBuilder('adamW', [n])
    const [p, g, m, v] = [0, 1, 2, 3].map(() => b.load(b.input('float32'), [1])) as [Value, Value, Value, Value]
    const [rate, beta1, beta2, decay] = [0, 1, 2, 3].map(() => b.param('float32')) as [Value, Value, Value, Value]
    const one = b.like(p, 1)
    const m2 = b.add(b.mul(m, beta1), b.mul(g, b.sub(one, beta1)))
    const v2 = b.add(b.mul(b.abs(v), beta2), b.mul(b.mul(g, g), b.sub(one, beta2)))
    const step = b.div(m2, b.add(b.sqrt(v2), b.like(p, 1e-8)))
    b.output('float32', b.sub(b.mul(p, b.sub(one, b.mul(rate, decay))), b.mul(rate, step)))
    b.output('float32', m2)
    b.output('float32', v2)
    const inputs = [0, 1, 2, 3].map(() => fill('float32', n))
    expect(compare(trial, b.build(), inputs, [1e-3, 0.9, 0.999, 0.01], { 0: 0, 1: 2, 2: 3 })).toBe('same')
  })

  test.each(combiners)('%s over rows, columns and everything', (combine) => {
    const logic = combine === 'and' || combine === 'or'
    for (const dtype of logic
      ? (['bool', 'int32', 'int64'] as const)
      : (['bool', 'uint8', 'int32', 'int64', 'float16', 'float32', 'float64'] as const)) {
      for (const [parallel, reduce, strides] of [
        [[7], [29], [29, 1]],
        [[29], [7], [1, 29]],
        [[1], [203], [0, 1]],
        [[3], [5, 7], [1, 21, 3]],
        [[5], [3, 7], [3, 1, 15]],
      ] as const) {
        const b = new KernelBuilder(combine, parallel, reduce)
        const r = b.reduce(combine, b.load(b.input(dtype), strides))
        b.output(b.typeOf(r), r)
        const input = fill(dtype, 210)
        if (combine === 'prod' && dtypeInfo[dtype].kind !== 'bool')
          for (let i = 0; i < 210; i++) if (i % 3) input[i] = dtype === 'int64' ? (1n as never) : dtype === 'float16' ? 0x3c00 : 1
        expect(compare(trial, b.build(), [input])).toBe('same')
        if (dtype === 'float32' || dtype === 'float64') {
          input[100] = Number.NaN
          input[57] = Number.NaN
          input[3] = Number.NEGATIVE_INFINITY
          expect(compare(trial, b.build(), [input])).toBe('same')
        }
      }
    }
  })

  test('extrema of nothing but infinities, and ties', () => {
    for (const combine of ['argmax', 'argmin', 'max', 'min'] as const) {
      const b = new KernelBuilder(combine, [2], [21])
      const r = b.reduce(combine, b.load(b.input('float32'), [21, 1]))
      b.output(b.typeOf(r), r)
      for (const value of [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 3])
        expect(compare(trial, b.build(), [new Float32Array(42).fill(value)])).toBe('same')
    }
  })

  test('long reductions, cut into chunks', () => {
    for (const [parallel, reduce, strides] of [
      [[], [70_003], [1]],
      [[2], [33_001], [33_001, 1]],
      [[3], [5_001, 7], [7, 21, 1]],
      [[37], [5_001], [1, 37]],
      [
        [2, 9],
        [4_500, 2],
        [81_000, 1, 18, 9],
      ],
      [[1], [40_000], [0, 2]],
    ] as const) {
      for (const dtype of ['float32', 'int64'] as const) {
        const b = new KernelBuilder('chunks', parallel, reduce)
        const x = b.load(b.input(dtype), strides)
        b.output(dtype, b.add(b.reduce('sum', x), b.like(x, 1)))
        b.output(dtype, b.reduce('max', x))
        b.output('int32', b.reduce('argmin', b.mul(x, x)))
        const kernel = b.build()
        const input = fill(dtype, 190_000)
        // Sums without cancellation, so that results and not only operands compare.
        if (dtype === 'float32') for (let i = 0; i < input.length; i++) input[i] = Math.abs(input[i] as number)
        expect(compare(trial, kernel, [input])).toBe('same')
        if (dtype === 'int64') continue
        input[31_007] = Number.NaN
        expect(compare(trial, kernel, [input])).toBe('same')
      }
    }
  })

  test('long sums are as accurate as pairwise ones', () => {
    const b = new KernelBuilder('sum', [], [4_000_000])
    b.output('float32', b.reduce('sum', b.load(b.input('float32'), [1])))
    const data = new Float32Array(4_000_000).map(() => 0.1 + random())
    const exact = data.reduce((sum, x) => sum + x, 0)
    expect(Math.abs(Number(trial.emitted(b.build(), [data])[0]![0]) / exact - 1)).toBeLessThan(1e-6)
  })

  test('transposed operands of every dtype', () => {
    for (const dtype of dtypesUsed) {
      for (const [shape, strides] of [
        [
          [13, 22],
          [1, 13],
        ],
        [
          [4, 4],
          [1, 4],
        ],
        [
          [3, 9, 6],
          [54, 1, 9],
        ],
        [
          [3, 2, 18],
          [1, 3, 6],
        ],
        [
          [35, 5],
          [1, 41],
        ],
      ] as const) {
        const b = new KernelBuilder('transpose', shape)
        const x = b.load(b.input(dtype), strides, 1)
        const y = b.load(b.input(dtype), [...dense(shape).slice(0, -1), 0])
        b.output(dtype, x)
        b.output(dtype, b.max(x, y))
        expect(compare(trial, b.build(), [fill(dtype, 400), fill(dtype, 400)])).toBe('same')
      }
    }
  })

  test('gather: rows of a table, neighbouring and scattered elements', () => {
    const b = new KernelBuilder('gather', [11, 13])
    const table = b.input('float32')
    const row = b.load(b.input('int32'), [1, 0])
    const column = b.index(1)
    const width = b.constant('int32', 13)
    b.output('float32', b.gather(table, b.add(b.mul(row, width), column)))
    b.output('float32', b.gather(table, b.mul(row, width)))
    b.output('float32', b.gather(table, b.add(b.mul(row, width), b.sub(b.constant('int32', 12), column))))
    b.output('int32', b.gather(1, b.min(column, b.constant('int32', 5))))
    const rows = Int32Array.from({ length: 11 }, (_, i) => (i * 5) % 7)
    expect(compare(trial, b.build(), [fill('float32', 7 * 13), rows])).toBe('same')
  })

  test('sums of products', () => {
    for (const [strides1, strides2] of [
      [
        [17, 0, 1],
        [0, 1, 13],
      ],
      [
        [17, 0, 1],
        [0, 17, 1],
      ],
    ] as const) {
      const b = new KernelBuilder('matmul', [5, 13], [17])
      b.output('float32', b.reduce('sum', b.mul(b.load(b.input('float32'), strides1), b.load(b.input('float32'), strides2))))
      expect(compare(trial, b.build(), [fill('float32', 85), fill('float32', 221)])).toBe('same')
    }
  })

  test('one module serves all shapes of a structure', () => {
    const kernel = (n: number, m: number) => {
      const b = new KernelBuilder('add', [n, m])
      b.output('float32', b.add(b.load(b.input('float32'), [m, 1]), b.load(b.input('float32'), [0, 1])))
      return b.build()
    }
    expect(compare(trial, kernel(9, 20), [fill('float32', 180), fill('float32', 20)])).toBe('same')
    const before = trial.compiler.moduleCount
    for (let n = 8; n < 40; n += 3) {
      expect(compare(trial, kernel(n, 57 - n), [fill('float32', n * (57 - n)), fill('float32', 57 - n)])).toBe('same')
    }
    expect(trial.compiler.moduleCount).toBe(before)
  })

  test.each([
    [3, 9, 4],
    [2, 8, 12],
    [8, 2, 16],
    [1, 200, 7],
    [300, 1, 24],
    [2, 70, 33],
    [9, 9, 260],
  ])('short rows are swept: %i x %i x %i', (a, b, c) => {
    const k = new KernelBuilder('swept', [a, b, c])
    const load = (strides: readonly number[]) => k.load(k.input('float32'), strides)
    const ofRow = k.add(load([b, 1, 0]), k.cast(k.add(k.index(1), k.index(0)), 'float32'))
    const ofColumn = k.mul(load([0, 0, 1]), k.cast(k.index(2), 'float32'))
    const y = k.add(k.mul(load([b * c, c, 1]), ofColumn), ofRow)
    k.output('float32', y)
    k.output('int32', k.select(k.gt(y, load([c, 0, 1])), k.index(1), k.constant('int32', -1)))
    const sizes = [a * b, c, a * b * c, a * c]
    const inputs = sizes.map((size) => fill('float32', size))
    expect(compare(trial, k.build(), inputs)).toBe('same')
  })

  test('short rows with reductions over no axis', () => {
    const k = new KernelBuilder('maxGrad', [12, 20])
    const x = k.load(k.input('float32'), [20, 1])
    const isBest = k.eq(x, k.reduce('max', x))
    k.output('float32', k.add(k.select(isBest, k.load(k.input('float32'), [0, 1]), k.constant('float32', 0)), k.reduce('sum', x)))
    expect(compare(trial, k.build(), [fill('float32', 240), fill('float32', 20)])).toBe('same')
  })

  test('and all strides in the index of what is gathered', () => {
    const kernel = (n: number, m: number) => {
      const b = new KernelBuilder('gather', [n, 8])
      const [from, at] = [b.input('float32'), b.load(b.input('int32'), [1, 0])]
      b.output('float32', b.gather(from, b.add(b.mul(at, b.constant('int32', m)), b.index(1))))
      return b.build()
    }
    const before = trial.compiler.moduleCount
    for (let m = 8; m < 20; m += 3) {
      expect(compare(trial, kernel(5, m), [fill('float32', 5 * m), Int32Array.of(3, 0, 4, 1, 1)])).toBe('same')
    }
    expect(trial.compiler.moduleCount).toBe(before + 1)
  })

  test('random kernels', () => {
    fc.assert(
      fc.property(randomKernel, ({ kernel, lengths }) => {
        const inputs = lengths.map((length, i) => fill(kernel.inputs[i]!, length))
        const scalars = kernel.params.map(() => 2)
        expect(compare(trial, kernel, inputs, scalars)).toBe('same')
      }),
      { numRuns: 500, seed: 11 },
    )
  })
})

const size = (extents: readonly number[]): number => extents.reduce((a, b) => a * b, 1)

function dense(extents: readonly number[]): number[] {
  return extents.map((_, axis) => size(extents.slice(axis + 1)))
}

const dtypesUsed = ['bool', 'uint8', 'int8', 'int32', 'int64', 'float16', 'bfloat16', 'float32', 'float64'] as const satisfies DType[]
const floatOps = [
  'add',
  'sub',
  'mul',
  'max',
  'min',
  'neg',
  'abs',
  'exp',
  'tanh',
  'sin',
  'floor',
  'lt',
  'ge',
  'atan',
] as const satisfies ScalarOp[]
const intOps = ['add', 'sub', 'mul', 'div', 'rem', 'max', 'min', 'neg', 'abs', 'lt', 'eq', 'and', 'xor'] as const satisfies ScalarOp[]
const boolOps = ['and', 'or', 'xor', 'lt', 'ge', 'ne', 'max'] as const satisfies ScalarOp[]

const extent = fc.constantFrom(0, 1, 1, 2, 3, 4, 5, 7, 8, 9, 16, 19, 33)

/** Any well-formed kernel over up to four axes, with the length of each input buffer. */
const randomKernel = fc
  .record({
    parallel: fc.array(extent, { maxLength: 3 }),
    reduce: fc.array(extent, { maxLength: 2 }),
    inputs: fc.array(
      fc.record({
        dtype: fc.constantFrom(...dtypesUsed),
        order: fc.nat(),
        modes: fc.array(fc.constantFrom('plain', 'plain', 'plain', 'reversed', 'broadcast', 'gap'), { minLength: 5, maxLength: 5 }),
        offset: fc.nat(3),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    steps: fc.array(fc.record({ pick: fc.nat(), a: fc.nat(), b: fc.nat(), c: fc.nat() }), { minLength: 1, maxLength: 10 }),
    outputs: fc.array(fc.record({ value: fc.nat(), dtype: fc.nat(), order: fc.nat() }), { minLength: 1, maxLength: 3 }),
  })
  .map(({ parallel, reduce, inputs, steps, outputs }) => {
    const extents = [...parallel, ...reduce]
    const b = new KernelBuilder('random', parallel, reduce)
    const lengths: number[] = []
    const values: Value[] = []
    for (const { dtype, order, modes, offset } of inputs) {
      const { strides, start, length } = layout(extents, order, modes)
      lengths.push(length + offset + 1)
      values.push(b.load(b.input(dtype), strides, start + offset))
    }
    values.push(b.param('float32'))
    extents.forEach((_, axis) => values.push(b.index(axis)))
    for (const { pick, a, b: second, c } of steps) {
      const x = values[a % values.length]!
      const type = b.typeOf(x)
      const same = values.filter((v) => b.typeOf(v) === type)
      const y = same[second % same.length]!
      const kind = pick % 8
      if (kind === 0 && reduce.length) {
        const choices: readonly Combiner[] =
          type === 'bool'
            ? ['and', 'or', 'max', 'argmin']
            : type.startsWith('int')
              ? ['sum', 'max', 'argmax', 'and']
              : ['sum', 'max', 'min', 'argmax', 'argmin']
        values.push(b.reduce(choices[c % choices.length]!, x))
      } else if (kind === 1) {
        values.push(b.cast(x, (['bool', 'int32', 'int64', 'float32', 'float64'] as const)[c % 5]!))
      } else if (kind === 2) {
        values.push(b.select(b.ne(y, x), x, y))
      } else {
        const ops: readonly ScalarOp[] = type === 'bool' ? boolOps : type.startsWith('int') ? intOps : floatOps
        const op = ops[c % ops.length]!
        values.push(b.apply(op, ['neg', 'abs', 'exp', 'tanh', 'sin', 'floor', 'atan'].includes(op) ? [x] : [x, y]))
      }
    }
    const levels = (v: Value) => isElement(b, v, parallel.length)
    for (const { value, dtype, order } of outputs) {
      const v = values[values.length - 1 - (value % values.length)]!
      const candidates = dtypesUsed.filter((d) => scalarTypeOf[d] === b.typeOf(v))
      const whole = levels(v)
      const { strides } = layout(
        extents.map((e, axis) => (whole || axis < parallel.length ? e : 1)),
        order,
        [],
      )
      b.output(
        candidates[dtype % candidates.length]!,
        v,
        strides.map((s, axis) => (whole || axis < parallel.length ? s : 0)),
      )
    }
    return { kernel: b.build(), lengths }
  })

/** Strides of the axes in some order of nesting; reversed axes start at their end. */
function layout(extents: readonly number[], order: number, modes: readonly string[]) {
  const axes = extents.map((_, axis) => axis)
  const nesting: number[] = []
  for (let o = order; axes.length; o = Math.floor(o / 7)) nesting.push(axes.splice(order === 0 ? axes.length - 1 : o % axes.length, 1)[0]!)
  const strides = extents.map(() => 0)
  let step = 1
  let start = 0
  for (const axis of nesting) {
    const mode = modes[axis]
    if (mode === 'broadcast') continue
    if (mode === 'gap') step *= 2
    strides[axis] = mode === 'reversed' ? -step : step
    if (mode === 'reversed') start += step * Math.max(0, extents[axis]! - 1)
    step *= Math.max(1, extents[axis]!)
  }
  return { strides, start, length: step }
}

function isElement(b: KernelBuilder, v: Value, rank: number): boolean {
  const node = b.nodes[v]!
  if (node.op === 'load') return node.strides.some((s, axis) => axis >= rank && s !== 0)
  if (node.op === 'index') return node.axis >= rank
  if (node.op === 'reduce') return false
  return 'args' in node && node.args.some((a) => isElement(b, a as Value, rank))
}

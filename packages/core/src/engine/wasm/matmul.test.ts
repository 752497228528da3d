import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TypedArray } from '../../dtype.ts'
import { wasmFeatures } from './features.ts'
import { type LaneType, laneTypes } from './lanes.ts'
import { type MatmulProblem, planMatmul } from './matmul-plan.ts'
import { emitMatmul } from './matmul.ts'

const memory = new WebAssembly.Memory({ initial: 512, maximum: 512, shared: true })
const arrayOf = { float32: Float32Array, float64: Float64Array, int32: Int32Array, int64: BigInt64Array }
const at = { args: 1024, a: 1 << 20, b: 8 << 20, c: 16 << 20, bias: 23 << 20, scratch: 24 << 20 }

type Launch = (begin: number, end: number, thread: number, args: number, scratch: number, stride: number) => void
const launches = new Map<string, Launch>()

function launchOf(type: LaneType, relaxed: boolean, bias: boolean): Launch {
  const key = `${type} ${relaxed} ${bias}`
  let launch = launches.get(key)
  if (!launch) {
    const module = new WebAssembly.Module(emitMatmul({ type, relaxed, bias, shared: true }))
    launch = new WebAssembly.Instance(module, { env: { memory } }).exports.launch as Launch
    launches.set(key, launch)
  }
  return launch
}

type Numbers = TypedArray & { [index: number]: number | bigint }
const view = (type: LaneType, pointer: number, length: number): Numbers => new arrayOf[type](memory.buffer, pointer, length) as Numbers

function fill(array: Numbers, seed: number): void {
  let state = seed
  for (let i = 0; i < array.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    const value = (state >> 16) % 8
    array[i] = array instanceof BigInt64Array ? BigInt(value) : value
  }
}

/** Runs a problem on small whole numbers, so that every order of summation is exact. Says what was wrong. */
function mismatch(problem: MatmulProblem, relaxed: boolean, splits: number): string | undefined {
  const { type, m, n, k, a, b, c, batch = [], bias, accumulate } = problem
  const extent = (...terms: [count: number, stride: number][]) =>
    terms.reduce((sum, [count, stride]) => sum + Math.max(0, count - 1) * stride, 1)
  const aView = view(type, at.a, extent([m, a.row], [k, a.column], ...batch.map((x): [number, number] => [x.size, x.a])))
  const bView = view(type, at.b, extent([k, b.row], [n, b.column], ...batch.map((x): [number, number] => [x.size, x.b])))
  const cLength = extent([m, c.row], [n, 1], ...batch.map((x): [number, number] => [x.size, x.c])) + 64
  const cView = view(type, at.c, cLength)
  const biasView = view(type, at.bias, n)
  for (const [i, array] of [aView, bView, cView, biasView].entries()) fill(array, i + 1)
  const [aNumbers, bNumbers, expected] = [aView, bView, cView].map((v) => Float64Array.from(v as Float64Array, Number)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ]
  const indices = batch.reduce<number[][]>(
    (all, { size }) => all.flatMap((index) => Array.from({ length: size }, (_, i) => [...index, i])),
    [[]],
  )
  for (const index of indices) {
    const offset = (of: (axis: (typeof batch)[number]) => number) => batch.reduce((sum, axis, d) => sum + index[d]! * of(axis), 0)
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        const to = offset((x) => x.c) + i * c.row + j
        const [from, times] = [offset((x) => x.a) + i * a.row, offset((x) => x.b) + j * b.column]
        let sum = accumulate ? expected[to]! : 0
        for (let x = 0; x < k; x++) sum += aNumbers[from + x * a.column]! * bNumbers[times + x * b.row]!
        if (bias) sum += Number(biasView[j * bias.column])
        expected[to] = sum
      }
    }
  }
  const plan = planMatmul(problem)
  const words = plan.words.slice()
  const addresses = [at.a, at.b, ...(bias ? [at.bias] : []), at.c]
  for (const [i, position] of plan.pointers.entries()) words[position] = addresses[i]!
  new Int32Array(memory.buffer, at.args, words.length).set(words)
  const scratch = new Uint8Array(memory.buffer, at.scratch, plan.scratchBytes + 64).fill(0xff)
  const launch = launchOf(type, relaxed, bias !== undefined)
  const cuts = Array.from({ length: splits + 1 }, (_, i) => Math.round((plan.tasks * i) / splits))
  for (let i = splits - 1; i >= 0; i--) launch(cuts[i]!, cuts[i + 1]!, 0, at.args, at.scratch, 0)
  if (scratch.subarray(plan.scratchBytes).some((byte) => byte !== 0xff)) return 'wrote behind the scratch memory'
  const wrong = expected.findIndex((value, i) => Number(cView[i]) !== value)
  return wrong < 0 ? undefined : `element ${wrong} of ${cLength}: ${cView[wrong]} instead of ${expected[wrong]}`
}

const dense = (rows: number, columns: number, transposed: boolean, spread = 1) =>
  transposed ? { row: spread, column: spread * rows } : { row: spread * columns, column: spread }

describe('matmul', () => {
  const relaxedModes = wasmFeatures().relaxedSimd ? [false, true] : [false]
  const sizes = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 20 }) }, fc.constantFrom(1, 2, 4, 8, 33, 70))

  it.each(laneTypes)('%s of any shape, strides, batch and bias', (type) => {
    fc.assert(
      fc.property(
        fc.record({
          m: sizes,
          n: sizes,
          k: sizes,
          ta: fc.boolean(),
          tb: fc.boolean(),
          spreadA: fc.constantFrom(1, 1, 2),
          spreadB: fc.constantFrom(1, 1, 3),
        }),
        fc.record({
          outer: fc.integer({ min: 1, max: 3 }),
          inner: fc.integer({ min: 1, max: 2 }),
          broadcast: fc.constantFrom('', 'a', 'b'),
          batched: fc.boolean(),
        }),
        fc.record({
          accumulate: fc.boolean(),
          bias: fc.constantFrom(undefined, 0, 1),
          relaxed: fc.constantFrom(...relaxedModes),
          threads: fc.integer({ min: 1, max: 4 }),
          gap: fc.constantFrom(0, 0, 5),
        }),
        ({ m, n, k, ta, tb, spreadA, spreadB }, { outer, inner, broadcast, batched }, { accumulate, bias, relaxed, threads, gap }) => {
          const [aSize, bSize, cSize] = [m * k * spreadA, k * n * spreadB, m * (n + gap)]
          const axis = (size: number, step: number) => ({
            size,
            a: broadcast === 'a' ? 0 : aSize * step,
            b: broadcast === 'b' ? 0 : bSize * step,
            c: cSize * step,
          })
          const wrong = mismatch(
            {
              type,
              m,
              n,
              k,
              a: dense(m, k, ta, spreadA),
              b: dense(k, n, tb, spreadB),
              c: { row: n + gap },
              ...(batched ? { batch: [axis(outer, inner), axis(inner, 1)] } : {}),
              ...(bias !== undefined && { bias: { column: bias } }),
              accumulate,
              threads,
            },
            relaxed,
            threads,
          )
          expect(wrong).toBeUndefined()
        },
      ),
      { numRuns: 300 },
    )
  })

  it.each([
    [200, 530, 300],
    [300, 40, 600],
    [150, 20, 270],
    [2, 700, 300],
    [1, 5000, 9],
    [9, 5000, 1],
    [1100, 1, 270],
  ])('blocks %i x %i x %i', (m, n, k) => {
    for (const [ta, tb] of [
      [false, false],
      [false, true],
      [true, false],
      [true, true],
    ] as const) {
      const problem = { type: 'float32', m, n, k, a: dense(m, k, ta), b: dense(k, n, tb), c: { row: n } } as const
      expect(mismatch(problem, relaxedModes.at(-1)!, 1)).toBeUndefined()
      expect(mismatch({ ...problem, threads: 3 }, false, 3)).toBeUndefined()
    }
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dense, runRoutine, small } from '../../../test/engine.ts'
import type { DType } from '../../dtype.ts'
import { rowMajor, sizeOf } from '../../layout.ts'
import type { Operand, RoutineAttrs, RoutineName, WindowGeometry } from '../routine.ts'
import { ReferenceEngine } from './engine.ts'
import type { Num } from './storage.ts'

const engine = new ReferenceEngine()
const run = <N extends RoutineName>(
  name: N,
  attrs: RoutineAttrs[N],
  inputs: Parameters<typeof runRoutine>[3],
  ...outputs: Operand[]
): Num[][] => runRoutine(engine, name, attrs, inputs, ...outputs)

const line = (kernel: number, options: Partial<Record<'stride' | 'dilation' | 'before' | 'after', number>> = {}) => ({
  kernel: [kernel],
  stride: [options.stride ?? 1],
  padding: [[options.before ?? 0, options.after ?? 0] as const],
  dilation: [options.dilation ?? 1],
  groups: 1,
})

describe('conv', () => {
  it('slides without flipping the kernel', () => {
    const [y] = run(
      'conv',
      line(2),
      [
        [dense('float32', [1, 4, 1]), [1, 2, 3, 4]],
        [dense('float32', [2, 1, 1]), [1, 10]],
      ],
      dense('float32', [1, 3, 1]),
    )
    expect(y).toEqual([21, 32, 43])
  })

  it('knows padding, stride, dilation and bias', () => {
    const attrs = line(2, { before: 1, after: 2, stride: 2, dilation: 2 })
    // Padded: 0 1 2 3 4 0 0; windows start at 0, 2, 4.
    const [y] = run(
      'conv',
      attrs,
      [
        [dense('float32', [1, 4, 1]), [1, 2, 3, 4]],
        [dense('float32', [2, 1, 1]), [1, 10]],
        [dense('float32', [1]), [100]],
      ],
      dense('float32', [1, 3, 1]),
    )
    expect(y).toEqual([100 + 0 + 20, 100 + 2 + 40, 100 + 4 + 0])
  })

  it('keeps groups apart', () => {
    const attrs = { ...line(1), groups: 2 }
    // Four channels in two groups; each group of two gives one channel.
    const [y] = run(
      'conv',
      attrs,
      [
        [dense('int32', [1, 1, 4]), [1, 2, 3, 4]],
        [dense('int32', [1, 2, 2]), [1, 10, 100, 1000]],
      ],
      dense('int32', [1, 1, 2]),
    )
    expect(y).toEqual([1 * 1 + 2 * 100, 3 * 10 + 4 * 1000])
  })

  it('works in two dimensions', () => {
    const attrs = {
      kernel: [2, 2],
      stride: [1, 1],
      padding: [
        [0, 0],
        [0, 0],
      ],
      dilation: [1, 1],
      groups: 1,
    } as const
    const [y] = run(
      'conv',
      attrs,
      [
        [dense('float64', [1, 3, 3, 1]), [1, 2, 3, 4, 5, 6, 7, 8, 9]],
        [dense('float64', [2, 2, 1, 1]), [1, 2, 3, 4]],
      ],
      dense('float64', [1, 2, 2, 1]),
    )
    expect(y).toEqual([37, 47, 67, 77])
  })
})

/** A sliding window of one to three axes over a volume, with the number of windows that fit. */
const geometries = fc
  .array(
    fc.record({
      size: fc.integer({ min: 1, max: 5 }),
      kernel: fc.integer({ min: 1, max: 3 }),
      stride: fc.integer({ min: 1, max: 3 }),
      padding: fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 2 })),
      dilation: fc.integer({ min: 1, max: 2 }),
    }),
    { minLength: 1, maxLength: 3 },
  )
  .map((axes) => ({
    kernel: axes.map((a) => a.kernel),
    stride: axes.map((a) => a.stride),
    padding: axes.map((a) => a.padding),
    dilation: axes.map((a) => a.dilation),
    spatial: axes.map((a) => a.size),
    windows: axes.map((a) =>
      Math.max(0, Math.floor((a.size + a.padding[0] + a.padding[1] - a.dilation * (a.kernel - 1) - 1) / a.stride) + 1),
    ),
  }))

const inner = (a: readonly Num[], b: readonly Num[]): number => a.reduce<number>((sum, v, i) => sum + Number(v) * Number(b[i]), 0)

/** The window view of `x [1, ...spatial, 1]`, by its definition: for each window, each tap in turn. */
function slide(g: WindowGeometry & { windows: readonly number[]; spatial: readonly number[] }, x: readonly number[]): number[] {
  const out: number[] = []
  const windows = sizeOf(g.windows)
  const taps = sizeOf(g.kernel)
  const digits = (n: number, extents: readonly number[]) => rowMajor(extents).map((s, axis) => Math.floor(n / s) % extents[axis]!)
  for (let w = 0; w < windows; w++) {
    for (let t = 0; t < taps; t++) {
      const k = digits(t, g.kernel)
      const place = digits(w, g.windows).map((i, axis) => i * g.stride[axis]! + k[axis]! * g.dilation[axis]! - g.padding[axis]![0])
      const inside = place.every((p, axis) => p >= 0 && p < g.spatial[axis]!)
      out.push(inside ? x[rowMajor(g.spatial).reduce((at, s, axis) => at + s * place[axis]!, 0)]! : 0)
    }
  }
  return out
}

describe('sliding windows', () => {
  it('conv is the window view times the weights', () => {
    fc.assert(
      fc.property(geometries, fc.nat(1000), (g, seed) => {
        const x = small(seed, sizeOf(g.spatial))
        const w = small(seed + 99, sizeOf(g.kernel))
        const [y] = run(
          'conv',
          { ...g, groups: 1 },
          [
            [dense('float64', [1, ...g.spatial, 1]), x],
            [dense('float64', [...g.kernel, 1, 1]), w],
          ],
          dense('float64', [1, ...g.windows, 1]),
        )
        const view = slide(g, x)
        expect(y).toEqual(Array.from({ length: sizeOf(g.windows) }, (_, i) => inner(w, view.slice(i * w.length, (i + 1) * w.length))))
      }),
    )
  })

  it("conv's gradients are its adjoints, also of groups and batches", () => {
    fc.assert(
      fc.property(
        geometries,
        fc.constantFrom(1, 2),
        fc.constantFrom(1, 2),
        fc.constantFrom(1, 3),
        fc.nat(1000),
        (g, groups, perGroup, batch, seed) => {
          const attrs = { ...g, groups }
          const x = dense('int32', [batch, ...g.spatial, groups * perGroup])
          const w = dense('int32', [...g.kernel, perGroup, groups * 2])
          const y = dense('int32', [batch, ...g.windows, groups * 2])
          const [xs, ws, gs] = [x, w, y].map((o, i) => small(seed + 100 * i, sizeOf(o.shape))) as [number[], number[], number[]]
          const [ys] = run(
            'conv',
            attrs,
            [
              [x, xs],
              [w, ws],
            ],
            y,
          )
          const [gradX] = run(
            'convGradInput',
            attrs,
            [
              [y, gs],
              [w, ws],
            ],
            x,
          )
          const [gradW] = run(
            'convGradWeight',
            attrs,
            [
              [x, xs],
              [y, gs],
            ],
            w,
          )
          expect(inner(xs, gradX!)).toBe(inner(ys!, gs))
          expect(inner(ws, gradW!)).toBe(inner(ys!, gs))
        },
      ),
    )
  })

  it('fold is the adjoint of the window view', () => {
    fc.assert(
      fc.property(geometries, fc.nat(1000), (g, seed) => {
        const x = small(seed, sizeOf(g.spatial))
        const source = dense('int64', [1, ...g.windows, ...g.kernel, 1])
        const values = small(seed + 7, sizeOf(source.shape))
        const [folded] = run('fold', g, [[source, values.map(BigInt)]], dense('int64', [1, ...g.spatial, 1]))
        expect(inner(x, folded!)).toBe(inner(slide(g, x), values))
      }),
    )
  })

  it('fold keeps batches and channels apart', () => {
    // Two windows of two taps that share the middle position; two batches, two channels.
    const values = [1, 2, 3, 4, 5, 6, 7, 8, 10, 20, 30, 40, 50, 60, 70, 80]
    const [y] = run('fold', line(2), [[dense('float32', [2, 2, 2, 2]), values]], dense('float32', [2, 3, 2]))
    expect(y).toEqual([1, 2, 3 + 5, 4 + 6, 7, 8, 10, 20, 30 + 50, 40 + 60, 70, 80])
  })
})

describe('maxPool', () => {
  const pool = (dtype: DType, values: readonly Num[], attrs: WindowGeometry, windows: number) =>
    run('maxPool', attrs, [[dense(dtype, [1, values.length, 1]), values]], dense(dtype, [1, windows, 1]), dense('int32', [1, windows, 1]))

  it('takes the first maximum of each window', () => {
    expect(pool('float32', [1, 3, 3, 2, -5, -4], line(3), 4)).toEqual([
      [3, 3, 3, 2],
      [1, 1, 2, 3],
    ])
    expect(pool('uint8', [1, 255, 3, 2], line(2, { stride: 2 }), 2)).toEqual([
      [255, 3],
      [1, 2],
    ])
    expect(pool('int64', [-3n, -2n], line(2), 1)).toEqual([[-2n], [1]])
  })

  it('takes the first NaN, and the first of nothing but -Infinity', () => {
    expect(pool('float32', [1, Number.NaN, 9, Number.NaN], line(4), 1)).toEqual([[Number.NaN], [1]])
    expect(pool('float32', [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY], line(2), 1)).toEqual([[Number.NEGATIVE_INFINITY], [0]])
  })

  it('never takes the padding', () => {
    expect(pool('int8', [-7, -8], line(2, { before: 1, after: 1 }), 3)).toEqual([
      [-7, -7, -8],
      [0, 0, 1],
    ])
    expect(pool('float16', [-7], line(1, { before: 1 }), 2)).toEqual([
      [Number.NEGATIVE_INFINITY, -7],
      [-1, 0],
    ])
  })

  it('counts positions in the volume, for each batch and channel', () => {
    const attrs = {
      kernel: [2, 2],
      stride: [2, 2],
      padding: [
        [0, 0],
        [0, 0],
      ],
      dilation: [1, 1],
    } as const
    const x = [
      [1, 8],
      [2, 7],
      [3, 6],
      [4, 5],
      [5, 4],
      [6, 3],
      [7, 2],
      [8, 1],
    ].flat()
    const [maxima, positions] = run(
      'maxPool',
      attrs,
      [[dense('float32', [2, 2, 4, 2]), [...x, ...x.map((v) => -v)]]],
      dense('float32', [2, 1, 2, 2]),
      dense('int32', [2, 1, 2, 2]),
    )
    expect(maxima).toEqual([6, 8, 8, 6, -1, -3, -3, -1])
    expect(positions).toEqual([5, 0, 7, 2, 0, 5, 2, 7])
  })

  it("sends the gradient to the maxima, which makes the pool's adjoint", () => {
    fc.assert(
      fc.property(geometries, fc.constantFrom(1, 2), fc.nat(1000), (g, channels, seed) => {
        const x = dense('int32', [2, ...g.spatial, channels])
        const y = dense('int32', [2, ...g.windows, channels])
        const xs = small(seed, sizeOf(x.shape))
        const gs = small(seed + 5, sizeOf(y.shape))
        const [maxima, positions] = run('maxPool', g, [[x, xs]], y, y)
        const [gradient] = run(
          'maxPoolGrad',
          {},
          [
            [y, gs],
            [y, positions!],
          ],
          x,
        )
        const reached = maxima!.map((v, i) => (Number(positions![i]) < 0 ? 0 : v))
        expect(inner(xs, gradient!)).toBe(inner(reached, gs))
      }),
    )
  })
})

import { CotangentError } from '../errors.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { ScalarLike } from './elementwise.ts'
import { concat } from './join.ts'
import { expand } from './movement.ts'
import { place, sliceRegion } from './region.ts'
import { flip, narrow } from './slice.ts'
import { defineFunction, sampleTensor } from './table.ts'

/** What stands beyond the edges: a value; the elements mirrored without the edge itself; the edge again; those of the other end. */
const padModes = ['constant', 'reflect', 'replicate', 'circular'] as const
/** What stands beyond the edges. */
export type PadMode = (typeof padModes)[number]

/** What lies in the padding: a constant, or values of the tensor itself. */
export interface PadOptions {
  /** Default `constant`. */
  readonly mode?: PadMode
  /** For `constant`; default 0. */
  readonly value?: ScalarLike
}

type Amounts = readonly (readonly [before: number, after: number])[]

export const pad = defineFunction({
  name: 'pad',
  doc: 'Adds elements before and after each axis: one pair an axis, or one number for all. Negative amounts crop.',
  call: (x: Tensor, amounts: number | Amounts, { mode = 'constant', value = 0 }: PadOptions = {}): Tensor => {
    const pairs = typeof amounts === 'number' ? x.shape.map(() => [amounts, amounts] as const) : amounts
    checkAmounts(x, pairs, mode)
    const cropped = sliceRegion(
      x,
      pairs.map(([before, after], axis) => ({
        start: Math.max(0, -before),
        size: x.shape[axis]! + Math.min(0, before) + Math.min(0, after),
        step: 1,
      })),
    )
    const grown = pairs.map(([before, after]) => [Math.max(0, before), Math.max(0, after)] as const)
    if (grown.every(([before, after]) => before === 0 && after === 0)) return cropped
    if (mode !== 'constant') return grown.reduce((y, [before, after], axis) => padAxis(y, axis, before, after, mode), cropped)
    return place(
      cropped,
      cropped.shape.map((n, axis) => n + grown[axis]![0] + grown[axis]![1]),
      grown.map(([before]) => before),
      grown.map(() => 1),
      value,
    )
  },
  samples: () => [
    {
      args: [
        sampleTensor([2, 3]),
        [
          [1, 0],
          [0, 2],
        ],
      ],
    },
    { args: [sampleTensor([2, 3]), 1, { value: 1.5 }] },
    {
      args: [
        sampleTensor([4, 5]),
        [
          [-1, 2],
          [1, -3],
        ],
      ],
    },
    {
      args: [
        sampleTensor([3, 4]),
        [
          [2, 1],
          [0, 3],
        ],
        { mode: 'reflect' },
      ],
    },
    {
      args: [
        sampleTensor([3, 4]),
        [
          [2, 1],
          [0, 5],
        ],
        { mode: 'replicate' },
      ],
    },
    {
      args: [
        sampleTensor([3, 4]),
        [
          [2, 1],
          [0, 4],
        ],
        { mode: 'circular' },
      ],
    },
    {
      args: [
        sampleTensor([0, 2]),
        [
          [1, 1],
          [0, 0],
        ],
      ],
    },
    { args: [sampleTensor([]), []] },
  ],
})

function checkAmounts(x: Tensor, pairs: Amounts, mode: PadMode): void {
  if (!padModes.includes(mode))
    throw new CotangentError('invalid-argument', {
      op: 'pad',
      message: `unknown mode '${mode}'`,
      hint: `Use one of ${padModes.join(', ')}.`,
    })
  if (pairs.length !== x.rank)
    throw new CotangentError('invalid-argument', {
      op: 'pad',
      message: `${pairs.length} pairs for ${x.rank} axes`,
      shapes: [x.shape],
      hint: 'Give [before, after] for each axis.',
    })
  pairs.forEach(([before, after], axis) => {
    const n = x.shape[axis]!
    const left = n + Math.min(0, before) + Math.min(0, after)
    if (!Number.isInteger(before) || !Number.isInteger(after) || left < 0) {
      throw new CotangentError('invalid-argument', {
        op: 'pad',
        message: `[${before}, ${after}] does not fit axis ${axis} of size ${n}`,
        shapes: [x.shape],
        hint: 'Negative amounts cut off at most the whole axis.',
      })
    }
    const most = mode === 'constant' ? Infinity : mode === 'reflect' ? left - 1 : mode === 'circular' ? left : left > 0 ? Infinity : 0
    if (Math.max(before, after) > Math.max(0, most)) {
      throw new CotangentError('invalid-argument', {
        op: 'pad',
        message: `${mode} padding of [${before}, ${after}] needs more elements than the ${left} of axis ${axis}`,
        shapes: [x.shape],
        hint: 'Pad by less, or in several steps, or use the constant mode.',
      })
    }
  })
}

function padAxis(x: Tensor, axis: number, before: number, after: number, mode: Exclude<PadMode, 'constant'>): Tensor {
  if (before === 0 && after === 0) return x
  const n = x.shape[axis]!
  const part = (start: number, length: number) => narrow(x, axis, start, length)
  const edge = (at: number, times: number) =>
    expand(
      part(at, 1),
      x.shape.map((size, a) => (a === axis ? times : size)),
    )
  switch (mode) {
    case 'reflect':
      return concat([flip(part(1, before), axis), x, flip(part(n - 1 - after, after), axis)], axis)
    case 'replicate':
      return concat([edge(0, before), x, edge(n - 1, after)], axis)
    case 'circular':
      return concat([part(n - before, before), x, part(0, after)], axis)
  }
}

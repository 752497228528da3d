import { CotangentError } from '../errors.ts'
import { broadcastShapes, normalizeAxes, normalizeAxis } from '../layout.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { matmul } from './matmul.ts'
import { defineFunction, sampleTensor } from './table.ts'

export const cross = defineFunction({
  name: 'cross',
  doc: 'The cross product of vectors of three elements along an axis (default the last); batches broadcast.',
  call: (a: Tensor, b: Tensor, { axis = -1 }: { readonly axis?: number } = {}): Tensor => {
    const shape = broadcastShapes('cross', a.shape, b.shape)
    const at = normalizeAxis('cross', axis, shape.length)
    if (a.shape.at(at - shape.length) !== 3 || b.shape.at(at - shape.length) !== 3)
      throw new CotangentError('shape-mismatch', {
        op: 'cross',
        message: `axis ${axis} must have three elements`,
        shapes: [a.shape, b.shape],
        hint: 'Say which axis holds the vectors.',
      })
    const turned = (x: Tensor, by: number): Tensor => x.roll(by, at - shape.length) as Tensor
    return (turned(a, -1).mul(turned(b, -2)) as Tensor).sub(turned(a, -2).mul(turned(b, -1))) as Tensor
  },
  samples: () => [
    { args: [sampleTensor([4, 3]), sampleTensor([4, 3])] },
    { args: [sampleTensor([3, 2]), sampleTensor([2, 3, 1]), { axis: 1 }] },
    { args: [sampleTensor([0, 3]), sampleTensor([3])] },
  ],
})

export interface TensorDotOptions {
  /** How many axes are summed over, the last of a and the first of b (default 2); or which ones of each. */
  readonly axes?: number | readonly [ofA: readonly number[], ofB: readonly number[]]
}

export const tensordot = defineFunction({
  name: 'tensordot',
  doc: 'Sums of products over some axes of a and as many of b; the other axes of a come first in the result, then those of b.',
  call: (a: Tensor, b: Tensor, { axes = 2 }: TensorDotOptions = {}): Tensor => {
    const fail = (message: string): never => {
      throw new CotangentError('shape-mismatch', {
        op: 'tensordot',
        message,
        shapes: [a.shape, b.shape],
        hint: 'Give as many axes of each, of equal sizes.',
      })
    }
    if (typeof axes === 'number' && !(Number.isInteger(axes) && axes >= 0 && axes <= Math.min(a.rank, b.rank)))
      fail(`there are no ${axes} axes`)
    const [ofA, ofB] =
      typeof axes === 'number'
        ? [Array.from({ length: axes }, (_, i) => a.rank - axes + i), Array.from({ length: axes }, (_, i) => i)]
        : [axes[0].map((axis) => normalizeAxis('tensordot', axis, a.rank)), axes[1].map((axis) => normalizeAxis('tensordot', axis, b.rank))]
    normalizeAxes('tensordot', ofA, a.rank)
    normalizeAxes('tensordot', ofB, b.rank)
    if (ofA.length !== ofB.length || ofA.some((axis, i) => a.shape[axis] !== b.shape[ofB[i]!])) fail('the axes that are summed over differ')
    const rest = (x: Tensor, taken: readonly number[]) => x.shape.map((_, axis) => axis).filter((axis) => !taken.includes(axis))
    const sizes = (x: Tensor, of: readonly number[]) => of.map((axis) => x.shape[axis]!)
    const product = (of: readonly number[]) => of.reduce((n, size) => n * size, 1)
    const [restA, restB] = [rest(a, ofA), rest(b, ofB)]
    const inner = product(sizes(a, ofA))
    const left = a.permute([...restA, ...ofA]).reshape([product(sizes(a, restA)), inner])
    const right = b.permute([...ofB, ...restB]).reshape([inner, product(sizes(b, restB))])
    return matmul(left as Tensor, right as Tensor).reshape([...sizes(a, restA), ...sizes(b, restB)])
  },
  samples: () => [
    { args: [sampleTensor([2, 3, 4]), sampleTensor([3, 4, 2])] },
    { args: [sampleTensor([2, 3]), sampleTensor([4, 2]), { axes: [[0], [1]] }] },
    { args: [sampleTensor([2]), sampleTensor([3]), { axes: 0 }] },
    { args: [sampleTensor([2, 0]), sampleTensor([0, 3]), { axes: 1 }] },
  ],
})

import { CotangentError } from '../errors.ts'
import { normalizeAxis, type Shape } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { kernelPrimitive, type RowAttrs } from './kernel-op.ts'
import { normOverRows } from './norm-over-rows.ts'
import { norm, type NormOptions } from './reduce.ts'
import { defineFunction, sampleTensor } from './table.ts'

/** The norm of the difference, which is never in memory. */
const distancePrimitive = kernelPrimitive<RowAttrs & { readonly p: string }>({
  ...normOverRows,
  name: 'cdist',
  code: (k, [a, b], attrs) => normOverRows.code(k, [k.sub(a!, b!)], attrs),
  adjoint: (k, g, [a, b], y, attrs) => {
    const [along] = normOverRows.adjoint(k, g, [k.sub(a!, b!)], y, attrs)
    return [along!, k.neg(along!)]
  },
})

export const cdist = defineFunction({
  name: 'cdist',
  precision: 'float32',
  doc: 'The distances between all vectors of a [..., n, size] and of b [..., m, size], by the p-norm (default 2): [..., n, m]. Batches broadcast.',
  call: (a: Tensor, b: Tensor, { p = 2 }: NormOptions = {}): Tensor => {
    if (a.rank < 2 || b.rank < 2 || a.shape.at(-1) !== b.shape.at(-1))
      throw new CotangentError('shape-mismatch', {
        op: 'cdist',
        message: 'needs vectors of one size, [..., count, size]',
        shapes: [a.shape, b.shape],
        hint: 'A single vector is [1, size].',
      })
    if (!(p >= 0)) throw new CotangentError('invalid-argument', { op: 'cdist', message: `p is ${p}`, hint: 'It is at least 0.' })
    const [rows, columns] = [a.unsqueeze(-2) as Tensor, b.unsqueeze(-3) as Tensor]
    const rank = Math.max(rows.rank, columns.rank)
    return bind1(distancePrimitive, [rows, columns], { axes: [rank - 1], p: String(p) })
  },
  samples: () => [
    { args: [sampleTensor([3, 4]), sampleTensor([5, 4])] },
    { args: [sampleTensor([2, 3, 2]), sampleTensor([4, 2]), { p: 1 }] },
    { args: [sampleTensor([2, 3]), sampleTensor([3, 3]), { p: 3 }] },
    { args: [sampleTensor([0, 3]), sampleTensor([2, 3])] },
  ],
})

/** The norm by which vectors are divided, along which axis, and what keeps them from dividing by 0. */
export interface NormalizeOptions extends NormOptions {
  /** Default the last. */
  readonly axis?: number
  /** The least that is divided by. Default 1e-12. */
  readonly eps?: number
}

export const normalize = defineFunction({
  name: 'normalize',
  precision: 'float32',
  doc: 'Vectors along an axis (default the last) over their p-norm (default 2), which counts as at least eps (default 1e-12).',
  call: <S extends Shape>(x: Tensor<S>, { p = 2, axis = -1, eps = 1e-12 }: NormalizeOptions = {}): Tensor<S> => {
    const plain = x as unknown as Tensor
    const at = normalizeAxis('normalize', axis, x.rank)
    return plain.div(norm(plain, at, { p, keepDims: true }).clamp({ min: eps })) as unknown as Tensor<S>
  },
  samples: () => [
    { args: [sampleTensor([3, 4], { low: 0.2 })] },
    { args: [sampleTensor([2, 3, 2], { low: 0.2 }), { axis: 1, p: 1 }] },
    { args: [sampleTensor([0, 2])] },
  ],
})

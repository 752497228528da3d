import { CotangentError } from '../errors.ts'
import { normalizeAxis, type Shape } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { permute, reshape } from './movement.ts'
import { place } from './region.ts'
import { define, type Documented, sampleTensor } from './table.ts'

/** Which diagonal of the last two axes: 0 is the main one, positive ones lie to its right. */
interface DiagonalAttrs {
  readonly offset: number
}

const rowsAndColumns = ({ offset }: DiagonalAttrs, rows: number, columns: number) => {
  const [row, column] = [Math.max(0, -offset), Math.max(0, offset)]
  return { row, column, length: Math.max(0, Math.min(rows - row, columns - column)) }
}

const diagonalPrimitive: Primitive<DiagonalAttrs> = {
  name: 'diagonal',
  tangent: 'linear',
  infer: ([x], attrs) => [
    { dtype: x!.dtype, shape: [...x!.shape.slice(0, -2), rowsAndColumns(attrs, x!.shape.at(-2)!, x!.shape.at(-1)!).length] },
  ],
  lower([x], [y], attrs) {
    const [down, right] = x!.strides.slice(-2) as [number, number]
    const { row, column, length } = rowsAndColumns(attrs, x!.shape.at(-2)!, x!.shape.at(-1)!)
    return {
      kind: 'view',
      shape: y!.shape,
      strides: [...x!.strides.slice(0, -2), down + right],
      offset: length === 0 ? 0 : row * down + column * right,
    }
  },
  gradient: ([g], { attrs: { offset }, inputSpecs }) => [embed(g!, offset, inputSpecs[0]!.shape.at(-2)!, inputSpecs[0]!.shape.at(-1)!)],
  saves: () => ({ inputs: [false], outputs: [false] }),
}

/**
 * A matrix of zeros for each row of the last axis, which becomes its diagonal: the adjoint of `diagonal`. In memory, the
 * elements of a diagonal are columns + 1 elements apart.
 */
function embed(x: Tensor, offset: number, rows: number, columns: number): Tensor {
  const { row, column, length } = rowsAndColumns({ offset }, rows, columns)
  const batch = x.shape.slice(0, -1)
  const none = batch.map(() => 0)
  const ones = batch.map(() => 1)
  if (length === 0) return x.newFull([...batch, rows, columns], 0)
  const padded = place(x, [...batch, rows * columns], [...none, row * columns + column], [...ones, columns + 1], 0)
  return reshape(padded, [...batch, rows, columns])
}

/** Which diagonal of which two axes is meant. */
export interface DiagonalOptions {
  /** 0 is the main diagonal, positive ones lie above it. Default 0. */
  readonly offset?: number
  /** The axis that counts rows. Default 0. */
  readonly axis1?: number
  /** The axis that counts columns. Default 1. */
  readonly axis2?: number
}

function checkPlane(op: string, x: Tensor, a: number, b: number): [number, number] {
  const [first, second] = [normalizeAxis(op, a, x.rank), normalizeAxis(op, b, x.rank)]
  if (first === second)
    throw new CotangentError('invalid-argument', {
      op,
      message: 'the two axes are the same',
      shapes: [x.shape],
      hint: 'Name two different axes.',
    })
  return [first, second]
}

export const diagonal = define({
  name: 'diagonal',
  doc: 'The diagonal of two axes, as a new last axis in place of both. A view.',
  call: (x: Tensor, { offset = 0, axis1 = 0, axis2 = 1 }: DiagonalOptions = {}): Tensor => {
    const [first, second] = checkPlane('diagonal', x, axis1, axis2)
    const rest = x.shape.map((_, axis) => axis).filter((axis) => axis !== first && axis !== second)
    return bind1(diagonalPrimitive, [permute(x, [...rest, first, second])], { offset })
  },
  samples: () => [
    { args: [sampleTensor([3, 4])] },
    { args: [sampleTensor([3, 4]), { offset: 1 }] },
    { args: [sampleTensor([2, 3, 4]), { offset: -1, axis1: 1, axis2: 0 }] },
    { args: [sampleTensor([2, 2]), { offset: 5 }] },
  ],
})

export const trace = define({
  name: 'trace',
  doc: 'The sum of the main diagonal of a matrix.',
  call: (x: Tensor): Tensor<[]> => {
    if (x.rank !== 2)
      throw new CotangentError('shape-mismatch', {
        op: 'trace',
        message: 'needs a matrix',
        shapes: [x.shape],
        hint: 'For stacks of matrices: x.diagonal({ axis1, axis2 }).sum(-1).',
      })
    return diagonal(x).sum() as Tensor<[]>
  },
  samples: () => [{ args: [sampleTensor([3, 4])] }, { args: [sampleTensor([2, 2])] }],
})

export const diagEmbed = define({
  name: 'diagEmbed',
  doc: 'Square matrices of zeros with the elements of the last axis on a diagonal.',
  call: (x: Tensor, { offset = 0 }: Pick<DiagonalOptions, 'offset'> = {}): Tensor => {
    const n = x.shape[normalizeAxis('diagEmbed', -1, x.rank)]! + Math.abs(offset)
    return embed(x, offset, n, n)
  },
  samples: () => [{ args: [sampleTensor([3])] }, { args: [sampleTensor([2, 3]), { offset: -1 }] }, { args: [sampleTensor([0])] }],
})

export const diag = define({
  name: 'diag',
  doc: 'The diagonal of a matrix, or the matrix with a vector on its diagonal.',
  call: (x: Tensor, options: Pick<DiagonalOptions, 'offset'> = {}): Tensor => {
    if (x.rank !== 1 && x.rank !== 2)
      throw new CotangentError('shape-mismatch', {
        op: 'diag',
        message: 'needs a vector or a matrix',
        shapes: [x.shape],
        hint: 'Use diagonal() or diagEmbed().',
      })
    return x.rank === 2 ? diagonal(x, options) : diagEmbed(x, options)
  },
  samples: () => [{ args: [sampleTensor([3]), { offset: 1 }] }, { args: [sampleTensor([3, 4]), { offset: -1 }] }],
})

function triangle(name: 'tril' | 'triu', { doc }: Documented) {
  const primitive = kernelPrimitive<DiagonalAttrs>({
    name,
    code: (k, [x], { offset }) => {
      const rank = k.parallel.length
      const distance = k.sub(k.index(rank - 1), k.index(rank - 2))
      const keep = k[name === 'tril' ? 'le' : 'ge'](distance, k.constant('int32', offset))
      return [k.select(keep, x!, k.like(x!, 0))]
    },
  })
  return define({
    name,
    doc,
    call: <S extends Shape>(x: Tensor<S>, offset = 0): Tensor<S> => {
      if (x.rank < 2)
        throw new CotangentError('shape-mismatch', {
          op: name,
          message: 'needs a matrix, or a stack of them',
          shapes: [x.shape],
          hint: 'Add an axis with unsqueeze(), or use diag() to make a matrix of a vector.',
        })
      return bind1(primitive, [x], { offset }) as Tensor<S>
    },
    samples: () => [
      { args: [sampleTensor([3, 4])] },
      { args: [sampleTensor([2, 4, 3]), -1] },
      { args: [sampleTensor([3, 3]), 1] },
      { args: [sampleTensor([0, 2])] },
    ],
  })
}

export const tril = triangle('tril', { doc: 'The lower triangle of matrices, up to diagonal `offset` (default 0); zeros above.' })
export const triu = triangle('triu', { doc: 'The upper triangle of matrices, from diagonal `offset` (default 0) on; zeros below.' })

/** Diagonals and triangles of matrices, as methods. */
export interface DiagonalMethods<S extends Shape> {
  diagonal(options?: DiagonalOptions): Tensor
  trace(): Tensor<[]>
  diagEmbed(options?: Pick<DiagonalOptions, 'offset'>): Tensor
  diag(options?: Pick<DiagonalOptions, 'offset'>): Tensor
  tril(offset?: number): Tensor<S>
  triu(offset?: number): Tensor<S>
}

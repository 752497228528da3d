import { CotangentError } from '../errors.ts'
import { broadcastShapes, type Shape } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import { Scalar } from '../tensor/scalar.ts'
import { Tensor } from '../tensor/tensor.ts'
import { tensor } from './creation.ts'
import type { ScalarLike } from './elementwise.ts'
import { takeAt } from './gather-scatter.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { expand } from './movement.ts'
import { positionsOf } from './positions.ts'
import { define, sampleTensor } from './table.ts'

const maskSample = (shape: Shape, values: readonly number[]) => sampleTensor(shape, { dtype: 'bool', values })

export const nonzero = define({
  name: 'nonzero',
  doc: 'Positions of the elements that are not zero, in row-major order: int32 [count, rank]. Its shape depends on values.',
  call: (x: Tensor): Tensor<[number, number]> => {
    const columns = positionsOf('nonzero', x)
    const count = columns[0]?.size ?? (x.dataSync()[0] ? 1 : 0)
    const flat = new Int32Array(count * x.rank)
    columns.forEach((column, axis) => column.dataSync().forEach((v: number | bigint, i: number) => (flat[i * x.rank + axis] = Number(v))))
    return tensor(flat, { shape: [count, x.rank] }) as Tensor<[number, number]>
  },
  samples: () => [
    { args: [maskSample([2, 3], [1, 0, 0, 0, 1, 1])] },
    { args: [maskSample([0, 3], [])] },
    { args: [maskSample([2], [0, 0])] },
  ],
})

const maskedFillPrimitive = kernelPrimitive<undefined>({
  name: 'maskedFill',
  operands: ['own', 'bool', 'own'],
  code: (k, [x, mask, value]) => [k.select(mask!, k.cast(value!, k.typeOf(x!)), x!)],
  result: (compute) => compute,
})

export const maskedFill = define({
  name: 'maskedFill',
  doc: 'The value (a number or a 0-d tensor) where the mask is set, else x. The mask broadcasts to x.',
  call: <S extends Shape>(x: Tensor<S>, mask: Tensor, value: ScalarLike | Tensor): Tensor<S> => {
    if (value instanceof Tensor && value.rank !== 0) {
      throw new CotangentError('shape-mismatch', {
        op: 'maskedFill',
        message: 'the value must be one number',
        shapes: [value.shape],
        hint: 'Use where(mask, value, x).',
      })
    }
    return bind1(
      maskedFillPrimitive,
      [x, expand(mask, x.shape), value instanceof Tensor ? value : new Scalar(value, x.dtype)],
      undefined,
    ) as Tensor<S>
  },
  samples: () => [
    { args: [sampleTensor([2, 3]), maskSample([2, 3], [1, 0, 0, 0, 1, 1]), 7] },
    { args: [sampleTensor([2, 3]), maskSample([3], [1, 0, 1]), -1.5] },
    { args: [sampleTensor([2, 2]), maskSample([2, 1], [1, 0]), sampleTensor([])] },
  ],
})

export const maskedSelect = define({
  name: 'maskedSelect',
  doc: 'The elements where the mask is set, in row-major order, as one axis; x and mask broadcast. Its shape depends on values.',
  call: (x: Tensor, mask: Tensor): Tensor<[number]> => {
    const shape = broadcastShapes('maskedSelect', x.shape, mask.shape)
    const positions = positionsOf('maskedSelect', expand(mask, shape).reshape([-1]))
    return takeAt(expand(x, shape).reshape([-1]), positions, { axes: [0], at: 0 }) as Tensor<[number]>
  },
  samples: () => [
    { args: [sampleTensor([2, 3]), maskSample([2, 3], [1, 0, 0, 0, 1, 1])] },
    { args: [sampleTensor([2, 3]), maskSample([3], [0, 0, 0])] },
  ],
})

/** Reading and filling where a mask holds, as methods. */
export interface MaskMethods<S extends Shape> {
  nonzero(): Tensor<[number, number]>
  maskedFill(mask: Tensor, value: ScalarLike | Tensor): Tensor<S>
  maskedSelect(mask: Tensor): Tensor<[number]>
}

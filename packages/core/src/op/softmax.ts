import { toFloat } from '../dtype.ts'
import { normalizeAxis, type Shape } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { UnaryFunction } from './elementwise.ts'
import { type KernelOp, kernelPrimitive, type RowAttrs } from './kernel-op.ts'
import { define, type Documented, sampleTensor } from './table.ts'

function alongAxis(
  name: string,
  { doc, ...code }: Documented & Pick<KernelOp<RowAttrs>, 'code' | 'adjoint'>,
): UnaryFunction<[axis?: number]> {
  const primitive = kernelPrimitive<RowAttrs>({ name, compute: toFloat, axes: (attrs) => attrs.axes, ...code })
  return define({
    name,
    doc,
    precision: 'float32',
    call: <S extends Shape>(x: Tensor<S>, axis = -1) =>
      bind1(primitive, [x], { axes: x.rank === 0 ? [] : [normalizeAxis(name, axis, x.rank)] }) as Tensor<S>,
    samples: () => [
      { args: [sampleTensor([3, 5])] },
      { args: [sampleTensor([2, 7, 3]), 1] },
      { args: [sampleTensor([4], { low: -30, high: 30 })] },
      { args: [sampleTensor([])] },
      { args: [sampleTensor([0, 3])] },
      { args: [sampleTensor([3, 0])] },
    ],
  })
}

export const softmax = alongAxis('softmax', {
  doc: 'e^x over its sum along an axis (default the last), without overflow.',
  code: (k, [x]) => {
    const e = k.exp(k.sub(x!, k.reduce('max', x!)))
    return [k.mul(e, k.div(k.like(e, 1), k.reduce('sum', e)))]
  },
  adjoint: (k, [g], _, [y]) => [k.mul(y!, k.sub(g!, k.reduce('sum', k.mul(g!, y!))))],
})

export const logSoftmax = alongAxis('logSoftmax', {
  doc: 'log of softmax along an axis (default the last), exact where softmax is tiny.',
  code: (k, [x]) => {
    const centred = k.sub(x!, k.reduce('max', x!))
    return [k.sub(centred, k.log(k.reduce('sum', k.exp(centred))))]
  },
  adjoint: (k, [g], _, [y]) => [k.sub(g!, k.mul(k.exp(y!), k.reduce('sum', g!)))],
})

/** Softmax and its logarithm, as methods. */
export interface SoftmaxMethods<S extends Shape> {
  softmax(axis?: number): Tensor<S>
  logSoftmax(axis?: number): Tensor<S>
}

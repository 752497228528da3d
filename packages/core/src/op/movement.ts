import type { DType } from '../dtype.ts'
import { checkDType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { broadcastStrides, checkShape, normalizeAxis, reshapeStrides, type Shape, sizeOf } from '../layout.ts'
import { bind1, setMakeDense } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { define, sampleTensor } from './table.ts'

const copyPrimitive = kernelPrimitive<undefined>({ name: 'copy', operands: ['own'], code: (_, inputs) => inputs, compute: (d) => d })
setMakeDense((x) => bind1(copyPrimitive, [x], undefined))

export const contiguous = define({
  name: 'contiguous',
  doc: 'The tensor itself if its elements are dense in row-major order, else a dense copy.',
  call: <S extends Shape>(x: Tensor<S>) => (x.spec.contiguous ? x : clone(x)),
  samples: () => [{ args: [sampleTensor([2, 3])] }],
})

export const clone = define({
  name: 'clone',
  doc: 'A dense copy, which the gradient passes through.',
  call: <S extends Shape>(x: Tensor<S>) => bind1(copyPrimitive, [x], undefined) as Tensor<S>,
  samples: () => [{ args: [sampleTensor([2, 3])] }, { args: [sampleTensor([])] }, { args: [sampleTensor([0, 3])] }],
})

const castPrimitive = kernelPrimitive<{ dtype: DType }>({
  name: 'cast',
  operands: ['own'],
  compute: (_, { dtype }) => dtype,
  code: (k, [x], { dtype }) => [k.narrow(x!, dtype)],
  result: (_, { dtype }) => dtype,
})

export const cast = define({
  name: 'cast',
  doc: 'The same values in another dtype: to integers truncated and saturated to 32 bits (64 for int64), then wrapped; NaN gives 0.',
  call: <S extends Shape>(x: Tensor<S>, dtype: DType): Tensor<S> => {
    checkDType(dtype, 'cast')
    return x.dtype === dtype ? x : (bind1(castPrimitive, [x], { dtype }) as Tensor<S>)
  },
  samples: () => [{ args: [sampleTensor([2, 3]), 'float64'] }, { args: [sampleTensor([2, 3], { low: -300, high: 300 }), 'int32'] }],
})

const reshapePrimitive: Primitive<{ shape: Shape }> = {
  name: 'reshape',
  infer: ([x], { shape }) => [{ dtype: x!.dtype, shape }],
  lower([x], _, { shape }) {
    const strides = reshapeStrides(x!, shape)
    return strides && { kind: 'view', shape, strides, offset: 0 }
  },
  gradient: ([g], { inputSpecs }) => [g!.reshape(inputSpecs[0]!.shape)],
  saves: () => ({ inputs: [false], outputs: [false] }),
}

export const reshape = define({
  name: 'reshape',
  doc: 'The same elements in another shape; one size may be -1. A view where possible.',
  call: (x: Tensor, shape: Shape) => bind1(reshapePrimitive, [x], { shape: resolveShape(x, shape) }),
  samples: () => [{ args: [sampleTensor([2, 6]), [3, -1]] }, { args: [sampleTensor([]), [1, 1]] }, { args: [sampleTensor([0, 3]), [3, 0]] }],
})

function resolveShape(x: Tensor, shape: Shape): Shape {
  const unknown = shape.indexOf(-1)
  const resolved = [...shape]
  if (unknown >= 0) {
    const others = sizeOf(shape.filter((_, i) => i !== unknown))
    resolved[unknown] = others === 0 ? 0 : x.size / others
  }
  if (sizeOf(resolved) !== x.size || resolved.some((n) => !Number.isInteger(n) || n < 0)) {
    throw new CotangentError('shape-mismatch', { op: 'reshape', message: `${x.size} elements do not fill [${shape.join(', ')}]`, shapes: [x.shape, shape] })
  }
  return resolved
}

const permutePrimitive: Primitive<{ axes: readonly number[] }> = {
  name: 'permute',
  infer: ([x], { axes }) => [{ dtype: x!.dtype, shape: axes.map((a) => x!.shape[a]!) }],
  lower: ([x], _, { axes }) => ({ kind: 'view', shape: axes.map((a) => x!.shape[a]!), strides: axes.map((a) => x!.strides[a]!), offset: 0 }),
  gradient: ([g], { attrs }) => [g!.permute(attrs.axes.map((_, i) => attrs.axes.indexOf(i)))],
  saves: () => ({ inputs: [false], outputs: [false] }),
}

export const permute = define({
  name: 'permute',
  doc: 'The axes in another order: axis i of the result is axis axes[i]. A view.',
  call: (x: Tensor, axes: readonly number[]): Tensor => {
    const order = axes.map((a) => normalizeAxis('permute', a, x.rank))
    if (order.length !== x.rank || new Set(order).size !== x.rank) {
      throw new CotangentError('invalid-argument', { op: 'permute', message: `[${axes}] is not an order of all axes`, shapes: [x.shape], hint: `Name each of the ${x.rank} axes once.` })
    }
    return bind1(permutePrimitive, [x], { axes: order })
  },
  samples: () => [{ args: [sampleTensor([2, 3, 4]), [2, 0, 1]] }, { args: [sampleTensor([2, 3]), [-1, 0]] }],
})

const expandPrimitive: Primitive<{ shape: Shape }> = {
  name: 'expand',
  infer: ([x], { shape }) => [{ dtype: x!.dtype, shape }],
  lower: ([x], _, { shape }) => ({ kind: 'view', shape, strides: broadcastStrides(x!.shape, x!.strides, shape), offset: 0 }),
  gradient: ([g], { inputSpecs }) => [g!.fitTo(inputSpecs[0]!.shape)],
  saves: () => ({ inputs: [false], outputs: [false] }),
}

export const expand = define({
  name: 'expand',
  doc: 'Repeats axes of size 1 (and new leading axes) to `shape` without copying; -1 keeps a size.',
  call: (x: Tensor, shape: Shape): Tensor => {
    const lead = shape.length - x.rank
    const resolved = shape.map((n, axis) => (n === -1 && axis >= lead ? x.shape[axis - lead]! : n))
    checkShape('expand', resolved)
    if (lead < 0 || x.shape.some((n, axis) => n !== 1 && n !== resolved[axis + lead])) {
      throw new CotangentError('shape-mismatch', { op: 'expand', message: `[${x.shape}] does not expand to [${shape}]`, shapes: [x.shape, shape], hint: 'Only axes of size 1 repeat.' })
    }
    return bind1(expandPrimitive, [x], { shape: resolved })
  },
  samples: () => [{ args: [sampleTensor([3, 1]), [2, 3, 4]] }, { args: [sampleTensor([1, 3]), [2, -1]] }],
})

export interface MovementMethods<S extends Shape> {
  contiguous(): Tensor<S>
  clone(): Tensor<S>
  cast(dtype: DType): Tensor<S>
  reshape(shape: Shape): Tensor
  permute(axes: readonly number[]): Tensor
  expand(shape: Shape): Tensor
}


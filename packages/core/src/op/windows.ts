import type { WindowGeometry } from '../engine/routine.ts'
import { CotangentError } from '../errors.ts'
import { normalizeAxis, type Shape, sizeOf } from '../layout.ts'
import * as routines from '../routines.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { reshape } from './movement.ts'
import { defineFunction, sampleTensor } from './table.ts'
import { perAxis, type PerAxis, windowCount } from './window.ts'

interface WindowsAttrs {
  /** The first of the axes. */
  readonly axis: number
  readonly kernel: readonly number[]
  /** Steps between windows. Default 1. */
  readonly stride: readonly number[]
  /** Steps between the elements of a window. Default 1. */
  readonly dilation: readonly number[]
}

const windowsPrimitive: Primitive<WindowsAttrs> = {
  name: 'windows',
  tangent: 'linear',
  infer: ([x], { axis, kernel, stride, dilation }) => {
    const counts = kernel.map((k, i) => windowCount(x!.shape[axis + i]!, k, stride[i]!, dilation[i]!))
    return [{ dtype: x!.dtype, shape: [...x!.shape.slice(0, axis), ...counts, ...kernel, ...x!.shape.slice(axis + kernel.length)] }]
  },
  lower([x], [y], { axis, kernel, stride, dilation }) {
    const inner = x!.strides.slice(axis, axis + kernel.length)
    const strides = [
      ...x!.strides.slice(0, axis),
      ...inner.map((s, i) => s * stride[i]!),
      ...inner.map((s, i) => s * dilation[i]!),
      ...x!.strides.slice(axis + kernel.length),
    ]
    return { kind: 'view', shape: y!.shape, strides, offset: 0 }
  },
  gradient: ([g], { attrs, inputSpecs }) => [foldWindows(g!, inputSpecs[0]!.shape, attrs)],
  saves: () => ({ inputs: [false], outputs: [false] }),
}

const foldPrimitive: Primitive<WindowGeometry & { shape: Shape }> = {
  name: 'fold',
  tangent: 'linear',
  infer: ([x], { shape }) => [{ dtype: x!.dtype, shape }],
  lower: (inputs, outputs, { kernel, stride, padding, dilation }) => routines.fold({ kernel, stride, padding, dilation }, inputs, outputs),
  gradient: ([g], { attrs: { kernel, stride, dilation } }) => [bind1(windowsPrimitive, [g!], { axis: 1, kernel, stride, dilation })],
  saves: () => ({ inputs: [false], outputs: [false] }),
}

/** The adjoint of `windows`: overlapping elements are added up into a tensor of `shape`. */
export function foldWindows(x: Tensor, shape: Shape, { axis, kernel, stride, dilation }: WindowsAttrs): Tensor {
  const rank = kernel.length
  const [batch, channels] = [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis + rank))]
  const grouped = reshape(x, [batch, ...x.shape.slice(axis, axis + 2 * rank), channels])
  const folded = bind1(foldPrimitive, [grouped], {
    kernel,
    stride,
    dilation,
    padding: kernel.map(() => [0, 0] as const),
    shape: [batch, ...shape.slice(axis, axis + rank), channels],
  })
  return reshape(folded, shape)
}

interface WindowsOptions {
  /** The first of the axes that windows slide along. Default 1: those of channels-last `[batch, ...spatial, channels]`. */
  readonly axis?: number
  readonly stride?: PerAxis
  readonly dilation?: PerAxis
}

export const windows = defineFunction({
  name: 'windows',
  doc: 'Sliding windows of `sizes` along neighbouring axes: [batch, ...spatial, channels] gives [batch, ...windows, ...sizes, channels]. A view.',
  call: (x: Tensor, sizes: number | readonly number[], options: WindowsOptions = {}): Tensor => {
    const axes = typeof sizes === 'number' ? 1 : sizes.length
    const kernel = perAxis('windows', 'sizes', sizes, axes, 1)
    const stride = perAxis('windows', 'stride', options.stride ?? 1, axes, 1)
    const dilation = perAxis('windows', 'dilation', options.dilation ?? 1, axes, 1)
    const axis = normalizeAxis('windows', options.axis ?? 1, x.rank)
    const wrong = kernel.findIndex((k, i) => axis + i >= x.rank || windowCount(x.shape[axis + i]!, k, stride[i]!, dilation[i]!) < 1)
    if (wrong >= 0) {
      throw new CotangentError('shape-mismatch', {
        op: 'windows',
        message: `a window of ${kernel[wrong]} does not fit on axis ${axis + wrong}`,
        shapes: [x.shape],
        hint: 'Pad the tensor, or use a smaller window.',
      })
    }
    return bind1(windowsPrimitive, [x], { axis, kernel, stride, dilation })
  },
  samples: () => [
    { args: [sampleTensor([2, 6, 3]), 3] },
    { args: [sampleTensor([1, 5, 6, 2]), [2, 3], { stride: [1, 2] }] },
    { args: [sampleTensor([7]), 3, { axis: 0, stride: 2, dilation: 2 }] },
  ],
})

import { KernelBuilder } from '../engine/kernel.ts'
import type { WindowGeometry } from '../engine/routine.ts'
import type { Shape } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { pad } from './pad.ts'
import { sum } from './reduce.ts'
import { MOST_TAPS, placesIn, windowCount } from './window.ts'
import { foldWindows, windows } from './windows.ts'

type Attrs = Pick<WindowGeometry, 'kernel' | 'stride'> & {
  /** What sums are divided by. */
  readonly divisor: number
}

const windowsOf = (shape: Shape, { kernel, stride }: Attrs): Shape => kernel.map((k, i) => windowCount(shape[i + 1]!, k, stride[i]!, 1))

/** Elementwise code over the windows, which loads each of their elements: it fuses with what is around it. */
const windowSumPrimitive: Primitive<Attrs> = {
  name: 'windowSum',
  tangent: 'linear',
  infer: ([x], attrs) => [{ dtype: x!.dtype, shape: [x!.shape[0]!, ...windowsOf(x!.shape, attrs), x!.shape.at(-1)!] }],
  lower([x], [y], { kernel, stride, divisor }) {
    const k = new KernelBuilder('windowSum', y!.shape)
    const input = k.input(x!.dtype)
    const steps = x!.strides.map((s, axis) => s * (stride[axis - 1] ?? 1))
    const total = placesIn(kernel)
      .map((place) =>
        k.load(
          input,
          steps,
          place.reduce((at, t, i) => at + t * x!.strides[i + 1]!, 0),
        ),
      )
      .reduce((a, b) => k.add(a, b))
    k.output(y!.dtype, divisor === 1 ? total : k.div(total, k.like(total, divisor)), y!.strides)
    return k.build()
  },
  gradient([g], { attrs, inputSpecs: [x] }) {
    const { kernel, stride, divisor } = attrs
    const ones = kernel.map(() => 1)
    const counts = windowsOf(x!.shape, attrs)
    const [batch, channels] = [x!.shape[0]!, x!.shape.at(-1)!]
    const each: Tensor = divisor === 1 ? g! : g!.div(divisor)
    const spread = each.reshape([batch, ...counts, ...ones, channels]).expand([batch, ...counts, ...kernel, channels]) as Tensor
    return [foldWindows(spread, x!.shape, { axis: 1, kernel, stride, dilation: ones })]
  },
  saves: () => ({ inputs: [false], outputs: [false] }),
}

/** Sums over windows of channels-last `x`, with zeros around it, divided by a number. */
export function windowSum(x: Tensor, { kernel, stride, padding }: WindowGeometry, divisor = 1): Tensor {
  const padded = padding.some(([before, after]) => before > 0 || after > 0) ? pad(x, [[0, 0], ...padding, [0, 0]]) : x
  if (kernel.reduce((n, k) => n * k, 1) <= MOST_TAPS) return bind1(windowSumPrimitive, [padded], { kernel, stride, divisor })
  const axes = kernel.map((_, i) => kernel.length + 1 + i)
  const total: Tensor = sum(windows(padded, kernel, { stride }), axes)
  return divisor === 1 ? total : total.div(divisor)
}

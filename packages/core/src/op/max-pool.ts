import { isFloat } from '../dtype.ts'
import { type Kernel, KernelBuilder, type Value } from '../engine/kernel.ts'
import type { WindowGeometry } from '../engine/routine.ts'
import { rowMajor, type Shape, type Spec } from '../layout.ts'
import * as routines from '../routines.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { MOST_TAPS, placesIn } from './window.ts'

export interface MaxPoolAttrs extends WindowGeometry {
  /** Numbers of windows, where they are not what the geometry says by rounding down. */
  readonly windows: Shape
}

/** Largest elements of windows over channels-last input, and their positions within the spatial volume. */
export const maxPoolPrimitive: Primitive<MaxPoolAttrs> = {
  name: 'maxPool',
  infer([x], { windows }) {
    const shape = [x!.shape[0]!, ...windows, x!.shape.at(-1)!]
    return [
      { dtype: x!.dtype, shape },
      { dtype: 'int32', shape },
    ]
  },
  lower(inputs, outputs, attrs) {
    const { kernel, stride, padding, dilation } = attrs
    const taps = kernel.reduce((n, k) => n * k, 1)
    if (taps <= MOST_TAPS && !isPadded(attrs)) return windowKernel(inputs[0]!, outputs, attrs)
    return routines.maxPool({ kernel, stride, padding, dilation }, inputs, outputs)
  },
  gradient: ([g], { inputSpecs: [x], outputs: [, positions], attrs }) => [
    bind1(maxPoolGradPrimitive, [g!, positions!], { shape: x!.shape, ...(isTiling(attrs, x!.shape) && { tile: attrs.kernel }) }),
  ],
  saves: () => ({ inputs: [false], outputs: [false, true] }),
}

/** `tile` is the shape of windows that cover the input without gap or overlap. */
const maxPoolGradPrimitive: Primitive<{ shape: Shape; tile?: Shape }> = {
  name: 'maxPoolGrad',
  tangent: 'linear',
  infer: ([g], { shape }) => [{ dtype: g!.dtype, shape }],
  lower: (inputs, outputs, { tile }) => (tile ? tileKernel(inputs, outputs[0]!, tile) : routines.maxPoolGrad({}, inputs, outputs)),
  gradient: ([gg], { inputs: [, positions] }) => [takeAt(gg!, positions!), null],
  saves: () => ({ inputs: [false, true], outputs: [false] }),
}

const isPadded = ({ padding }: WindowGeometry): boolean => padding.some(([before, after]) => before > 0 || after > 0)

function isTiling(attrs: MaxPoolAttrs, shape: Shape): boolean {
  const { kernel, stride, dilation, windows } = attrs
  if (isPadded(attrs)) return false
  return kernel.every((k, i) => k === stride[i] && (k === 1 || dilation[i] === 1) && windows[i]! * k === shape[i + 1])
}

/** Elementwise code over the windows, which loads each of their elements: it fuses with what is around it. */
function windowKernel(x: Spec, [values, positions]: readonly Spec[], { kernel, stride, dilation, windows }: MaxPoolAttrs): Kernel {
  const k = new KernelBuilder('maxPool', values!.shape)
  const input = k.input(x.dtype)
  const steps = x.strides.map((s, axis) => s * (stride[axis - 1] ?? 1))
  const places = rowMajor(x.shape.slice(1, -1))
  let best: { value: Value; place: Value } | undefined
  for (const tap of placesIn(kernel)) {
    const along = (strides: readonly number[]) => tap.reduce((sum, t, i) => sum + t * dilation[i]! * strides[i]!, 0)
    const value = k.load(input, steps, along(x.strides.slice(1)))
    const place = k.constant('int32', along(places))
    if (best === undefined) {
      best = { value, place }
      continue
    }
    // The first of equal ones; the first NaN before all.
    const stays = k.le(value, best.value)
    const keeps = isFloat(x.dtype) ? k.or(stays, k.ne(best.value, best.value)) : stays
    best = { value: k.select(keeps, best.value, value), place: k.select(keeps, best.place, place) }
  }
  const start = weighted(
    k,
    windows.map((_, i) => i + 1),
    windows.map((_, i) => stride[i]! * places[i]!),
  )
  k.output(values!.dtype, best!.value, values!.strides)
  k.output('int32', k.add(best!.place, start), positions!.strides)
  return k.build()
}

/** Elementwise code over all elements of all tiles: the gradient goes to its position, and 0 to the others. */
function tileKernel([g, positions]: readonly Spec[], { dtype, shape, strides }: Spec, tile: Shape): Kernel {
  // Each spatial axis becomes two: tiles, and steps within a tile.
  const split = (batch: number, channels: number, spatial: (axis: number) => readonly [number, number]) => [
    batch,
    ...tile.flatMap((_, i) => spatial(i)),
    channels,
  ]
  const within = (s: readonly number[]) => split(s[0]!, s.at(-1)!, (i) => [tile[i]! * s[i + 1]!, s[i + 1]!])
  const perTile = (s: readonly number[]) => split(s[0]!, s.at(-1)!, (i) => [s[i + 1]!, 0])
  const k = new KernelBuilder(
    'maxPoolGrad',
    split(shape[0]!, shape.at(-1)!, (i) => [shape[i + 1]! / tile[i]!, tile[i]!]),
  )
  const gradient = k.load(k.input(g!.dtype), perTile(g!.strides))
  const position = k.load(k.input(positions!.dtype), perTile(positions!.strides))
  const places = within([0, ...rowMajor(shape.slice(1, -1)), 0])
  const own = weighted(
    k,
    places.flatMap((place, axis) => (place === 0 ? [] : [axis])),
    places.filter((place) => place !== 0),
  )
  k.output(dtype, k.select(k.eq(position, own), gradient, k.like(gradient, 0)), within(strides))
  return k.build()
}

/** The sum of the positions along `axes`, each times its weight. */
function weighted(k: KernelBuilder, axes: readonly number[], weights: readonly number[]): Value {
  return axes.map((axis, i) => k.mul(k.index(axis), k.constant('int32', weights[i]!))).reduce((a, b) => k.add(a, b), k.constant('int32', 0))
}

/** The elements of `x` at positions within its spatial volume; 0 where a position is -1 (a window of padding only). */
function takeAt(x: Tensor, positions: Tensor): Tensor {
  const [batch, channels] = [x.shape[0]!, x.shape.at(-1)!]
  const flat = positions.reshape([batch, -1, channels])
  const taken = x.reshape([batch, -1, channels]).gather(1, flat.maximum(0))
  return taken.mul(flat.ge(0)).reshape(positions.shape)
}

import type { Value } from '../engine/kernel.ts'
import { stack } from '../op/join.ts'
import { kernelPrimitive } from '../op/kernel-op.ts'
import { where } from '../op/where.ts'
import { bind1 } from '../tensor/bind.ts'
import { Scalar } from '../tensor/scalar.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type PerImage, perImage } from './images.ts'

// Colours of planes [batch, channels, height, width] of floats. Each change is one pass over the memory, or as few as there can be.

const blendPrimitive = kernelPrimitive<undefined>({
  name: 'blend',
  code(k, [x, other, factor, white]) {
    const mixed = k.add(k.mul(x!, factor!), k.mul(other!, k.sub(k.like(x!, 1), factor!)))
    const zero = k.like(x!, 0)
    return [k.select(k.lt(mixed, zero), zero, k.select(k.gt(mixed, white!), white!, mixed))]
  },
})

/** Between `other` (factor 0) and `x` (factor 1), or beyond, within range. `other` may be smaller, or the number 0. */
export function blend(x: Tensor, other: Tensor | 0, factor: PerImage, white: number): Tensor {
  const input = (value: PerImage) => (typeof value === 'number' ? new Scalar(value, x.dtype) : value)
  return bind1(blendPrimitive, [x, input(other), input(perImage(factor)), input(white)], undefined)
}

const lumaPrimitive = kernelPrimitive<undefined>({
  name: 'luma',
  code(k, [r, g, b]) {
    const part = (x: Value, weight: number) => k.mul(x, k.like(x, weight))
    return [k.add(k.add(part(r!, 0.2989), part(g!, 0.587)), part(b!, 0.114))]
  },
})

/** Weighted sum of red, green and blue planes (ITU-R 601-2), [batch, 1, height, width]. */
export function luma(planes: Tensor): Tensor {
  return planes.shape[1] === 1 ? planes : bind1(lumaPrimitive, planes.split(1, 1) as Tensor[], undefined)
}

/** What changes the colours of planes by an amount. */
export const colorChanges = {
  brightness: (x, factor, white) => blend(x, 0, factor, white),
  contrast: (x, factor, white) => blend(x, luma(x).mean([1, 2, 3], { keepDims: true }), factor, white),
  saturation: (x, factor, white) => (x.shape[1] === 1 ? x : blend(x, luma(x), factor, white)),
  hue: turned,
} as const satisfies Record<string, (planes: Tensor, amount: PerImage, white: number) => Tensor>

/** Smith 1978, see `adjustHue`. */
function turned(x: Tensor, turn: PerImage): Tensor {
  if (x.shape[1] === 1) return x
  const [r, g, b] = x.unbind(1) as [Tensor, Tensor, Tensor]
  const value = x.max(1)
  const chroma = value.sub(x.min(1))
  const grey = chroma.eq(0)
  const divisor = where(grey, chroma.onesLike(), chroma)
  const sextant = where(value.eq(r), g.sub(b).div(divisor), where(value.eq(g), b.sub(r).div(divisor).add(2), r.sub(g).div(divisor).add(4)))
  const by = typeof turn === 'number' ? turn * 6 : turn.reshape([-1, 1, 1]).mul(6)
  const hue = where(grey, sextant.zerosLike(), sextant).add(by)
  // Each channel is the value less the chroma, but for a trapezium of hues.
  const channel = (offset: number) => {
    const k = hue.add(offset).remainder(6)
    const height = k.minimum(k.neg().add(4)).clamp({ min: 0, max: 1 })
    return value.sub(chroma.mul(height))
  }
  return stack([channel(5), channel(3), channel(1)], 1)
}

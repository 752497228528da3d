import { sizeOf } from '../../layout.ts'
import type { RoutineAttrs } from '../routine.ts'
import { arithmeticOf, type RoutineMeaning, valuesAs } from './arithmetic.ts'
import type { Num } from './storage.ts'
import { channelsLast, forEachTap } from './window.ts'

/**
 * Visits every product that a convolution is made of, as places in the row-major values of `x`, `w` and `y`. The convolution
 * and its two gradients sum the same products, each into another of the three operands.
 */
function forEachProduct(
  attrs: RoutineAttrs['conv'],
  xShape: readonly number[],
  yShape: readonly number[],
  visit: (x: number, w: number, y: number) => void,
): void {
  const x = channelsLast(xShape)
  const y = channelsLast(yShape)
  const groupIn = x.channels / attrs.groups
  const groupOut = y.channels / attrs.groups
  forEachTap(attrs, y.spatial, x.spatial, (window, tap, position) => {
    for (let n = 0; n < x.batch; n++) {
      const atX = (n * x.volume + position) * x.channels
      const atY = (n * y.volume + window) * y.channels
      for (let out = 0; out < y.channels; out++) {
        const group = Math.floor(out / groupOut)
        for (let i = 0; i < groupIn; i++) visit(atX + group * groupIn + i, (tap * groupIn + i) * y.channels + out, atY + out)
      }
    }
  })
}

export const conv: RoutineMeaning<'conv'> = (attrs, [x, w, bias], [y]) => {
  const { dtype, shape } = y!
  const { zero, add, mul } = arithmeticOf(dtype)
  const input = valuesAs(x!, dtype)
  const weight = valuesAs(w!, dtype)
  const start = bias && valuesAs(bias, dtype)
  const values = Array.from({ length: sizeOf(shape) }, (_, at): Num => (start ? start[at % start.length]! : zero))
  forEachProduct(attrs, x!.shape, shape, (atX, atW, atY) => {
    values[atY] = add(values[atY]!, mul(input[atX]!, weight[atW]!))
  })
  return [values]
}

export const convGradInput: RoutineMeaning<'convGradInput'> = (attrs, [gradient, w], [x]) => {
  const { dtype, shape } = x!
  const { zero, add, mul } = arithmeticOf(dtype)
  const above = valuesAs(gradient!, dtype)
  const weight = valuesAs(w!, dtype)
  const values = new Array<Num>(sizeOf(shape)).fill(zero)
  forEachProduct(attrs, shape, gradient!.shape, (atX, atW, atY) => {
    values[atX] = add(values[atX]!, mul(above[atY]!, weight[atW]!))
  })
  return [values]
}

export const convGradWeight: RoutineMeaning<'convGradWeight'> = (attrs, [x, gradient], [w]) => {
  const { dtype, shape } = w!
  const { zero, add, mul } = arithmeticOf(dtype)
  const input = valuesAs(x!, dtype)
  const above = valuesAs(gradient!, dtype)
  const values = new Array<Num>(sizeOf(shape)).fill(zero)
  forEachProduct(attrs, x!.shape, gradient!.shape, (atX, atW, atY) => {
    values[atW] = add(values[atW]!, mul(input[atX]!, above[atY]!))
  })
  return [values]
}

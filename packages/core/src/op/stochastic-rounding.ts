import type { DType } from '../dtype.ts'
import type { KernelBuilder, Value } from '../engine/kernel.ts'
import { uniform24 } from './threefry.ts'

/** Bits of the fraction, and the distance between the smallest numbers. */
const formats = {
  bfloat16: { bits: 7, least: 2 ** -133 },
  float16: { bits: 10, least: 2 ** -24 },
} as const

export type RoundedDType = keyof typeof formats

export const isRounded = (dtype: DType): dtype is RoundedDType => dtype in formats

/**
 * A float32 rounded to one of its two neighbours of a narrow dtype, to each with the probability that makes the expectation the
 * number itself (Gupta et al., arXiv:1502.02551). What is beyond the largest number is rounded to nearest.
 */
export function roundStochastically(k: KernelBuilder, x: Value, dtype: RoundedDType, word: Value): Value {
  const { bits, least } = formats[dtype]
  const wide = k.cast(x, 'float32')
  const nearest = k.narrow(wide, dtype)
  const error = k.sub(wide, nearest)
  // 5/8 of the distance between numbers at the start of a binade, 5/4 at its end: rounds to the next number from anywhere in it.
  const way = k.max(k.mul(k.abs(nearest), k.like(wide, 0.625 * 2 ** -bits)), k.like(wide, least))
  const other = k.narrow(k.select(k.gt(error, k.like(error, 0)), k.add(nearest, way), k.sub(nearest, way)), dtype)
  const chance = k.div(error, k.sub(other, nearest))
  // Not where nothing is lost, nor where the nearest is infinite or none: comparisons with NaN are false.
  return k.select(k.lt(uniform24(k, word), chance), other, nearest)
}

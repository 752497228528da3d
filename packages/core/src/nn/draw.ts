import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { full, uniform } from '../op/index.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Parameter } from './parameter.ts'

/** A parameter that starts evenly distributed within [-bound, bound); a bound of 1 / 0 (of a layer without inputs) is none. */
export function drawBounded<const S extends readonly number[]>(
  shape: S,
  bound: number,
  dtype: DType,
): Parameter<{ -readonly [K in keyof S]: S[K] }> {
  const b = Number.isFinite(bound) ? bound : 0
  return new Parameter(uniform(shape as readonly number[], { low: -b, high: b, dtype }) as Tensor) as never
}

/** A parameter that starts as `value` everywhere. */
export function filledWith<const S extends readonly number[]>(
  shape: S,
  value: number,
  dtype: DType,
): Parameter<{ -readonly [K in keyof S]: S[K] }> {
  return new Parameter(full(shape as readonly number[], value, { dtype }) as Tensor) as never
}

/** Checks options that count something. */
export function checkCounts(layer: string, counts: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(counts)) {
    if (!Number.isInteger(value) || value < 1)
      throw new CotangentError('invalid-argument', { op: layer, message: `${name} is ${value}`, hint: 'It must be a positive integer.' })
  }
}

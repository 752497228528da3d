import type { DType } from '../dtype.ts'
import type { RoutineAttrs } from '../engine/routine.ts'
import { CotangentError } from '../errors.ts'

const matmulPrecisions = ['highest', 'high', 'medium'] as const
/** How exactly float32 products are computed; see `setMatmulPrecision`. */
export type MatmulPrecision = (typeof matmulPrecisions)[number]

let precision: MatmulPrecision = 'highest'

/**
 * How precisely float32 matrices must be multiplied: `highest` (the default) is float32 throughout; `high` allows products of
 * numbers that are sums of two bfloat16, and `medium` of bfloat16 numbers, both added up in float32. It is a permission, of which
 * engines make use where it is faster; the Wasm engine has nothing to gain from it. Gradients are computed as their products were.
 * Compiled functions are made for one precision each. The names and meanings are PyTorch's (`set_float32_matmul_precision`).
 *
 * @throws {CotangentError} `invalid-argument` for another word.
 */
export function setMatmulPrecision(wanted: MatmulPrecision): void {
  if (!matmulPrecisions.includes(wanted)) {
    throw new CotangentError('invalid-argument', {
      op: 'setMatmulPrecision',
      message: `there is no precision ${String(wanted)}`,
      hint: `Use one of ${matmulPrecisions.join(', ')}.`,
    })
  }
  precision = wanted
}

/** How precisely float32 matrices are multiplied now. */
export const matmulPrecision = (): MatmulPrecision => precision

const attrs = { high: { precision: 'high' }, medium: { precision: 'medium' } } as const

/** What a product of this dtype says about precision. */
export const precisionAttrs = (dtype: DType): RoutineAttrs['matmul'] | undefined =>
  precision === 'highest' || dtype !== 'float32' ? undefined : attrs[precision]

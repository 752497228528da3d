import type { DType } from '../dtype.ts'

/** An operand of a routine: strides in elements. */
export interface Operand {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly strides: readonly number[]
}

/** Geometry of a sliding window, one entry a spatial axis. */
export interface WindowGeometry {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  /** Zeros (for max pooling: minus infinities) before and after. */
  readonly padding: readonly (readonly [before: number, after: number])[]
  readonly dilation: readonly number[]
}

export const scatterModes = ['set', 'add', 'mul', 'max', 'min'] as const
export type ScatterMode = (typeof scatterModes)[number]

/**
 * Attributes of each heavy op, by name. Outputs are always dense; inputs may have any strides. Activations are channels
 * last: `[batch, ...spatial, channels]`; convolution weights are `[...kernel, channelsIn / groups, channelsOut]`.
 *
 * A routine computes in the scalar type of its first output's dtype, to which its operands are converted. Integers wrap; on
 * bools a sum is "or" and a product is "and". Sums over nothing are 0.
 */
export interface RoutineAttrs {
  /** `a [...batch, M, K]`, `b [...batch, K, N]` (batch axes already broadcast by strides), optional `bias [N]` -> `[...batch, M, N]`. */
  matmul: Record<string, never>
  /** `x`, `w`, optional `bias [channelsOut]` -> `y`. A correlation, as everywhere in deep learning: the kernel is not flipped. */
  conv: WindowGeometry & { readonly groups: number }
  /** `gradient of y`, `w` -> `gradient of x`, whose shape is the output's. */
  convGradInput: WindowGeometry & { readonly groups: number }
  /** `x`, `gradient of y` -> `gradient of w`, whose shape is the output's. */
  convGradWeight: WindowGeometry & { readonly groups: number }
  /**
   * `x` -> maxima, and int32 positions of the first maximum of each window, counted within the input's spatial volume. The
   * first NaN, if there is one, is the maximum. A window that lies in the padding altogether gives the least value of the
   * dtype (floats: -Infinity) and position -1.
   */
  maxPool: WindowGeometry
  /** `gradient of the maxima`, `positions` -> `gradient of x`: gradients at one position add up, those at position -1 go nowhere. */
  maxPoolGrad: Record<string, never>
  /**
   * Adjoint of the sliding-window view: `[batch, ...windows, ...kernel, channels]` -> `[batch, ...spatial, channels]`,
   * overlapping elements added up. Padding is cut away.
   */
  fold: WindowGeometry
  /** `x` -> sorted values and int32 positions, along the last axis; NaN sorts as largest. Stable in both directions; -0 equals 0. */
  sort: { readonly descending: boolean }
  /**
   * `base`, `index` (int32), `source` of the index's shape -> a copy of base in which the element at the index's position, with
   * its place on `axis` replaced by the index's value, is combined with the source: as if one by one, in row-major order of
   * the index (with `set` the last one wins). The index has base's rank and on the other axes at most base's sizes. Every
   * index is in [0, size of the axis). NaN wins in `max` and `min`.
   */
  scatter: { readonly axis: number; readonly mode: ScatterMode }
  /** Running combination along `axis` (from its end if `reverse`) of `x` converted to the output's dtype. NaN wins in `max` and `min`. */
  cumulative: { readonly axis: number; readonly combine: 'sum' | 'prod' | 'max' | 'min'; readonly reverse: boolean }
}

export type RoutineName = keyof RoutineAttrs

/** A named heavy op with typed attributes, shapes and strides. */
export interface Routine<N extends RoutineName = RoutineName> {
  readonly kind: 'routine'
  readonly name: N
  readonly attrs: RoutineAttrs[N]
  readonly inputs: readonly Operand[]
  readonly outputs: readonly Operand[]
}

export function routine<N extends RoutineName>(
  name: N,
  attrs: RoutineAttrs[N],
  inputs: readonly Operand[],
  outputs: readonly Operand[],
): Routine<N> {
  return { kind: 'routine', name, attrs, inputs, outputs }
}

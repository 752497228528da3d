import type { DType } from '../dtype.ts'
import { rowMajor } from '../layout.ts'
import type { Kernel } from './kernel.ts'

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

/**
 * Cells of recurrent layers: how many gates a unit has, how many states, and how many numbers besides the states a step leaves for its
 * gradient. `lstm`: gates input, forget, candidate, output; states hidden, cell; the gates as activated are kept. `gru`: gates reset,
 * update, candidate; kept are the gates as activated and the candidate's share of the state, with which the reset gate is multiplied.
 * `tanh` and `relu`: one gate, the new state.
 */
export const recurrentCells = {
  lstm: { gates: 4, states: 2, kept: 4 },
  gru: { gates: 3, states: 1, kept: 4 },
  tanh: { gates: 1, states: 1, kept: 0 },
  relu: { gates: 1, states: 1, kept: 0 },
} as const satisfies Record<string, { readonly gates: number; readonly states: number; readonly kept: number }>

export type RecurrentCell = keyof typeof recurrentCells

export interface RecurrentAttrs {
  readonly cell: RecurrentCell
  /** Whether the last step of the sequence is the first to be read. */
  readonly reverse: boolean
}

export interface AttentionAttrs {
  /** Factor of the scores. */
  readonly scale: number
  /** Whether query i sees keys up to number i only. */
  readonly causal: boolean
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
  /**
   * `a [...batch, M, K]`, `b [...batch, K, N]` (batch axes already broadcast by strides), optional `bias [N]` -> `[...batch, M, N]`.
   * `precision` allows float32 operands to be multiplied as (`medium`) bfloat16 numbers or (`high`) sums of two, with float32 sums.
   */
  matmul: { readonly precision?: 'high' | 'medium' }
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
  /**
   * A recurrent layer over a sequence; all operands are of one float dtype. The inputs' share of the gates `[time, batch, gates, size]`, weights of the state
   * `[size, gates * size]`, the first of each state `[batch, size]`, optional bias of the state's share `[gates * size]` -> each state
   * `[time + 1, batch, size]`, the first one included: before step t it is number t, behind it t + 1, and the other way round if
   * `reverse`; and, if there is a further output, what the gradient needs of each step, `[time, batch, kept, size]`.
   */
  recurrent: RecurrentAttrs
  /**
   * All operands are of one float dtype. Gradients of each state `[time + 1, batch, size]`, weights, each state, what was kept (of cells that keep something) -> gradient of
   * the state's share of the gates `[time, batch, gates, size]`, of the first of each state, and for `gru`, where it is another one,
   * that of the inputs' share. That of the weights is a product of these.
   */
  recurrentGrad: RecurrentAttrs
  /**
   * `q [...batch, queries, size]`, `k [...batch, keys, size]`, `v [...batch, keys, width]` of one float dtype, optional mask
   * `[...batch, queries, keys]` (bool: true where allowed; float: added to the scores) -> softmax of the scaled scores q k^T times v,
   * `[...batch, queries, width]`, and for the gradient the logarithm of each row's sum of exponentials of scores, float32 (of float64
   * operands float64) `[...batch, queries]`. With a mask or `causal`, scores of minus infinity do not count; a row in which none
   * counts gives 0, and a log-sum of infinity. Values of keys that do not count are finite.
   */
  attention: AttentionAttrs
  /** Gradient of the result, `q`, `k`, `v`, the result, the log-sums, optional mask -> gradients of `q`, `k` and `v`. */
  attentionGrad: AttentionAttrs
}

/** What a routine can be; engines have code of their own for each, or leave it to the reference's. */
export type RoutineName = keyof RoutineAttrs

/** Routines behind which engines can put an epilogue in the same code. */
export const productNames: ReadonlySet<RoutineName> = new Set(['matmul', 'conv', 'convGradInput', 'convGradWeight'])

/** A named heavy op with typed attributes, shapes and strides. */
export interface Routine<N extends RoutineName = RoutineName> {
  readonly kind: 'routine'
  readonly name: N
  readonly attrs: RoutineAttrs[N]
  readonly inputs: readonly Operand[]
  readonly outputs: readonly Operand[]
  /**
   * Elementwise code between the routine's one result and memory: no reduction axes, and `parallel` is the shape of the raw
   * result, which is the code's input 0, dense, in the dtype that the routine computes it in (`inputs[0]`). The code's further
   * inputs are the routine's last ones; how they are read is said by its loads, so of those operands only the dtype counts.
   * Its params are the scalars of a run, and its outputs, all dense, are the routine's. An output may share its buffer with
   * one of these inputs that is dense, too, but not with the routine's own (without an epilogue: that of `scatter` with its base).
   */
  readonly epilogue?: Kernel
}

export function routine<N extends RoutineName>(
  name: N,
  attrs: RoutineAttrs[N],
  inputs: readonly Operand[],
  outputs: readonly Operand[],
): Routine<N> {
  return { kind: 'routine', name, attrs, inputs, outputs }
}

/** `plain` followed by elementwise code; `operands` are the code's inputs behind the raw result. */
export function withEpilogue<N extends RoutineName>(plain: Routine<N>, epilogue: Kernel, operands: readonly Operand[]): Routine<N> {
  const strides = rowMajor(epilogue.parallel)
  return {
    ...plain,
    inputs: [...plain.inputs, ...operands],
    outputs: epilogue.outputs.map(({ dtype }) => ({ dtype, shape: epilogue.parallel, strides })),
    epilogue,
  }
}

/** The routine with an epilogue as it was before: what gives the raw result. */
export function withoutEpilogue<N extends RoutineName>({ kind, name, attrs, inputs, outputs, epilogue }: Routine<N>): Routine<N> {
  if (!epilogue) return { kind, name, attrs, inputs, outputs }
  const { parallel, inputs: dtypes } = epilogue
  return {
    kind,
    name,
    attrs,
    inputs: inputs.slice(0, inputs.length - dtypes.length + 1),
    outputs: [{ dtype: dtypes[0]!, shape: parallel, strides: rowMajor(parallel) }],
  }
}

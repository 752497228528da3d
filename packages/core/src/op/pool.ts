import { isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import type { Checked, PoolOut, Result, SizesOf } from '../shape-types.ts'
import { bind } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tensor } from './creation.ts'
import { type MaxPoolAttrs, maxPoolPrimitive } from './max-pool.ts'
import { defineFunction, sampleTensor } from './table.ts'
import { windowSum } from './window-sum.ts'
import { checkRank, type PerAxis, perAxis, windowCount } from './window.ts'

/** The geometry of pooling windows, which do not overlap by default. */
export interface PoolOptions {
  /** Default: the kernel size, so windows do not overlap. */
  readonly stride?: PerAxis
  /** How much is added on both sides: zeros for means, nothing that could be the largest. Default 0. */
  readonly padding?: PerAxis
  /** Steps between the elements of a window. Default 1. */
  readonly dilation?: PerAxis
  /** Whether a last window that hangs over the end counts. */
  readonly ceilMode?: boolean
}

function geometry(op: string, x: Tensor, axes: number, kernelSize: PerAxis, options: PoolOptions): MaxPoolAttrs {
  checkRank(op, x, axes + 2, `[batch, ${'spatial, '.repeat(axes)}channels]`)
  const kernel = perAxis(op, 'kernelSize', kernelSize, axes, 1)
  const stride = perAxis(op, 'stride', options.stride ?? kernel, axes, 1)
  const dilation = perAxis(op, 'dilation', options.dilation ?? 1, axes, 1)
  const pad = perAxis(op, 'padding', options.padding ?? 0, axes, 0)
  if (pad.some((p, i) => p > kernel[i]! / 2)) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `padding ${JSON.stringify(pad)} is more than half of the kernel ${JSON.stringify(kernel)}`,
      hint: 'Such windows would see padding only.',
    })
  }
  const windows: number[] = []
  const padding = kernel.map((k, i): [number, number] => {
    const [n, p, s, d] = [x.shape[i + 1]!, pad[i]!, stride[i]!, dilation[i]!]
    let count = windowCount(n + 2 * p, k, s, d, options.ceilMode)
    // A last window must start inside the input or its padding before it.
    if (options.ceilMode && (count - 1) * s >= n + p) count--
    if (count < 1)
      throw new CotangentError('shape-mismatch', {
        op,
        message: `a window of ${k} does not fit into size ${n}`,
        shapes: [x.shape],
        hint: 'Use a smaller kernel or pad.',
      })
    windows.push(count)
    return [p, Math.max(p, (count - 1) * s + d * (k - 1) + 1 - n - p)]
  })
  return { kernel, stride, padding, dilation, windows }
}

type SpatialRank = 1 | 2 | 3

interface MaxPoolOptions extends PoolOptions {
  /** Whether the positions of the largest elements within the spatial volume, int32, are given too. */
  readonly returnIndices?: boolean
}

type MaxPooled<S extends Shape, R extends SpatialRank, WithIndices extends boolean> = WithIndices extends true
  ? [values: Tensor<Result<PoolOut<S, R>>>, indices: Tensor<Result<PoolOut<S, R>>>]
  : Tensor<Result<PoolOut<S, R>>>

interface MaxPool<R extends SpatialRank> {
  <S extends Shape, I extends boolean = false>(
    x: Checked<PoolOut<S, R>, Tensor<S>>,
    kernelSize: PerAxis,
    options?: PoolOptions & { readonly returnIndices?: I },
  ): MaxPooled<S, R, I>
}

interface AvgPool<R extends SpatialRank> {
  <S extends Shape>(x: Checked<PoolOut<S, R>, Tensor<S>>, kernelSize: PerAxis, options?: AvgPoolOptions): Tensor<Result<PoolOut<S, R>>>
}

interface AdaptivePool<R extends SpatialRank> {
  <S extends Shape, const P extends PerAxis>(
    x: Checked<PoolOut<S, R>, Tensor<S>>,
    outputSize: P,
  ): Tensor<Result<PoolOut<S, R, SizesOf<P, R>>>>
}

/* @__NO_SIDE_EFFECTS__ */
function declareMaxPool<R extends SpatialRank>(axes: R): MaxPool<R> {
  const name = `maxPool${axes}d`
  return defineFunction({
    name,
    doc: 'Largest element of each window, over channels-last input; returnIndices adds the positions within the spatial volume.',
    call: maxPool as unknown as MaxPool<R>,
    samples: () => poolSamples(axes),
  })
  function maxPool(x: Tensor, kernelSize: PerAxis, options: MaxPoolOptions = {}): Tensor | [Tensor, Tensor] {
    const [values, indices] = bind(maxPoolPrimitive, [x], geometry(name, x, axes, kernelSize, options)) as [Tensor, Tensor]
    return options.returnIndices ? [values, indices] : values
  }
}

const poolSamples = (axes: number) => {
  const x = sampleTensor([2, ...[6, 5, 4].slice(0, axes), 3])
  const even = sampleTensor([2, ...[4, 6, 2].slice(0, axes), 3])
  return [{ args: [x, 2] }, { args: [even, 2] }, { args: [x, 3, { stride: 2, padding: 1 }] }, { args: [x, 2, { ceilMode: true }] }]
}

/** The geometry of pooling windows, and whether padding counts in their means. */
export interface AvgPoolOptions extends Omit<PoolOptions, 'dilation'> {
  /** Whether zeros of the padding count in the mean. Default true, as in PyTorch. */
  readonly countIncludePad?: boolean
  /** What to divide by, instead of the number of elements. */
  readonly divisor?: number
}

function avgPool(op: string, x: Tensor, axes: number, kernelSize: PerAxis, options: AvgPoolOptions): Tensor {
  if (!isFloat(x.dtype))
    throw new CotangentError('dtype-mismatch', {
      op,
      message: 'averages need a float dtype',
      dtypes: [x.dtype],
      hint: "Use x.cast('float32').",
    })
  const attrs = geometry(op, x, axes, kernelSize, options)
  const { divisor } = options
  if (divisor !== undefined) return windowSum(x, attrs, divisor)
  const whole = attrs.kernel.reduce((n, k) => n * k, 1)
  if (
    attrs.padding.every(([, after], i) => after === perAxis(op, 'padding', options.padding ?? 0, axes, 0)[i]) &&
    (options.countIncludePad ?? true)
  )
    return windowSum(x, attrs, whole)
  return windowSum(x, attrs).div(windowSizes(x, attrs, options))
}

/** How many elements each window has, `[...windows, 1]`: a product of one count an axis. */
function windowSizes(x: Tensor, { kernel, stride, padding, windows }: MaxPoolAttrs, options: AvgPoolOptions): Tensor {
  const countPad = options.countIncludePad ?? true
  const counts = windows.map((count, i) => {
    const n = x.shape[i + 1]!
    const before = padding[i]![0]
    const [low, high] = countPad ? [-before, n + before] : [0, n]
    return Array.from({ length: count }, (_, w) => {
      const start = w * stride[i]! - before
      return Math.min(start + kernel[i]!, high) - Math.max(start, low)
    })
  })
  return counts
    .map((list, i) => tensor(list, { dtype: x.dtype }).reshape(windows.map((n, j) => (i === j ? n : 1))))
    .reduce((a, b) => a.mul(b))
    .reshape([...windows, 1])
}

/* @__NO_SIDE_EFFECTS__ */
function declareAvgPool<R extends SpatialRank>(axes: R): AvgPool<R> {
  const name = `avgPool${axes}d`
  return defineFunction({
    name,
    doc: 'Mean of each window, over channels-last input.',
    call: ((x: Tensor, kernelSize: PerAxis, options: AvgPoolOptions = {}) =>
      avgPool(name, x, axes, kernelSize, options)) as unknown as AvgPool<R>,
    samples: () => [
      ...poolSamples(axes),
      { args: [sampleTensor([1, ...[5, 5, 4].slice(0, axes), 2]), 3, { stride: 2, padding: 1, countIncludePad: false }] },
    ],
  })
}

/** Start and end of window `i` of `count` that cover an axis of size `n`, as even as possible. */
const evenWindow = (i: number, count: number, n: number): [number, number] => [
  Math.floor((i * n) / count),
  Math.ceil(((i + 1) * n) / count),
]

/** For each of `count` even windows the positions in it, the last one repeated to the length of the longest. */
function evenWindows(n: number, count: number): { positions: number[]; longest: number; sizes: number[] } {
  const windows = Array.from({ length: count }, (_, i) => evenWindow(i, count, n))
  const sizes = windows.map(([start, end]) => end - start)
  const longest = Math.max(...sizes)
  const positions = windows.flatMap(([start, end]) => Array.from({ length: longest }, (_, j) => Math.min(start + j, end - 1)))
  return { positions, longest, sizes }
}

function adaptivePool(op: string, mode: 'avg' | 'max', x: Tensor, axes: number, outputSize: PerAxis): Tensor {
  checkRank(op, x, axes + 2, `[batch, ${'spatial, '.repeat(axes)}channels]`)
  const counts = perAxis(op, 'outputSize', outputSize, axes, 1)
  const even = counts.every((count, i) => x.shape[i + 1]! > 0 && x.shape[i + 1]! % count === 0)
  if (mode === 'max' || !even) return counts.reduce((y, count, i) => adaptAxis(op, mode, y, i + 1, count), x)
  // Each spatial axis becomes two: windows, and steps within a window.
  const tiles = counts.flatMap((count, i) => [count, x.shape[i + 1]! / count])
  return x.reshape([x.shape[0]!, ...tiles, x.shape.at(-1)!]).mean(counts.map((_, i) => 2 * i + 2))
}

function adaptAxis(op: string, mode: 'avg' | 'max', x: Tensor, axis: number, count: number): Tensor {
  const n = x.shape[axis]!
  if (n === 0)
    throw new CotangentError('empty-reduction', {
      op,
      message: `axis ${axis} is empty`,
      shapes: [x.shape],
      hint: 'Check that the images before are not empty.',
    })
  const split = (size: number): number[] => [...x.shape.slice(0, axis), count, size, ...x.shape.slice(axis + 1)]
  if (n % count === 0) {
    const windows = x.reshape(split(n / count))
    return mode === 'avg' ? windows.mean(axis + 1) : windows.max(axis + 1)
  }
  const { positions, longest, sizes } = evenWindows(n, count)
  const windows = x.indexSelect(axis, tensor(positions, { dtype: 'int32' })).reshape(split(longest))
  if (mode === 'max') return windows.max(axis + 1)
  const weights = sizes.flatMap((size) => Array.from({ length: longest }, (_, j) => (j < size ? 1 / size : 0)))
  const shape = [count, longest, ...x.shape.slice(axis + 1).map(() => 1)]
  return windows.mul(tensor(weights, { dtype: x.dtype }).reshape(shape)).sum(axis + 1)
}

/* @__NO_SIDE_EFFECTS__ */
function declareAdaptivePool<R extends SpatialRank>(mode: 'avg' | 'max', axes: R): AdaptivePool<R> {
  const name = `adaptive${mode === 'avg' ? 'Avg' : 'Max'}Pool${axes}d`
  return defineFunction({
    name,
    doc: `${mode === 'avg' ? 'Mean' : 'Largest element'} of as many even windows an axis as outputSize says.`,
    call: ((x: Tensor, outputSize: PerAxis) => adaptivePool(name, mode, x, axes, outputSize)) as unknown as AdaptivePool<R>,
    samples: () => {
      const x = sampleTensor([2, ...[7, 6, 4].slice(0, axes), 3])
      return [{ args: [x, 1] }, { args: [x, 2] }, { args: [x, 3] }]
    },
  })
}

export const maxPool1d = declareMaxPool(1)
export const maxPool2d = declareMaxPool(2)
export const maxPool3d = declareMaxPool(3)
export const avgPool1d = declareAvgPool(1)
export const avgPool2d = declareAvgPool(2)
export const avgPool3d = declareAvgPool(3)
export const adaptiveAvgPool1d = declareAdaptivePool('avg', 1)
export const adaptiveAvgPool2d = declareAdaptivePool('avg', 2)
export const adaptiveAvgPool3d = declareAdaptivePool('avg', 3)
export const adaptiveMaxPool1d = declareAdaptivePool('max', 1)
export const adaptiveMaxPool2d = declareAdaptivePool('max', 2)
export const adaptiveMaxPool3d = declareAdaptivePool('max', 3)

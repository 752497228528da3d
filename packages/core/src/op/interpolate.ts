import { type DType, isFloat, toFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tensor } from './creation.ts'
import { resample, type Taps } from './resample.ts'
import { defineFunction, sampleTensor } from './table.ts'
import { type PerAxis, perAxis } from './window.ts'

/** The size that images get, and how pixels between are found. */
export interface InterpolateOptions {
  /** Sizes of the result's spatial axes; or else `scale`. */
  readonly size?: PerAxis
  /** Factors from the input's sizes, rounded down. */
  readonly scale?: number | readonly number[]
  /** `linear` is bilinear on two axes and trilinear on three; `cubic` is the convolution of Keys 1981. Default `nearest`. */
  readonly mode?: 'nearest' | 'nearest-exact' | 'linear' | 'cubic'
  /** Linear and cubic: whether the first and last samples of input and result coincide. */
  readonly alignCorners?: boolean
  /** Linear and cubic: whether filters grow with the factor by which sizes shrink, so that no sample is passed over. */
  readonly antialias?: boolean
}

interface Filter {
  /** Half of its width. */
  readonly support: number
  readonly weight: (distance: number) => number
}

const triangle: Filter = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) }

/** Keys' cubic convolution with the slope `a` at distance 1. */
const cubic = (a: number): Filter => ({
  support: 2,
  weight(distance) {
    const x = Math.abs(distance)
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
  },
})

/** The nearest sample of each position. */
function nearest(n: number, count: number, step: number, exact: boolean): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => Math.min(n - 1, Math.floor((i + (exact ? 0.5 : 0)) * step)))
}

/** Samples at the same distances from each position; those beyond an end repeat its sample. */
function interpolatedTaps(n: number, count: number, step: number, { mode, alignCorners = false }: InterpolateOptions): Taps {
  const { support, weight } = mode === 'cubic' ? cubic(-0.75) : triangle
  const positions = new Int32Array(2 * support * count)
  const weights = new Float64Array(2 * support * count)
  for (let i = 0; i < count; i++) {
    const at = alignCorners ? i * step : (i + 0.5) * step - 0.5
    const centre = mode === 'cubic' ? at : Math.min(n - 1, Math.max(0, at))
    for (let tap = 0; tap < 2 * support; tap++) {
      const position = Math.floor(centre) + tap + 1 - support
      positions[tap * count + i] = Math.min(n - 1, Math.max(0, position))
      weights[tap * count + i] = weight(position - centre)
    }
  }
  return { count, positions, weights }
}

/** All samples under a filter as wide as the step, weighted to a sum of 1; there are none beyond the ends. */
function antialiasedTaps(n: number, count: number, step: number, mode: 'linear' | 'cubic'): Taps {
  const { support, weight } = mode === 'cubic' ? cubic(-0.5) : triangle
  const stretch = Math.max(1, step)
  const reach = support * stretch
  const taps = Math.min(n, Math.ceil(2 * reach) + 1)
  const positions = new Int32Array(taps * count)
  const weights = new Float64Array(taps * count)
  for (let i = 0; i < count; i++) {
    const centre = step * (i + 0.5)
    const start = Math.max(0, Math.trunc(centre - reach + 0.5))
    const length = Math.min(n, Math.trunc(centre + reach + 0.5)) - start
    let sum = 0
    for (let tap = 0; tap < length; tap++) sum += weights[tap * count + i] = weight((start + tap - centre + 0.5) / stretch)
    for (let tap = 0; tap < taps; tap++) {
      positions[tap * count + i] = start + Math.min(length - 1, tap)
      weights[tap * count + i]! /= sum
    }
  }
  return { count, positions, weights }
}

/** A part of an image, in pixels. */
export interface Region {
  readonly top: number
  readonly left: number
  readonly height: number
  readonly width: number
}

/** A stretch of an axis. */
interface Stretch {
  readonly begin: number
  readonly length: number
}

interface AxisChange {
  readonly axis: number
  readonly from: Stretch
  readonly count: number
  readonly scale: number | undefined
}

const isWhole = (x: Tensor, { axis, from }: AxisChange) => from.length === x.shape[axis]
const isResized = ({ from, count, scale }: AxisChange) => count !== from.length || (scale !== undefined && scale !== 1)

function resizeAxis(x: Tensor, change: AxisChange, options: InterpolateOptions, dtype: DType | undefined): Tensor {
  const { axis, from, count, scale } = change
  if (!isResized(change)) return isWhole(x, change) ? x : x.narrow(axis, from.begin, from.length)
  const { mode = 'nearest', alignCorners = false, antialias = false } = options
  const n = from.length
  const step = alignCorners ? (count > 1 ? (n - 1) / (count - 1) : 0) : scale === undefined ? n / count : 1 / scale
  const there = (positions: Int32Array) => (from.begin === 0 ? positions : positions.map((position) => position + from.begin))
  if (mode === 'nearest' || mode === 'nearest-exact')
    return x.indexSelect(axis, tensor(there(nearest(n, count, step, mode === 'nearest-exact'))))
  const taps = antialias ? antialiasedTaps(n, count, step, mode) : interpolatedTaps(n, count, step, options)
  return resample(x, axis, { ...taps, positions: there(taps.positions) }, dtype)
}

/** Integers are converted once, not for each sample that they are part of, and rounded where they are resampled last. */
function resizeAxes(x: Tensor, changes: readonly AxisChange[], options: InterpolateOptions): Tensor {
  const last = options.mode?.startsWith('nearest') === false && !isFloat(x.dtype) ? changes.findLast(isResized) : undefined
  return changes.reduce(
    (y, change) => resizeAxis(y, change, options, change === last ? x.dtype : undefined),
    last ? x.cast(toFloat(x.dtype)) : x,
  )
}

/** Lengths that programs are made for are multiples of this: parts of all sizes would want as many programs. */
const LENGTH_STEP = 32

/**
 * A part of x [batch, height, width, channels] resized, as if it had been cut out first, by programs that do not depend on where it lies and
 * hardly on its size.
 */
export function interpolatePart(
  x: Tensor,
  { top, left, height, width }: Region,
  options: InterpolateOptions & { readonly size: readonly [number, number] },
): Tensor {
  let around = x
  const stretches = [
    { begin: top, length: height },
    { begin: left, length: width },
  ]
  const changes = stretches.map(({ begin, length }, i): AxisChange => {
    const [axis, n] = [i + 1, x.shape[i + 1]!]
    const room = Math.min(n, Math.ceil(length / LENGTH_STEP) * LENGTH_STEP)
    const start = Math.min(begin, n - room)
    if (room < n) around = around.narrow(axis, start, room)
    return { axis, from: { begin: begin - start, length }, count: options.size[i]!, scale: undefined }
  })
  return resizeAxes(around, changes, options)
}

export const interpolate = defineFunction({
  name: 'interpolate',
  precision: 'float32',
  doc: 'Resizes the spatial axes of x [batch, ...spatial, channels], to nearest, linearly or cubically interpolated samples, as PyTorch does. Integers are rounded.',
  call(x: Tensor, options: InterpolateOptions): Tensor {
    const axes = x.rank - 2
    if (axes < 1 || x.size === 0)
      throw new CotangentError('shape-mismatch', {
        op: 'interpolate',
        message: 'expected non-empty [batch, ...spatial, channels]',
        shapes: [x.shape],
        hint: 'Channels are last; add a batch axis with unsqueeze(0).',
      })
    if ((options.size === undefined) === (options.scale === undefined)) {
      throw new CotangentError('invalid-argument', { op: 'interpolate', message: 'needs either size or scale', hint: 'Give one of them.' })
    }
    const { mode = 'nearest' } = options
    if ((options.antialias || options.alignCorners) && mode !== 'linear' && mode !== 'cubic') {
      throw new CotangentError('invalid-argument', {
        op: 'interpolate',
        message: `${options.antialias ? 'antialias' : 'alignCorners'} has no meaning for mode '${mode}'`,
        hint: "It goes with 'linear' and 'cubic'.",
      })
    }
    const scales =
      options.scale === undefined
        ? undefined
        : typeof options.scale === 'number'
          ? new Array<number>(axes).fill(options.scale)
          : options.scale
    const sizes = perAxis('interpolate', 'size', options.size ?? scales!.map((s, i) => Math.floor(x.shape[i + 1]! * s)), axes, 1)
    const changes = sizes.map((count, i) => ({ axis: i + 1, from: { begin: 0, length: x.shape[i + 1]! }, count, scale: scales?.[i] }))
    return resizeAxes(x, changes, options)
  },
  samples: () => [
    { args: [sampleTensor([2, 3, 2]), { size: 5 }] },
    { args: [sampleTensor([1, 3, 4, 2]), { scale: 2 }] },
    { args: [sampleTensor([1, 3, 4, 2]), { size: [5, 3], mode: 'nearest-exact' }] },
    { args: [sampleTensor([1, 3, 4, 2]), { size: [5, 7], mode: 'linear' }] },
    { args: [sampleTensor([1, 3, 4, 2]), { scale: 2, mode: 'linear', alignCorners: true }] },
    { args: [sampleTensor([1, 2, 3, 2, 1]), { size: [3, 4, 4], mode: 'linear' }] },
    { args: [sampleTensor([1, 3, 4, 2]), { size: [5, 7], mode: 'cubic' }] },
    { args: [sampleTensor([1, 7, 6, 1]), { size: [3, 4], mode: 'linear', antialias: true }] },
    { args: [sampleTensor([1, 7, 6, 1]), { size: 2, mode: 'cubic', antialias: true }] },
  ],
})

import { CotangentError } from '../errors.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tensor } from './creation.ts'
import { defineFunction, sampleTensor } from './table.ts'
import { type PerAxis, perAxis } from './window.ts'

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

/** Where each sample of the result comes from: as many positions in the input for each, and their weights. */
interface Tap {
  readonly positions: number[]
  readonly weights: number[]
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

function nearestTaps(n: number, count: number, step: number, exact: boolean): Tap[] {
  const positions = Array.from({ length: count }, (_, i) => Math.min(n - 1, Math.floor((i + (exact ? 0.5 : 0)) * step)))
  return [{ positions, weights: positions.map(() => 1) }]
}

/** Samples at the same distances from each position; those beyond an end repeat its sample. */
function interpolatedTaps(n: number, count: number, step: number, { mode, alignCorners = false }: InterpolateOptions): Tap[] {
  const { support, weight } = mode === 'cubic' ? cubic(-0.75) : triangle
  const centres = Array.from({ length: count }, (_, i) => {
    const centre = alignCorners ? i * step : (i + 0.5) * step - 0.5
    return mode === 'cubic' ? centre : Math.min(n - 1, Math.max(0, centre))
  })
  return Array.from({ length: 2 * support }, (_, tap) => {
    const positions = centres.map((centre) => Math.floor(centre) + tap + 1 - support)
    return {
      positions: positions.map((p) => Math.min(n - 1, Math.max(0, p))),
      weights: positions.map((p, i) => weight(p - centres[i]!)),
    }
  })
}

/** All samples under a filter as wide as the step, weighted to a sum of 1; there are none beyond the ends. */
function antialiasedTaps(n: number, count: number, step: number, mode: 'linear' | 'cubic'): Tap[] {
  const { support, weight } = mode === 'cubic' ? cubic(-0.5) : triangle
  const stretch = Math.max(1, step)
  const windows = Array.from({ length: count }, (_, i) => {
    const centre = step * (i + 0.5)
    const start = Math.max(0, Math.trunc(centre - support * stretch + 0.5))
    const end = Math.min(n, Math.trunc(centre + support * stretch + 0.5))
    const weights = Array.from({ length: end - start }, (_, j) => weight((start + j - centre + 0.5) / stretch))
    const sum = weights.reduce((a, b) => a + b, 0)
    return { start, weights: weights.map((w) => w / sum) }
  })
  return Array.from({ length: Math.max(...windows.map(({ weights }) => weights.length)) }, (_, tap) => ({
    positions: windows.map(({ start }) => Math.min(n - 1, start + tap)),
    weights: windows.map(({ weights }) => weights[tap] ?? 0),
  }))
}

function tapsOf(n: number, count: number, scale: number | undefined, options: InterpolateOptions): Tap[] {
  const { mode = 'nearest', alignCorners = false, antialias = false } = options
  const step = alignCorners ? (count > 1 ? (n - 1) / (count - 1) : 0) : scale === undefined ? n / count : 1 / scale
  if (mode === 'nearest' || mode === 'nearest-exact') return nearestTaps(n, count, step, mode === 'nearest-exact')
  return antialias ? antialiasedTaps(n, count, step, mode) : interpolatedTaps(n, count, step, options)
}

function resizeAxis(x: Tensor, axis: number, count: number, scale: number | undefined, options: InterpolateOptions): Tensor {
  const shape = [count, ...x.shape.slice(axis + 1).map(() => 1)]
  return tapsOf(x.shape[axis]!, count, scale, options)
    .map(({ positions, weights }) => {
      const samples = x.indexSelect(axis, tensor(positions, { dtype: 'int32' }))
      return weights.every((w) => w === 1) ? samples : samples.mul(tensor(weights, { dtype: x.dtype }).reshape(shape))
    })
    .reduce((a, b) => a.add(b))
}

export const interpolate = defineFunction({
  name: 'interpolate',
  precision: 'float32',
  doc: 'Resizes the spatial axes of x [batch, ...spatial, channels], to nearest, linearly or cubically interpolated samples, as PyTorch does.',
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
    return sizes.reduce((y, count, i) => resizeAxis(y, i + 1, count, scales?.[i], options), x)
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

import { CotangentError } from '../errors.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tensor } from './creation.ts'
import { define, sampleTensor } from './table.ts'
import { type PerAxis, perAxis } from './window.ts'

export interface InterpolateOptions {
  /** Sizes of the result's spatial axes; or else `scale`. */
  readonly size?: PerAxis
  /** Factors from the input's sizes, rounded down. */
  readonly scale?: number | readonly number[]
  /** `linear` is bilinear on two axes and trilinear on three. Default `nearest`. */
  readonly mode?: 'nearest' | 'nearest-exact' | 'linear'
  /** Linear only: whether the first and last samples of input and result coincide. */
  readonly alignCorners?: boolean
}

/** Where a sample of the result lies in the input: between two positions, at `weight` from the first. */
interface Sampling {
  from: number[]
  to: number[]
  weight: number[]
}

function sampling(
  n: number,
  count: number,
  scale: number | undefined,
  { mode = 'nearest', alignCorners = false }: InterpolateOptions,
): Sampling {
  const step = alignCorners ? (count > 1 ? (n - 1) / (count - 1) : 0) : scale === undefined ? n / count : 1 / scale
  const positions = Array.from({ length: count }, (_, i) => {
    if (mode === 'nearest') return Math.floor(i * step)
    if (mode === 'nearest-exact') return Math.floor((i + 0.5) * step)
    return alignCorners ? i * step : Math.max(0, (i + 0.5) * step - 0.5)
  })
  const clamp = (p: number) => Math.min(n - 1, Math.max(0, p))
  const from = positions.map((p) => clamp(Math.floor(p)))
  return { from, to: from.map((p) => clamp(p + 1)), weight: positions.map((p, i) => p - from[i]!) }
}

function resizeAxis(x: Tensor, axis: number, count: number, scale: number | undefined, options: InterpolateOptions): Tensor {
  const { from, to, weight } = sampling(x.shape[axis]!, count, scale, options)
  const at = (positions: number[]) => x.indexSelect(axis, tensor(positions, { dtype: 'int32' }))
  if (options.mode !== 'linear') return at(from)
  const shape = [count, ...x.shape.slice(axis + 1).map(() => 1)]
  const w = tensor(weight, { dtype: x.dtype }).reshape(shape)
  const low = at(from)
  return low.add(at(to).sub(low).mul(w))
}

export const interpolate = define({
  name: 'interpolate',
  precision: 'float32',
  doc: 'Resizes the spatial axes of x [batch, ...spatial, channels], to nearest or linearly interpolated samples, as PyTorch does.',
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
  ],
})

export interface InterpolateMethods {
  interpolate(options: InterpolateOptions): Tensor
}

import { isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { ones } from './creation.ts'
import { takeAt } from './gather-scatter.ts'
import { stack } from './join.ts'
import { arange } from './range.ts'
import { defineFunction, sampleTensor } from './table.ts'

/** How values between pixels are found, and what lies beyond the edge. */
export interface GridSampleOptions {
  /** `linear` is bilinear on two axes; `cubic` uses four samples an axis (Keys 1981, a = -0.75). Default `linear`. */
  readonly mode?: 'nearest' | 'linear' | 'cubic'
  /** What lies outside of the image: zeros, its nearest pixel, or its mirror image. Default `zeros`. */
  readonly padding?: 'zeros' | 'border' | 'reflection'
  /** Whether -1 and 1 are the centres of the first and last pixel, rather than their outer edges. Default false. */
  readonly alignCorners?: boolean
}

/** Samples along one axis: pixels, in range, and their weights (absent for 1). */
interface Tap {
  readonly index: Tensor
  readonly weight: Tensor | undefined
}

/** From -1 ... 1 to pixels of an axis of size `n`. */
const toPixels = (x: Tensor, n: number, alignCorners: boolean): Tensor =>
  alignCorners ? x.add(1).mul((n - 1) / 2) : x.add(1).mul(n).sub(1).div(2)

/** Positions folded back into [low, high] at its ends. */
function reflect(x: Tensor, low: number, high: number): Tensor {
  if (low === high) return x.mul(0)
  const span = high - low
  const folded = x
    .sub(low)
    .abs()
    .remainder(2 * span)
  return folded.minimum(folded.neg().add(2 * span)).add(low)
}

/** Where a position is looked up instead, with padding that has other pixels. */
function inside(x: Tensor, n: number, { padding = 'zeros', alignCorners = false }: GridSampleOptions): Tensor {
  if (padding === 'zeros') return x
  const mirrored = padding === 'border' ? x : alignCorners ? reflect(x, 0, n - 1) : reflect(x, -0.5, n - 0.5)
  return mirrored.clamp({ min: 0, max: n - 1 })
}

/** Keys' cubic convolution at distances 1 + t, t, 1 - t and 2 - t. */
function cubicWeights(t: Tensor): Tensor[] {
  const A = -0.75
  const near = (x: Tensor) =>
    x
      .mul(A + 2)
      .sub(A + 3)
      .mul(x)
      .mul(x)
      .add(1)
  const far = (x: Tensor) =>
    x
      .mul(A)
      .sub(5 * A)
      .mul(x)
      .add(8 * A)
      .mul(x)
      .sub(4 * A)
  const rest = t.neg().add(1)
  return [far(t.add(1)), near(t), near(rest), far(rest.add(1))]
}

function tapsOf(grid: Tensor, n: number, options: GridSampleOptions): Tap[] {
  const { mode = 'linear', padding = 'zeros', alignCorners = false } = options
  const raw = toPixels(grid, n, alignCorners)
  const pixels = mode === 'cubic' ? raw : inside(raw, n, options)
  const first = mode === 'nearest' ? pixels.round() : pixels.floor()
  const t = pixels.sub(first)
  const weights = mode === 'nearest' ? [undefined] : mode === 'linear' ? [t.neg().add(1), t] : cubicWeights(t)
  const from = mode === 'cubic' ? -1 : 0
  return weights.map((weight, i) => {
    const position = first.detach().add(from + i)
    const looked = mode === 'cubic' ? inside(position, n, options) : position
    // NaN and what an int32 cannot hold become 0 or an end: out of range either way.
    const index = looked.clamp({ min: 0, max: n - 1 }).cast('int32')
    if (padding !== 'zeros') return { index, weight }
    const within = looked
      .ge(0)
      .logicalAnd(looked.le(n - 1))
      .cast(grid.dtype)
    return { index, weight: weight ? weight.mul(within) : within }
  })
}

function check(x: Tensor, grid: Tensor): void {
  const axes = x.rank - 2
  const fits = axes >= 1 && axes <= 3 && grid.rank === x.rank && grid.shape.at(-1) === axes && grid.shape[0] === x.shape[0]
  if (!fits) {
    throw new CotangentError('shape-mismatch', {
      op: 'gridSample',
      message: 'expected x [batch, ...spatial, channels] and a grid [batch, ...positions, axes] with one coordinate a spatial axis',
      shapes: [x.shape, grid.shape],
      hint: 'affineGrid() makes such grids.',
    })
  }
  if (!isFloat(x.dtype) || !isFloat(grid.dtype)) {
    throw new CotangentError('dtype-mismatch', {
      op: 'gridSample',
      message: 'images and positions must be floats',
      dtypes: [x.dtype, grid.dtype],
      hint: "Use x.cast('float32').",
    })
  }
  if (x.shape.slice(1, -1).includes(0)) {
    throw new CotangentError('shape-mismatch', {
      op: 'gridSample',
      message: 'there are no pixels to sample from',
      shapes: [x.shape],
      hint: 'Spatial axes must not be empty.',
    })
  }
}

export const gridSample = defineFunction({
  name: 'gridSample',
  precision: 'float32',
  doc: "Pixels of x [batch, ...spatial, channels] at positions [batch, ...positions, axes] from -1 to 1, the last spatial axis's coordinate first: PyTorch's grid_sample.",
  call(x: Tensor, grid: Tensor, options: GridSampleOptions = {}): Tensor {
    check(x, grid)
    const spatial = x.shape.slice(1, -1)
    const rank = grid.rank - 1
    const taps = spatial.map((n, axis) => tapsOf(grid.select(-1, spatial.length - 1 - axis), n, options))
    const batch = arange(x.shape[0]!, { dtype: 'int32' }).reshape([-1, ...new Array<number>(rank - 1).fill(1)]) as Tensor
    const attrs = { axes: x.shape.slice(0, -1).map((_, axis) => axis), at: 0 }
    // Every combination of one tap an axis.
    const corners = taps.reduce<Tap[][]>((all, ofAxis) => all.flatMap((corner) => ofAxis.map((tap) => [...corner, tap])), [[]])
    return corners
      .map((corner) => {
        const pixels = takeAt(x, [batch, ...corner.map(({ index }) => index)], attrs)
        const weights = corner.flatMap(({ weight }) => weight ?? [])
        return weights.length === 0 ? pixels : pixels.mul(weights.reduce((a, b) => a.mul(b)).unsqueeze(-1))
      })
      .reduce((a, b) => a.add(b))
  },
  samples: () => {
    const grid = (...shape: number[]) => sampleTensor(shape, { low: -1.3, high: 1.3 })
    return [
      { args: [sampleTensor([2, 3, 4, 2]), grid(2, 2, 3, 2)] },
      { args: [sampleTensor([1, 3, 4, 1]), grid(1, 2, 2, 2), { padding: 'border', alignCorners: true }] },
      { args: [sampleTensor([1, 3, 4, 1]), grid(1, 2, 2, 2), { padding: 'reflection' }] },
      { args: [sampleTensor([1, 4, 4, 1]), grid(1, 2, 2, 2), { mode: 'cubic' }] },
      { args: [sampleTensor([1, 3, 4, 2]), grid(1, 2, 2, 2), { mode: 'nearest' }] },
      { args: [sampleTensor([1, 3, 2, 2, 1]), grid(1, 2, 1, 2, 3)] },
      { args: [sampleTensor([2, 5, 1]), grid(2, 3, 1)] },
      { args: [sampleTensor([2, 3, 3, 1]), grid(2, 0, 2, 2)] },
    ]
  },
})

export const affineGrid = defineFunction({
  name: 'affineGrid',
  precision: 'float32',
  doc: "Positions for gridSample under affine maps theta [batch, axes, axes + 1] of the result's coordinates, for images of the given spatial size: PyTorch's affine_grid.",
  call(theta: Tensor, size: Shape, { alignCorners = false }: { readonly alignCorners?: boolean } = {}): Tensor {
    const axes = size.length
    if (axes < 1 || theta.rank !== 3 || theta.shape[1] !== axes || theta.shape[2] !== axes + 1) {
      throw new CotangentError('shape-mismatch', {
        op: 'affineGrid',
        message: `expected theta [batch, ${axes}, ${axes + 1}] for ${axes} spatial axes`,
        shapes: [theta.shape, size],
        hint: 'Give the sizes of spatial axes only.',
      })
    }
    if (!isFloat(theta.dtype))
      throw new CotangentError('dtype-mismatch', {
        op: 'affineGrid',
        message: 'maps must be floats',
        dtypes: [theta.dtype],
        hint: "Use theta.cast('float32').",
      })
    const along = size.map((n, axis) => {
      const centres = arange(n, { dtype: 'float32' })
      const line = alignCorners
        ? n === 1
          ? centres
          : centres.mul(2 / (n - 1)).sub(1)
        : centres
            .add(0.5)
            .mul(2 / n)
            .sub(1)
      return line
        .cast(theta.dtype)
        .reshape(size.map((_, other) => (other === axis ? n : 1)))
        .expand(size) as Tensor
    })
    // The last axis's coordinate comes first, and a 1 for the translation last.
    const points = stack([...along.reverse(), ones(size, { dtype: theta.dtype }) as Tensor], -1).reshape([1, -1, axes + 1])
    return points.matmul(theta.transpose(-2, -1)).reshape([theta.shape[0]!, ...size, axes]) as Tensor
  },
  samples: () => [
    { args: [sampleTensor([2, 2, 3]), [3, 4]] },
    { args: [sampleTensor([1, 2, 3]), [3, 1], { alignCorners: true }] },
    { args: [sampleTensor([1, 3, 4]), [2, 1, 3]] },
  ],
})

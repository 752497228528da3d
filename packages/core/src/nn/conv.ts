import { type Shape, sizeOf } from '../layout.ts'
import { conv1d, conv2d, conv3d, type ConvOptions, pad } from '../op/index.ts'
import { type PerAxis, perAxis } from '../op/window.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { ConvLayer, type CommonConvOptions, type SpatialRank } from './conv-layer.ts'

/** What stands beyond the edges of a convolution's input. */
export type PaddingMode = 'zeros' | 'reflect' | 'replicate' | 'circular'

/** Geometry and parameters of a convolution layer. */
export interface ConvLayerOptions extends CommonConvOptions {
  /** How much is added on both sides; `same` keeps the size at stride 1, `valid` (default) is none. */
  readonly padding?: PerAxis | 'same' | 'valid'
  /** What is added. Default zeros. */
  readonly paddingMode?: PaddingMode
}

type ConvOp = (x: Tensor, weight: Tensor, options: ConvOptions) => Tensor

const ops: Readonly<Record<SpatialRank, ConvOp>> = { 1: conv1d, 2: conv2d, 3: conv3d }

/** Convolution over `Rank` spatial axes; see `Conv2d`. */
abstract class Conv<Rank extends SpatialRank, In extends number, Out extends number> extends ConvLayer<Rank, In, Out> {
  readonly padding: readonly number[] | 'same'
  readonly paddingMode: PaddingMode

  constructor(rank: Rank, inChannels: In, outChannels: Out, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    const name = `Conv${rank}d`
    super({ name, rank, inChannels, outChannels, kernelSize }, options)
    const { padding = 0, paddingMode = 'zeros' } = options
    this.padding = padding === 'same' ? padding : perAxis(name, 'padding', padding === 'valid' ? 0 : padding, rank, 0)
    this.paddingMode = paddingMode
  }

  protected convolve(x: Tensor): Tensor {
    const { rank, weight, stride, dilation, groups, bias, paddingMode } = this
    if (paddingMode === 'zeros') return ops[rank](x, weight, { bias, stride, padding: this.padding, dilation, groups })
    const padded = x.rank === rank + 2 ? pad(x, [[0, 0], ...this.#amounts(), [0, 0]], { mode: paddingMode }) : x
    return ops[rank](padded, weight, { bias, stride, dilation, groups })
  }

  #amounts(): [number, number][] {
    const { padding, kernelSize, dilation } = this
    if (padding !== 'same') return padding.map((n) => [n, n])
    return kernelSize.map((k, i) => [Math.floor((dilation[i]! * (k - 1)) / 2), Math.ceil((dilation[i]! * (k - 1)) / 2)])
  }

  override describe(): string {
    return super.describe() + (this.paddingMode === 'zeros' ? '' : `, paddingMode: '${this.paddingMode}'`)
  }

  override macs(_: readonly Shape[], output: Shape): number {
    return (sizeOf(output) * sizeOf(this.kernelSize) * this.inChannels) / this.groups
  }
}

/** Convolution of `[batch, length, in]`; see `Conv2d`. */
export class Conv1d<const In extends number = number, const Out extends number = number> extends Conv<1, In, Out> {
  constructor(inChannels: In, outChannels: Out, kernelSize: PerAxis, options?: ConvLayerOptions) {
    super(1, inChannels, outChannels, kernelSize, options)
  }
}

/**
 * Convolution (cross-correlation) of `[batch, height, width, in]` to `[batch, height', width', out]`, channels last.
 *
 * `weight` is `[height, width, in / groups, out]`, where PyTorch has `[out, in / groups, height, width]`; it and the `bias`
 * `[out]` start evenly distributed within 1 / sqrt(fan-in), as PyTorch's do.
 */
export class Conv2d<const In extends number = number, const Out extends number = number> extends Conv<2, In, Out> {
  constructor(inChannels: In, outChannels: Out, kernelSize: PerAxis, options?: ConvLayerOptions) {
    super(2, inChannels, outChannels, kernelSize, options)
  }
}

/** Convolution of `[batch, depth, height, width, in]`; see `Conv2d`. */
export class Conv3d<const In extends number = number, const Out extends number = number> extends Conv<3, In, Out> {
  constructor(inChannels: In, outChannels: Out, kernelSize: PerAxis, options?: ConvLayerOptions) {
    super(3, inChannels, outChannels, kernelSize, options)
  }
}

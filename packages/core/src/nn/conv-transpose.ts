import { type Shape, sizeOf } from '../layout.ts'
import { convTranspose1d, convTranspose2d, convTranspose3d, type ConvTransposeOptions } from '../op/index.ts'
import { type PerAxis, perAxis } from '../op/window.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { ConvLayer, type CommonConvOptions, type SpatialRank } from './conv-layer.ts'
import { showSizes } from './describe.ts'

/** Geometry and parameters of a transposed convolution layer. */
export interface ConvTransposeLayerOptions extends CommonConvOptions {
  /** How much the result is cut on both sides. Default 0. */
  readonly padding?: PerAxis
  /** Size added at the end of the result, less than the stride. Default 0. */
  readonly outputPadding?: PerAxis
}

type ConvTransposeOp = (x: Tensor, weight: Tensor, options: ConvTransposeOptions) => Tensor

const ops: Readonly<Record<SpatialRank, ConvTransposeOp>> = { 1: convTranspose1d, 2: convTranspose2d, 3: convTranspose3d }

/** Transposed convolution over `Rank` spatial axes; see `ConvTranspose2d`. */
abstract class ConvTranspose<Rank extends SpatialRank, In extends number, Out extends number> extends ConvLayer<Rank, In, Out> {
  readonly padding: readonly number[]
  readonly outputPadding: readonly number[]

  constructor(rank: Rank, inChannels: In, outChannels: Out, kernelSize: PerAxis, options: ConvTransposeLayerOptions = {}) {
    const name = `ConvTranspose${rank}d`
    super({ name, rank, inChannels, outChannels, kernelSize, transposed: true }, options)
    this.padding = perAxis(name, 'padding', options.padding ?? 0, rank, 0)
    this.outputPadding = perAxis(name, 'outputPadding', options.outputPadding ?? 0, rank, 0)
  }

  protected convolve(x: Tensor): Tensor {
    const { bias, stride, padding, outputPadding, dilation, groups } = this
    return ops[this.rank](x, this.weight, { bias, stride, padding, outputPadding, dilation, groups })
  }

  override describe(): string {
    return super.describe() + (this.outputPadding.some((n) => n !== 0) ? `, outputPadding: ${showSizes(this.outputPadding)}` : '')
  }

  override macs([x]: readonly Shape[]): number {
    return (sizeOf(x!) * sizeOf(this.kernelSize) * this.outChannels) / this.groups
  }
}

/** Transposed convolution of `[batch, length, in]`; see `ConvTranspose2d`. */
export class ConvTranspose1d<const In extends number = number, const Out extends number = number> extends ConvTranspose<1, In, Out> {
  constructor(inChannels: In, outChannels: Out, kernelSize: PerAxis, options?: ConvTransposeLayerOptions) {
    super(1, inChannels, outChannels, kernelSize, options)
  }
}

/**
 * Transposed convolution of `[batch, height, width, in]` to `[batch, height', width', out]`: the adjoint of `Conv2d`, which
 * enlarges by the stride.
 *
 * `weight` is `[height, width, out / groups, in]`, where PyTorch has `[in, out / groups, height, width]`.
 */
export class ConvTranspose2d<const In extends number = number, const Out extends number = number> extends ConvTranspose<2, In, Out> {
  constructor(inChannels: In, outChannels: Out, kernelSize: PerAxis, options?: ConvTransposeLayerOptions) {
    super(2, inChannels, outChannels, kernelSize, options)
  }
}

/** Transposed convolution of `[batch, depth, height, width, in]`; see `ConvTranspose2d`. */
export class ConvTranspose3d<const In extends number = number, const Out extends number = number> extends ConvTranspose<3, In, Out> {
  constructor(inChannels: In, outChannels: Out, kernelSize: PerAxis, options?: ConvTransposeLayerOptions) {
    super(3, inChannels, outChannels, kernelSize, options)
  }
}

import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { type Shape, sizeOf } from '../layout.ts'
import { convTranspose1d, convTranspose2d, convTranspose3d } from '../op/index.ts'
import { type PerAxis, perAxis } from '../op/window.ts'
import type { Checked, ConvOut, InputOf, Result } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { describeConv, show } from './conv.ts'
import { checkCounts, drawBounded } from './draw.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

export interface ConvTransposeLayerOptions {
  /** How far apart the inputs' windows lie in the output. Default 1. */
  readonly stride?: PerAxis
  /** How much the result is cut on both sides. Default 0. */
  readonly padding?: PerAxis
  /** Size added at the end of the result, less than the stride. Default 0. */
  readonly outputPadding?: PerAxis
  readonly dilation?: PerAxis
  readonly groups?: number
  readonly bias?: boolean
  readonly dtype?: DType
}

const ops = { 1: convTranspose1d, 2: convTranspose2d, 3: convTranspose3d }

abstract class ConvTranspose<Rank extends 1 | 2 | 3, In extends number, Out extends number> extends Module {
  declare readonly $out: ConvOut<InputOf<this>, In, Out, Rank>
  readonly inChannels: In
  readonly outChannels: Out
  readonly kernelSize: readonly number[]
  readonly stride: readonly number[]
  readonly padding: readonly number[]
  readonly outputPadding: readonly number[]
  readonly dilation: readonly number[]
  readonly groups: number
  weight: Parameter
  bias: Parameter<[Out]> | null
  readonly #rank: Rank

  constructor(rank: Rank, inChannels: In, outChannels: Out, kernelSize: PerAxis, options: ConvTransposeLayerOptions = {}) {
    super()
    const { groups = 1, bias = true, dtype = 'float32' } = options
    const layer = `ConvTranspose${rank}d`
    checkCounts(layer, { inChannels, outChannels, groups })
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      throw new CotangentError('invalid-argument', {
        op: layer,
        message: `${inChannels} channels in and ${outChannels} out do not split into ${groups} groups`,
        hint: 'groups must divide both.',
      })
    }
    this.#rank = rank
    this.inChannels = inChannels
    this.outChannels = outChannels
    this.kernelSize = perAxis(layer, 'kernelSize', kernelSize, rank, 1)
    this.stride = perAxis(layer, 'stride', options.stride ?? 1, rank, 1)
    this.padding = perAxis(layer, 'padding', options.padding ?? 0, rank, 0)
    this.outputPadding = perAxis(layer, 'outputPadding', options.outputPadding ?? 0, rank, 0)
    this.dilation = perAxis(layer, 'dilation', options.dilation ?? 1, rank, 1)
    this.groups = groups
    const bound = 1 / Math.sqrt((sizeOf(this.kernelSize) * outChannels) / groups)
    this.weight = drawBounded([...this.kernelSize, outChannels / groups, inChannels], bound, dtype)
    this.bias = bias ? drawBounded([outChannels], bound, dtype) : null
  }

  /** `[batch, ...spatial, in]` to `[batch, ...larger, out]`. */
  forward<S extends Shape>(x: Checked<ConvOut<S, In, Out, Rank>, Tensor<S>>): Tensor<Result<ConvOut<S, In, Out, Rank>>>
  forward(x: unknown): unknown {
    const { bias, stride, padding, outputPadding, dilation, groups } = this
    return ops[this.#rank](x as Tensor, this.weight, { bias, stride, padding, outputPadding, dilation, groups })
  }

  override describe(): string {
    return describeConv(this) + (this.outputPadding.some((n) => n !== 0) ? `, outputPadding: ${show(this.outputPadding)}` : '')
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

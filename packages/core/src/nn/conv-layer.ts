import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { type Shape, sizeOf } from '../layout.ts'
import { type PerAxis, perAxis } from '../op/window.ts'
import type { Checked, ConvOut, InputOf, Result } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { showSizes } from './describe.ts'
import { checkCounts, drawBounded } from './draw.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

/** The options that convolutions and transposed convolutions have in common. */
export interface CommonConvOptions {
  /** Steps between windows (of a transposed convolution, in its output); one number, or one a spatial axis. Default 1. */
  readonly stride?: PerAxis
  /** Steps between the elements of a window. Default 1. */
  readonly dilation?: PerAxis
  /** Channels are split into so many groups that do not see each other; as many as channels is depthwise. Default 1. */
  readonly groups?: number
  /** Whether a bias is added (default). */
  readonly bias?: boolean
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

/** Number of axes that a convolution goes over: time; height and width; depth, height and width. */
export type SpatialRank = 1 | 2 | 3

interface ConvSizes<Rank extends SpatialRank, In extends number, Out extends number> {
  /** Of the layer, for errors. */
  readonly name: string
  readonly rank: Rank
  readonly inChannels: In
  readonly outChannels: Out
  readonly kernelSize: PerAxis
  /** Whether its weight is that of the convolution which it is the adjoint of. */
  readonly transposed?: boolean
}

/** What convolutions and transposed convolutions over `Rank` spatial axes share: all but the op. */
export abstract class ConvLayer<Rank extends SpatialRank, In extends number, Out extends number> extends Module {
  declare readonly $out: ConvOut<InputOf<this>, In, Out, Rank>
  /** Number of spatial axes. */
  readonly rank: Rank
  readonly inChannels: In
  readonly outChannels: Out
  readonly kernelSize: readonly number[]
  readonly stride: readonly number[]
  abstract readonly padding: readonly number[] | 'same'
  readonly dilation: readonly number[]
  readonly groups: number
  weight: Parameter
  bias: Parameter<[Out]> | null

  constructor(
    { name, rank, inChannels, outChannels, kernelSize, transposed = false }: ConvSizes<Rank, In, Out>,
    options: CommonConvOptions,
  ) {
    super()
    const { groups = 1, bias = true, dtype = 'float32' } = options
    checkCounts(name, { inChannels, outChannels, groups })
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      throw new CotangentError('invalid-argument', {
        op: name,
        message: `${inChannels} channels in and ${outChannels} out do not split into ${groups} groups`,
        hint: 'groups must divide both.',
      })
    }
    this.rank = rank
    this.inChannels = inChannels
    this.outChannels = outChannels
    this.kernelSize = perAxis(name, 'kernelSize', kernelSize, rank, 1)
    this.stride = perAxis(name, 'stride', options.stride ?? 1, rank, 1)
    this.dilation = perAxis(name, 'dilation', options.dilation ?? 1, rank, 1)
    this.groups = groups
    const [reduced, kept] = transposed ? [outChannels, inChannels] : [inChannels, outChannels]
    const bound = 1 / Math.sqrt((sizeOf(this.kernelSize) * reduced) / groups)
    this.weight = drawBounded([...this.kernelSize, reduced / groups, kept], bound, dtype)
    this.bias = bias ? drawBounded([outChannels], bound, dtype) : null
  }

  /** `[batch, ...spatial, in]` to `[batch, ...spatial', out]`. */
  forward<S extends Shape>(x: Checked<ConvOut<S, In, Out, Rank>, Tensor<S>>): Tensor<Result<ConvOut<S, In, Out, Rank>>>
  forward(x: unknown): unknown {
    return this.convolve(x as Tensor)
  }

  protected abstract convolve(x: Tensor): Tensor

  /** The options that are not the defaults. */
  override describe(): string {
    const { inChannels, outChannels, kernelSize, stride, padding, dilation, groups, bias } = this
    const parts = [String(inChannels), String(outChannels), `kernelSize: ${showSizes(kernelSize)}`]
    if (stride.some((n) => n !== 1)) parts.push(`stride: ${showSizes(stride)}`)
    if (padding === 'same') parts.push("padding: 'same'")
    else if (padding.some((n) => n !== 0)) parts.push(`padding: ${showSizes(padding)}`)
    if (dilation.some((n) => n !== 1)) parts.push(`dilation: ${showSizes(dilation)}`)
    if (groups !== 1) parts.push(`groups: ${groups}`)
    if (!bias) parts.push('bias: false')
    return parts.join(', ')
  }
}

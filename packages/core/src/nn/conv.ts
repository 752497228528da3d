import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { type Shape, sizeOf } from '../layout.ts'
import { conv1d, conv2d, conv3d } from '../op/index.ts'
import { type PerAxis, perAxis } from '../op/window.ts'
import type { Checked, ConvOut, InputOf, Result } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { checkCounts, drawBounded } from './draw.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

export type PaddingMode = 'zeros' | 'reflect' | 'replicate' | 'circular'

export interface ConvLayerOptions {
  /** Steps between windows; one number, or one a spatial axis. Default 1. */
  readonly stride?: PerAxis
  /** How much is added on both sides; `same` keeps the size at stride 1, `valid` (default) is none. */
  readonly padding?: PerAxis | 'same' | 'valid'
  /** What is added. Default zeros. */
  readonly paddingMode?: PaddingMode
  /** Steps between the elements of a window. Default 1. */
  readonly dilation?: PerAxis
  /** Channels are split into so many groups that do not see each other; as many as channels is depthwise. Default 1. */
  readonly groups?: number
  /** Whether a bias is added (default). */
  readonly bias?: boolean
  readonly dtype?: DType
}

const ops = { 1: conv1d, 2: conv2d, 3: conv3d }

/** Convolution over `Rank` spatial axes; see `Conv2d`. */
abstract class Conv<Rank extends 1 | 2 | 3, In extends number, Out extends number> extends Module {
  declare readonly $out: ConvOut<InputOf<this>, In, Out, Rank>
  readonly inChannels: In
  readonly outChannels: Out
  readonly kernelSize: readonly number[]
  readonly stride: readonly number[]
  readonly padding: readonly number[] | 'same'
  readonly paddingMode: PaddingMode
  readonly dilation: readonly number[]
  readonly groups: number
  weight: Parameter
  bias: Parameter<[Out]> | null
  readonly #rank: Rank

  constructor(rank: Rank, inChannels: In, outChannels: Out, kernelSize: PerAxis, options: ConvLayerOptions = {}) {
    super()
    const { padding = 0, groups = 1, bias = true, dtype = 'float32', paddingMode = 'zeros' } = options
    const layer = `Conv${rank}d`
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
    this.dilation = perAxis(layer, 'dilation', options.dilation ?? 1, rank, 1)
    this.padding = padding === 'same' ? padding : perAxis(layer, 'padding', padding === 'valid' ? 0 : padding, rank, 0)
    this.paddingMode = paddingMode
    this.groups = groups
    const bound = 1 / Math.sqrt((sizeOf(this.kernelSize) * inChannels) / groups)
    this.weight = drawBounded([...this.kernelSize, inChannels / groups, outChannels], bound, dtype)
    this.bias = bias ? drawBounded([outChannels], bound, dtype) : null
  }

  /** `[batch, ...spatial, in]` to `[batch, ...spatial, out]`. */
  forward<S extends Shape>(x: Checked<ConvOut<S, In, Out, Rank>, Tensor<S>>): Tensor<Result<ConvOut<S, In, Out, Rank>>>
  forward(given: unknown): unknown {
    const x = given as Tensor
    const { stride, dilation, groups, bias, paddingMode } = this
    if (paddingMode === 'zeros') return ops[this.#rank](x, this.weight, { bias, stride, padding: this.padding, dilation, groups })
    const padded = x.rank === this.#rank + 2 ? x.pad([[0, 0], ...this.#amounts(), [0, 0]], { mode: paddingMode }) : x
    return ops[this.#rank](padded, this.weight, { bias, stride, dilation, groups })
  }

  #amounts(): [number, number][] {
    const { padding, kernelSize, dilation } = this
    if (padding !== 'same') return padding.map((n) => [n, n])
    return kernelSize.map((k, i) => [Math.floor((dilation[i]! * (k - 1)) / 2), Math.ceil((dilation[i]! * (k - 1)) / 2)])
  }

  override describe(): string {
    return (
      describeConv(this, this.padding === 'same' ? "'same'" : undefined) +
      (this.paddingMode === 'zeros' ? '' : `, paddingMode: '${this.paddingMode}'`)
    )
  }

  override macs(_: readonly Shape[], output: Shape): number {
    return (sizeOf(output) * sizeOf(this.kernelSize) * this.inChannels) / this.groups
  }
}

/** The options of a convolution that are not the defaults. */
export function describeConv(
  layer: {
    readonly inChannels: number
    readonly outChannels: number
    readonly kernelSize: readonly number[]
    readonly stride: readonly number[]
    readonly padding: readonly number[] | 'same'
    readonly dilation: readonly number[]
    readonly groups: number
    readonly bias: unknown
  },
  padding?: string,
): string {
  const parts = [String(layer.inChannels), String(layer.outChannels), `kernelSize: ${show(layer.kernelSize)}`]
  if (layer.stride.some((n) => n !== 1)) parts.push(`stride: ${show(layer.stride)}`)
  if (padding) parts.push(`padding: ${padding}`)
  else if ((layer.padding as readonly number[]).some((n) => n !== 0)) parts.push(`padding: ${show(layer.padding as readonly number[])}`)
  if (layer.dilation.some((n) => n !== 1)) parts.push(`dilation: ${show(layer.dilation)}`)
  if (layer.groups !== 1) parts.push(`groups: ${layer.groups}`)
  if (!layer.bias) parts.push('bias: false')
  return parts.join(', ')
}

/** `[3, 3]` as 3, `[3, 5]` as itself. */
export const show = (sizes: readonly number[]): string => (sizes.every((n) => n === sizes[0]) ? String(sizes[0]) : `[${sizes.join(', ')}]`)

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

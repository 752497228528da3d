import type { DType } from '../dtype.ts'
import type { Shape } from '../layout.ts'
import { avgPool1d, groupNorm, layerNorm, pad, rmsNorm } from '../op/index.ts'
import type { InputOf } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { showSizes } from './describe.ts'
import { filledWith } from './draw.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

/** The learnt parts of a normalisation layer, and what keeps it from dividing by 0. */
export interface NormOptions {
  /** Added to the variance, against division by 0. Default 1e-5. */
  readonly eps?: number
  /** Whether there are a learnt factor and summand (default). */
  readonly affine?: boolean
  /** Whether `affine` includes a summand (default). */
  readonly bias?: boolean
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

/** Weights and eps that all norms have. */
abstract class Norm extends Module {
  declare readonly $out: InputOf<this>
  readonly eps: number
  weight: Parameter | null
  bias: Parameter | null

  constructor(shape: Shape, { eps = 1e-5, affine = true, bias = true, dtype = 'float32' }: NormOptions) {
    super()
    this.eps = eps
    this.weight = affine ? filledWith(shape, 1, dtype) : null
    this.bias = affine && bias ? filledWith(shape, 0, dtype) : null
  }

  protected describeWith(size: string): string {
    return size + (this.eps === 1e-5 ? '' : `, eps: ${this.eps}`) + (!this.weight ? ', affine: false' : !this.bias ? ', bias: false' : '')
  }
}

/** Brings the last axes, of `normalizedShape`, to mean 0 and variance 1, then scales and shifts each element. Ba et al., arXiv:1607.06450. */
export class LayerNorm extends Norm {
  readonly normalizedShape: readonly number[]

  constructor(normalizedShape: number | Shape, options: NormOptions = {}) {
    const shape = typeof normalizedShape === 'number' ? [normalizedShape] : [...normalizedShape]
    super(shape, options)
    this.normalizedShape = shape
  }

  forward<S extends Shape>(x: Tensor<S>): Tensor<S> {
    return layerNorm(x, this.normalizedShape, this)
  }

  override describe(): string {
    return this.describeWith(`[${this.normalizedShape.join(', ')}]`)
  }
}

/** Brings each group of channels (the last axis) of each sample to mean 0 and variance 1, then scales and shifts each channel. Wu and He, arXiv:1803.08494. */
export class GroupNorm extends Norm {
  readonly groups: number
  readonly channels: number

  constructor(groups: number, channels: number, options: NormOptions = {}) {
    super([channels], options)
    this.groups = groups
    this.channels = channels
  }

  forward<S extends Shape>(x: Tensor<S>): Tensor<S> {
    return groupNorm(x, this.groups, this)
  }

  override describe(): string {
    return this.describeWith(`${this.groups}, ${this.channels}`)
  }
}

/** Divides the last axes, of `normalizedShape`, by their root mean square, then scales each element. Zhang and Sennrich, arXiv:1910.07467. */
export class RMSNorm extends Module {
  declare readonly $out: InputOf<this>
  readonly normalizedShape: readonly number[]
  /** Added to the mean square; null is the machine precision of the input's dtype. */
  readonly eps: number | null
  weight: Parameter | null

  constructor(
    normalizedShape: number | Shape,
    {
      eps = null,
      affine = true,
      dtype = 'float32',
    }: { readonly eps?: number | null; readonly affine?: boolean; readonly dtype?: DType } = {},
  ) {
    super()
    this.normalizedShape = typeof normalizedShape === 'number' ? [normalizedShape] : [...normalizedShape]
    this.eps = eps
    this.weight = affine ? filledWith(this.normalizedShape, 1, dtype) : null
  }

  forward<S extends Shape>(x: Tensor<S>): Tensor<S> {
    return rmsNorm(x, this.normalizedShape, { weight: this.weight, ...(this.eps !== null && { eps: this.eps }) })
  }

  override describe(): string {
    return `[${this.normalizedShape.join(', ')}]${this.eps === null ? '' : `, eps: ${this.eps}`}${this.weight ? '' : ', affine: false'}`
  }
}

/** Divides by (k + alpha * mean of the squares of `size` neighbouring channels)^beta. Krizhevsky et al. (2012). */
export class LocalResponseNorm extends Module {
  declare readonly $out: InputOf<this>
  readonly size: number
  readonly alpha: number
  readonly beta: number
  readonly k: number

  constructor(
    size: number,
    { alpha = 1e-4, beta = 0.75, k = 1 }: { readonly alpha?: number; readonly beta?: number; readonly k?: number } = {},
  ) {
    super()
    this.size = size
    this.alpha = alpha
    this.beta = beta
    this.k = k
  }

  forward<S extends Shape>(x: Tensor<S>): Tensor<S> {
    const rows: Tensor = (x as unknown as Tensor).reshape([-1, x.shape.at(-1)!, 1])
    const around: [number, number] = [Math.floor(this.size / 2), Math.floor((this.size - 1) / 2)]
    const squares: Tensor = pad(rows.mul(rows), [[0, 0], around, [0, 0]])
    const divisor = avgPool1d(squares, this.size, { stride: 1 }).mul(this.alpha).add(this.k).pow(this.beta)
    return rows.div(divisor).reshape(x.shape as Shape) as unknown as Tensor<S>
  }

  override describe(): string {
    return `${showSizes([this.size])}, alpha: ${this.alpha}, beta: ${this.beta}, k: ${this.k}`
  }
}

import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { embedding, normal } from '../op/index.ts'
import type { EmbeddingOut, InputOf } from '../shape-types.ts'
import { noGrad } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { checkCounts } from './draw.ts'
import { Module } from './module.ts'
import { Parameter } from './parameter.ts'

export interface EmbeddingLayerOptions {
  /** A row that starts as zeros and gets no gradient: that of the padding token. */
  readonly paddingIdx?: number
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

/** A table of `count` vectors of `size`, looked up by integers. Rows start normally distributed, as in PyTorch. */
export class Embedding<const Size extends number = number> extends Module {
  declare readonly $out: EmbeddingOut<InputOf<this>, Size>
  readonly count: number
  readonly size: Size
  readonly paddingIdx: number | undefined
  weight: Parameter<[number, Size]>

  constructor(count: number, size: Size, { paddingIdx, dtype = 'float32' }: EmbeddingLayerOptions = {}) {
    super()
    checkCounts('Embedding', { count, size })
    if (paddingIdx !== undefined && (!Number.isInteger(paddingIdx) || paddingIdx < -count || paddingIdx >= count)) {
      throw new CotangentError('index-out-of-range', {
        op: 'Embedding',
        message: `paddingIdx ${paddingIdx} is not one of ${count} rows`,
        hint: 'Rows are counted from 0.',
      })
    }
    this.count = count
    this.size = size
    this.paddingIdx = paddingIdx !== undefined && paddingIdx < 0 ? paddingIdx + count : paddingIdx
    this.weight = new Parameter(normal([count, size] as Shape, { dtype })) as unknown as Parameter<[number, Size]>
    const padding = this.paddingIdx
    if (padding !== undefined) noGrad(() => (this.weight as Tensor).narrow(0, padding, 1).assign(0))
  }

  /** A layer over given vectors `[count, size]`, which stay as they are unless `freeze` is false. */
  static fromPretrained(
    vectors: Tensor,
    { freeze = true, ...options }: EmbeddingLayerOptions & { readonly freeze?: boolean } = {},
  ): Embedding {
    if (vectors.rank !== 2)
      throw new CotangentError('shape-mismatch', {
        op: 'Embedding',
        message: 'needs vectors [count, size]',
        shapes: [vectors.shape],
        hint: 'Give one vector a row.',
      })
    const layer: Embedding = new Embedding(vectors.shape[0]!, vectors.shape[1]! as number, { ...options, dtype: vectors.dtype })
    layer.weight = new Parameter(vectors.detach(), { requiresGrad: !freeze }) as unknown as Parameter<[number, number]>
    return layer
  }

  /** Indices of any shape to `[...shape, size]`. */
  forward<S extends Shape>(indices: Tensor<S>): Tensor<EmbeddingOut<S, Size>>
  forward(indices: Tensor): Tensor {
    return embedding(this.weight as Tensor, indices, this.paddingIdx === undefined ? {} : { paddingIdx: this.paddingIdx })
  }

  override describe(): string {
    return `${this.count}, ${this.size}${this.paddingIdx === undefined ? '' : `, paddingIdx: ${this.paddingIdx}`}`
  }
}

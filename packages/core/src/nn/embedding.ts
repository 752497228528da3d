import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { embedding, normal, where } from '../op/index.ts'
import type { EmbeddingOut, InputOf } from '../shape-types.ts'
import { noGrad } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { checkCounts } from './draw.ts'
import { Module } from './module.ts'
import { Parameter } from './parameter.ts'

/** How a table of embeddings begins, and what happens to its rows as they are used. */
export interface EmbeddingLayerOptions {
  /** A row that starts as zeros and gets no gradient: that of the padding token. */
  readonly paddingIdx?: number
  /** The norm that no row which is looked up exceeds: longer ones are shortened in the table itself before. Default: any. */
  readonly maxNorm?: number
  /** Which norm `maxNorm` means; default 2. */
  readonly normType?: number
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

/** A table of `count` vectors of `size`, looked up by integers. Rows start normally distributed, as in PyTorch. */
export class Embedding<const Size extends number = number> extends Module {
  declare readonly $out: EmbeddingOut<InputOf<this>, Size>
  readonly count: number
  readonly size: Size
  readonly paddingIdx: number | undefined
  readonly maxNorm: number | undefined
  readonly normType: number
  weight: Parameter<[number, Size]>

  constructor(count: number, size: Size, options: EmbeddingLayerOptions = {}) {
    super()
    const { paddingIdx, maxNorm, normType = 2, dtype = 'float32' } = options
    checkCounts('Embedding', { count, size })
    if (paddingIdx !== undefined && (!Number.isInteger(paddingIdx) || paddingIdx < -count || paddingIdx >= count)) {
      throw new CotangentError('index-out-of-range', {
        op: 'Embedding',
        message: `paddingIdx ${paddingIdx} is not one of ${count} rows`,
        hint: 'Rows are counted from 0.',
      })
    }
    if (!((maxNorm ?? 1) > 0) || !(normType > 0)) {
      throw new CotangentError('invalid-argument', {
        op: 'Embedding',
        message: `maxNorm is ${maxNorm}, normType ${normType}`,
        hint: 'Both are above 0; normType may be Infinity.',
      })
    }
    this.count = count
    this.size = size
    this.maxNorm = maxNorm
    this.normType = normType
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
    if (this.maxNorm !== undefined) this.#shorten(indices, this.maxNorm)
    return embedding(this.weight as Tensor, indices, this.paddingIdx === undefined ? {} : { paddingIdx: this.paddingIdx })
  }

  #shorten(indices: Tensor, maxNorm: number): void {
    noGrad(() => {
      const weight = this.weight as Tensor
      const rows = indices.reshape([-1])
      const vectors: Tensor = embedding(weight, rows)
      const norms: Tensor = vectors.norm({ axis: 1, p: this.normType, keepDims: true })
      const short = where(norms.gt(maxNorm), vectors.mul(norms.add(1e-7).reciprocal().mul(maxNorm)), vectors) as Tensor
      weight.setAt([rows], short)
    })
  }

  override describe(): string {
    const { count, size, paddingIdx, maxNorm, normType } = this
    const said = {
      ...(paddingIdx !== undefined && { paddingIdx }),
      ...(maxNorm !== undefined && { maxNorm }),
      ...(normType !== 2 && { normType }),
    }
    return [count, size, ...Object.entries(said).map(([name, value]) => `${name}: ${value}`)].join(', ')
  }
}

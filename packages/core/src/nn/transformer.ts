import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { gelu, relu, tensor } from '../op/index.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type AttentionMasks, MultiheadAttention } from './attention.ts'
import { Dropout } from './dropout.ts'
import { Linear } from './linear.ts'
import { Module } from './module.ts'
import { LayerNorm } from './norm.ts'
import { Buffer } from './parameter.ts'

/** Sizes and parts of a transformer layer. */
export interface TransformerLayerOptions {
  /** Width of the feed-forward part. Default 2048, as in PyTorch. */
  readonly feedForward?: number
  /** Default 0.1. */
  readonly dropout?: number
  /** Default `relu`. */
  readonly activation?: 'relu' | 'gelu' | ((x: Tensor) => Tensor)
  /** Whether each part is normalised before (pre-norm) instead of after. Default false. */
  readonly normFirst?: boolean
  /** That of the layer norms; default 1e-5. */
  readonly eps?: number
  /** Whether biases are added (default). */
  readonly bias?: boolean
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

/** What encoder and decoder layers share: self-attention, the feed-forward part, residuals around normalised parts. */
abstract class TransformerLayer extends Module {
  readonly selfAttn: MultiheadAttention
  readonly linear1: Linear
  readonly linear2: Linear
  readonly norm1: LayerNorm
  readonly norm2: LayerNorm
  readonly dropout: Dropout
  readonly normFirst: boolean
  readonly #activation: (x: Tensor) => Tensor

  constructor(size: number, heads: number, options: TransformerLayerOptions) {
    super()
    const { feedForward = 2048, dropout = 0.1, activation = 'relu', eps = 1e-5, bias = true, dtype = 'float32' } = options
    this.selfAttn = new MultiheadAttention(size, heads, { dropout, bias, dtype })
    this.linear1 = new Linear(size, feedForward, { bias, dtype })
    this.linear2 = new Linear(feedForward, size, { bias, dtype })
    this.norm1 = new LayerNorm(size, { eps, bias, dtype })
    this.norm2 = new LayerNorm(size, { eps, bias, dtype })
    this.dropout = new Dropout(dropout)
    this.normFirst = options.normFirst ?? false
    this.#activation = activation === 'relu' ? relu : activation === 'gelu' ? gelu : activation
  }

  /** x + part(norm(x)), or norm(x + part(x)). */
  protected residual(x: Tensor, norm: LayerNorm, part: (x: Tensor) => Tensor): Tensor {
    if (this.normFirst) return x.add(this.dropout.forward(part(norm.forward(x))))
    return norm.forward(x.add(this.dropout.forward(part(x))) as Tensor)
  }

  protected feedForward(x: Tensor): Tensor {
    return this.linear2.forward(this.dropout.forward(this.#activation(this.linear1.forward(x) as Tensor))) as Tensor
  }

  override describe(): string {
    return this.normFirst ? 'normFirst: true' : ''
  }
}

/** Self-attention and a feed-forward part, each within a residual. Vaswani et al., arXiv:1706.03762. */
export class TransformerEncoderLayer extends TransformerLayer {
  constructor(size: number, heads: number, options: TransformerLayerOptions = {}) {
    super(size, heads, options)
  }

  /** `[batch, length, size]` to the same shape. */
  forward(x: Tensor, masks: AttentionMasks = {}): Tensor {
    const attended = this.residual(x, this.norm1, (y) => this.selfAttn.forward(y, y, y, masks))
    return this.residual(attended, this.norm2, (y) => this.feedForward(y))
  }
}

/** What the two attentions of a decoder layer may not look at. */
export interface DecoderMasks {
  /** For the self-attention over the targets; usually `{ causal: true }`. */
  readonly target?: AttentionMasks
  /** For the attention over the encoder's output. */
  readonly memory?: AttentionMasks
}

/** Self-attention, attention over the encoder's output and a feed-forward part, each within a residual. Vaswani et al., arXiv:1706.03762. */
export class TransformerDecoderLayer extends TransformerLayer {
  readonly crossAttn: MultiheadAttention
  readonly norm3: LayerNorm

  constructor(size: number, heads: number, options: TransformerLayerOptions = {}) {
    super(size, heads, options)
    const { dropout = 0.1, eps = 1e-5, bias = true, dtype = 'float32' } = options
    this.crossAttn = new MultiheadAttention(size, heads, { dropout, bias, dtype })
    this.norm3 = new LayerNorm(size, { eps, bias, dtype })
  }

  /** Targets `[batch, length, size]` and the encoder's output `[batch, sources, size]` to the targets' shape. */
  forward(x: Tensor, memory: Tensor, { target = {}, memory: ofMemory = {} }: DecoderMasks = {}): Tensor {
    const own = this.residual(x, this.norm1, (y) => this.selfAttn.forward(y, y, y, target))
    const seen = this.residual(own, this.norm2, (y) => this.crossAttn.forward(y, memory, memory, ofMemory))
    return this.residual(seen, this.norm3, (y) => this.feedForward(y))
  }
}

/** Encoder layers one after the other, and a last norm if given one: `new TransformerEncoder(6, () => new TransformerEncoderLayer(512, 8))`. */
export class TransformerEncoder extends Module {
  readonly layers: readonly TransformerEncoderLayer[]
  readonly norm: LayerNorm | null

  /** @param makeLayer Called once a layer, so that each has initial values of its own (PyTorch copies one layer). */
  constructor(layers: number, makeLayer: () => TransformerEncoderLayer, norm: LayerNorm | null = null) {
    super()
    this.layers = Array.from({ length: layers }, makeLayer)
    this.norm = norm
  }

  forward(x: Tensor, masks: AttentionMasks = {}): Tensor {
    const y = this.layers.reduce((value, layer) => layer.forward(value, masks), x)
    return this.norm ? this.norm.forward(y) : y
  }
}

/** Decoder layers one after the other, and a last norm if given one. */
export class TransformerDecoder extends Module {
  readonly layers: readonly TransformerDecoderLayer[]
  readonly norm: LayerNorm | null

  /** @param makeLayer Called once a layer, so that each has initial values of its own (PyTorch copies one layer). */
  constructor(layers: number, makeLayer: () => TransformerDecoderLayer, norm: LayerNorm | null = null) {
    super()
    this.layers = Array.from({ length: layers }, makeLayer)
    this.norm = norm
  }

  forward(x: Tensor, memory: Tensor, masks: DecoderMasks = {}): Tensor {
    const y = this.layers.reduce((value, layer) => layer.forward(value, memory, masks), x)
    return this.norm ? this.norm.forward(y) : y
  }
}

/** Adds sines and cosines of the position to `[batch, length, size]`, then drops out. Vaswani et al., arXiv:1706.03762, section 3.5. */
export class PositionalEncoding extends Module {
  readonly maxLength: number
  readonly table: Buffer
  readonly dropout: Dropout

  constructor(
    size: number,
    {
      maxLength = 5000,
      dropout = 0,
      dtype = 'float32',
    }: { readonly maxLength?: number; readonly dropout?: number; readonly dtype?: DType } = {},
  ) {
    super()
    this.maxLength = maxLength
    this.dropout = new Dropout(dropout)
    const values = Float64Array.from({ length: maxLength * size }, (_, i) => {
      const [position, column] = [Math.floor(i / size), i % size]
      const angle = position / 10000 ** ((column - (column % 2)) / size)
      return column % 2 === 0 ? Math.sin(angle) : Math.cos(angle)
    })
    this.table = new Buffer(tensor(values, { shape: [maxLength, size], dtype }) as Tensor, { persistent: false })
  }

  forward(x: Tensor): Tensor {
    const [length, size] = x.shape.slice(-2) as [number, number]
    if (x.rank < 2 || length > this.maxLength || size !== this.table.shape[1]) {
      throw new CotangentError('shape-mismatch', {
        op: 'PositionalEncoding',
        message: `needs [batch, at most ${this.maxLength}, ${this.table.shape[1]}]`,
        shapes: [x.shape],
      })
    }
    return this.dropout.forward(x.add((this.table as Tensor).narrow(0, 0, length)) as Tensor)
  }

  override describe(): string {
    return `${this.table.shape[1]}, maxLength: ${this.maxLength}`
  }
}

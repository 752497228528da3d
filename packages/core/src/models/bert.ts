import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { Dropout } from '../nn/dropout.ts'
import { Embedding } from '../nn/embedding.ts'
import { normal, zeros } from '../nn/init.ts'
import { Linear } from '../nn/linear.ts'
import { Module } from '../nn/module.ts'
import { LayerNorm } from '../nn/norm.ts'
import { Parameter } from '../nn/parameter.ts'
import { arange, gelu, relu, scaledDotProductAttention, tanh, zeros as zerosOf } from '../op/index.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { PyTorchNames } from './pytorch-names.ts'

/** The sizes of a BERT encoder. The defaults are those of bert-base-uncased. */
export interface BertConfig {
  /** Number of word pieces. Default 30522, those of bert-base-uncased. */
  readonly vocabulary?: number
  /** Longest sequence. Default 512. */
  readonly positions?: number
  /** Kinds of segments. Default 2. */
  readonly segments?: number
  /** Width of the hidden states. Default 768. */
  readonly width?: number
  /** Default 12. */
  readonly layers?: number
  /** Heads of each attention; they divide `width`. Default 12. */
  readonly heads?: number
  /** Width within the feed-forward parts. Default 3072. */
  readonly feedForward?: number
  /** Between them. Default `gelu`, the exact one. */
  readonly activation?: 'gelu' | 'relu'
  /** Probability of dropping hidden values, while training. Default 0.1. */
  readonly dropout?: number
  /** Probability of dropping attention weights, while training. Default that of `dropout`. */
  readonly attentionDropout?: number
  /** That of the layer norms; default 1e-12. */
  readonly eps?: number
  /** The word piece whose embedding stays 0 and gets no gradient. Default 0. */
  readonly padding?: number
  /** Whether there is the last linear layer that makes `pooled`. Default true. */
  readonly pooler?: boolean
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

type Config = Required<BertConfig>

/** The configuration of BERT-base, with what is given in its place. */
function configOf(config: BertConfig): Config {
  const full: Config = {
    vocabulary: 30522,
    positions: 512,
    segments: 2,
    width: 768,
    layers: 12,
    heads: 12,
    feedForward: 3072,
    activation: 'gelu',
    dropout: 0.1,
    attentionDropout: config.dropout ?? 0.1,
    eps: 1e-12,
    padding: 0,
    pooler: true,
    dtype: 'float32',
    ...config,
  }
  if (full.width % full.heads !== 0)
    throw new CotangentError('invalid-argument', {
      op: 'Bert',
      message: `width ${full.width} does not split into ${full.heads} heads`,
      hint: 'heads must divide width.',
    })
  return full
}

/** What goes into a BERT encoder besides tokens. Without a mask padding is attended to like words. */
export interface BertInputs {
  /** `[batch, length]`: 1 (or true) where there is a token and 0 where there is padding, which nothing attends to. Default: all tokens. */
  readonly attentionMask?: Tensor
  /** `[batch, length]`: which segment each token is of. Default: all of the first. */
  readonly segments?: Tensor
}

// Modules and fields are called as in checkpoints of the transformers library, but for the case of letters.

const layerNormNames = { layerNorm: 'LayerNorm' } as const

/** What the parts of a layer end with: a linear layer and dropout, added to the input, normalised. */
class Residual extends Module implements PyTorchNames {
  readonly dense: Linear
  readonly layerNorm: LayerNorm
  readonly dropout: Dropout
  readonly pytorchNames = layerNormNames

  constructor(from: number, { width, eps, dropout, dtype }: Config) {
    super()
    this.dense = new Linear(from, width, { dtype })
    this.layerNorm = new LayerNorm(width, { eps, dtype })
    this.dropout = new Dropout(dropout)
  }

  forward(x: Tensor, shortcut: Tensor): Tensor {
    return this.layerNorm.forward(this.dropout.forward(this.dense.forward(x) as Tensor).add(shortcut) as Tensor)
  }
}

class Embeddings extends Module implements PyTorchNames {
  readonly wordEmbeddings: Embedding
  readonly positionEmbeddings: Embedding
  readonly tokenTypeEmbeddings: Embedding
  readonly layerNorm: LayerNorm
  readonly dropout: Dropout
  readonly pytorchNames = layerNormNames

  constructor({ vocabulary, positions, segments, width, padding, eps, dropout, dtype }: Config) {
    super()
    this.wordEmbeddings = new Embedding(vocabulary, width, { paddingIdx: padding, dtype }) as Embedding
    this.positionEmbeddings = new Embedding(positions, width, { dtype }) as Embedding
    this.tokenTypeEmbeddings = new Embedding(segments, width, { dtype }) as Embedding
    this.layerNorm = new LayerNorm(width, { eps, dtype })
    this.dropout = new Dropout(dropout)
  }

  forward(tokens: Tensor, segments: Tensor | undefined): Tensor {
    const length = tokens.shape.at(-1)!
    if (tokens.rank !== 2 || length > this.positionEmbeddings.count)
      throw new CotangentError('shape-mismatch', {
        op: 'Bert',
        message: `needs tokens [batch, at most ${this.positionEmbeddings.count}]`,
        shapes: [tokens.shape],
        hint: 'Cut longer texts into parts.',
      })
    const words: Tensor = this.wordEmbeddings.forward(tokens)
    const places: Tensor = this.positionEmbeddings.forward(arange(length) as Tensor)
    const kinds: Tensor = this.tokenTypeEmbeddings.forward(segments ?? (zerosOf([1, length], { dtype: 'int32' }) as Tensor))
    return this.dropout.forward(this.layerNorm.forward(words.add(kinds).add(places) as Tensor))
  }
}

class SelfAttention extends Module {
  readonly query: Linear
  readonly key: Linear
  readonly value: Linear
  readonly #heads: number
  readonly #dropout: number

  constructor({ width, heads, attentionDropout, dtype }: Config) {
    super()
    this.query = new Linear(width, width, { dtype })
    this.key = new Linear(width, width, { dtype })
    this.value = new Linear(width, width, { dtype })
    this.#heads = heads
    this.#dropout = attentionDropout
  }

  forward(x: Tensor, mask: Tensor | null): Tensor {
    const [batch, length, width] = x.shape as readonly [number, number, number]
    const split = (y: Tensor): Tensor => y.reshape([batch, length, this.#heads, width / this.#heads]).transpose(1, 2)
    const [q, k, v] = [this.query, this.key, this.value].map((layer) => split(layer.forward(x) as Tensor)) as [Tensor, Tensor, Tensor]
    const attended: Tensor = scaledDotProductAttention(q, k, v, { mask, dropout: this.training ? this.#dropout : 0 })
    return attended.transpose(1, 2).reshape(x.shape)
  }
}

class Attention extends Module {
  readonly self: SelfAttention
  readonly output: Residual

  constructor(config: Config) {
    super()
    this.self = new SelfAttention(config)
    this.output = new Residual(config.width, config)
  }

  forward(x: Tensor, mask: Tensor | null): Tensor {
    return this.output.forward(this.self.forward(x, mask), x)
  }
}

/** A linear layer and an activation. */
class Intermediate extends Module {
  readonly dense: Linear
  readonly #activation: (x: Tensor) => Tensor

  constructor(from: number, to: number, activation: (x: Tensor) => Tensor, dtype: DType) {
    super()
    this.dense = new Linear(from, to, { dtype })
    this.#activation = activation
  }

  forward(x: Tensor): Tensor {
    return this.#activation(this.dense.forward(x) as Tensor)
  }
}

const activationOf = ({ activation }: Config): ((x: Tensor) => Tensor) => (activation === 'gelu' ? gelu : relu)

class Layer extends Module {
  readonly attention: Attention
  readonly intermediate: Intermediate
  readonly output: Residual

  constructor(config: Config) {
    super()
    this.attention = new Attention(config)
    this.intermediate = new Intermediate(config.width, config.feedForward, activationOf(config), config.dtype)
    this.output = new Residual(config.feedForward, config)
  }

  forward(x: Tensor, mask: Tensor | null): Tensor {
    const attended = this.attention.forward(x, mask)
    return this.output.forward(this.intermediate.forward(attended), attended)
  }
}

class Encoder extends Module {
  readonly layer: readonly Layer[]

  constructor(config: Config) {
    super()
    this.layer = Array.from({ length: config.layers }, () => new Layer(config))
  }

  forward(x: Tensor, mask: Tensor | null): Tensor {
    return this.layer.reduce((h, layer) => layer.forward(h, mask), x)
  }
}

/** What BERT makes of a batch of token sequences. */
export interface BertOutput {
  /** Of every token: `[batch, length, width]`. */
  readonly hidden: Tensor
  /** Of the first token, through a linear layer and tanh: `[batch, width]`; null without `pooler`. */
  readonly pooled: Tensor | null
}

/**
 * Encoder of texts whose every token sees all others. Devlin et al., arXiv:1810.04805. Without options it is BERT-base: 12 layers
 * of width 768, 110 million parameters; `{ width: 1024, layers: 24, heads: 16, feedForward: 4096 }` is BERT-large.
 *
 * Parts are called as in the transformers library, so that its weights can be loaded: `loadPyTorchState(new Bert(), weights)`.
 */
export class Bert extends Module implements PyTorchNames {
  readonly embeddings: Embeddings
  readonly encoder: Encoder
  readonly pooler: Intermediate | null
  readonly pytorchPrefix = 'bert.'

  constructor(config: BertConfig = {}) {
    super()
    const full = configOf(config)
    this.embeddings = new Embeddings(full)
    this.encoder = new Encoder(full)
    this.pooler = full.pooler ? new Intermediate(full.width, full.width, tanh, full.dtype) : null
    drawWeights(this)
  }

  /** Word pieces as int32 `[batch, length]` to hidden states. */
  forward(tokens: Tensor, { attentionMask, segments }: BertInputs = {}): BertOutput {
    const mask: Tensor | null = attentionMask ? attentionMask.ne(0).unsqueeze([1, 2]) : null
    const hidden = this.encoder.forward(this.embeddings.forward(tokens, segments), mask)
    return { hidden, pooled: this.pooler ? this.pooler.forward(hidden.select(1, 0)) : null }
  }
}

/** Normal with standard deviation 0.02, as published; biases start at 0. */
function drawWeights(model: Module): void {
  for (const module of model.modules()) {
    if (module instanceof Linear || module instanceof Embedding) normal(module.weight as Tensor, { std: 0.02 })
    if (module instanceof Linear && module.bias) zeros(module.bias as Tensor)
    if (module instanceof Embedding && module.paddingIdx !== undefined)
      zeros((module.weight as Tensor).detach().narrow(0, module.paddingIdx, 1))
  }
}

/** A linear layer, the activation and a norm: what comes before the words in `BertForMaskedLM`. */
class Transform extends Module implements PyTorchNames {
  readonly dense: Linear
  readonly layerNorm: LayerNorm
  readonly pytorchNames = layerNormNames
  readonly #activation: (x: Tensor) => Tensor

  constructor(config: Config) {
    super()
    this.dense = new Linear(config.width, config.width, { dtype: config.dtype })
    this.layerNorm = new LayerNorm(config.width, { eps: config.eps, dtype: config.dtype })
    this.#activation = activationOf(config)
  }

  forward(x: Tensor): Tensor {
    return this.layerNorm.forward(this.#activation(this.dense.forward(x) as Tensor))
  }
}

class Predictions extends Module {
  readonly transform: Transform
  readonly bias: Parameter

  constructor(config: Config) {
    super()
    this.transform = new Transform(config)
    this.bias = new Parameter(zerosOf([config.vocabulary], { dtype: config.dtype }) as Tensor)
  }

  /** Scores of all words, by the very vectors that embed them. */
  forward(hidden: Tensor, words: Tensor): Tensor {
    return this.transform.forward(hidden).matmul(words.transpose()).add(this.bias)
  }
}

/** BERT that tells which word belongs in each place. */
export class BertForMaskedLM extends Module implements PyTorchNames {
  readonly bert: Bert
  readonly cls: { readonly predictions: Predictions }
  /** Checkpoints repeat what is tied, and hold what only the other task of pretraining needs. */
  readonly pytorchExtras = /^cls\.(predictions\.decoder|seq_relationship)\.|^bert\.pooler\./

  constructor(config: BertConfig = {}) {
    super()
    this.bert = new Bert({ ...config, pooler: false })
    this.cls = { predictions: new Predictions(configOf(config)) }
    drawWeights(this.cls.predictions)
  }

  /** Word pieces as int32 `[batch, length]` to logits `[batch, length, vocabulary]`. */
  forward(tokens: Tensor, inputs: BertInputs = {}): Tensor {
    return this.cls.predictions.forward(this.bert.forward(tokens, inputs).hidden, this.bert.embeddings.wordEmbeddings.weight as Tensor)
  }
}

/** BERT that sorts whole texts into classes. */
export class BertForSequenceClassification extends Module {
  readonly bert: Bert
  readonly dropout: Dropout
  readonly classifier: Linear

  constructor(classes: number, config: BertConfig = {}) {
    super()
    const { width, dropout, dtype } = configOf(config)
    this.bert = new Bert({ ...config, pooler: true })
    this.dropout = new Dropout(dropout)
    this.classifier = new Linear(width, classes, { dtype })
    drawWeights(this.classifier)
  }

  /** Word pieces as int32 `[batch, length]` to logits `[batch, classes]`. */
  forward(tokens: Tensor, inputs: BertInputs = {}): Tensor {
    return this.classifier.forward(this.dropout.forward(this.bert.forward(tokens, inputs).pooled!)) as Tensor
  }
}

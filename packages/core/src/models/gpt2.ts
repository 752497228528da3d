import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { Dropout } from '../nn/dropout.ts'
import { Embedding } from '../nn/embedding.ts'
import { normal, zeros } from '../nn/init.ts'
import { Linear } from '../nn/linear.ts'
import { Module } from '../nn/module.ts'
import { LayerNorm } from '../nn/norm.ts'
import { arange, gelu, scaledDotProductAttention } from '../op/index.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { CachedLanguageModel } from './generation.ts'
import { KvCache } from './kv-cache.ts'
import type { PyTorchNames } from './pytorch-names.ts'

/** Sizes of a GPT-2; the defaults are those of the small one (124 million parameters). */
export interface Gpt2Config {
  /** Number of tokens. Default 50257. */
  readonly vocabulary?: number
  /** Longest sequence. Default 1024. */
  readonly positions?: number
  /** Width of the hidden states. Default 768. */
  readonly width?: number
  /** Default 12. */
  readonly layers?: number
  /** Heads of each attention; they divide `width`. Default 12. */
  readonly heads?: number
  /** Width within the feed-forward parts. Default four times `width`. */
  readonly feedForward?: number
  /** Probability of dropping embeddings, attention weights and what is added to the residual, while training. Default 0.1. */
  readonly dropout?: number
  /** That of the layer norms; default 1e-5. */
  readonly eps?: number
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

type Config = Required<Gpt2Config>

/** Where new tokens stand, behind those of a cache. */
interface Context {
  readonly cache: KvCache
  /** int32 `[]`. */
  readonly position: Tensor
  /** `[new, capacity]`. */
  readonly mask: Tensor
}

/** `Linear`, which GPT-2's checkpoints call a convolution of one element: its weight is `[in, out]` there too. */
export class Conv1D extends Linear {}

class Attention extends Module {
  /** Queries, keys and values in one product. */
  readonly cAttn: Conv1D
  readonly cProj: Conv1D
  readonly #heads: number
  readonly #dropout: number

  constructor({ width, heads, dropout, dtype }: Config) {
    super()
    this.cAttn = new Conv1D(width, 3 * width, { dtype })
    this.cProj = new Conv1D(width, width, { dtype })
    this.#heads = heads
    this.#dropout = dropout
  }

  forward(x: Tensor, layer: number, context: Context | undefined): Tensor {
    const [batch, length, width] = x.shape as readonly [number, number, number]
    const split = (y: Tensor): Tensor => y.reshape([batch, length, this.#heads, width / this.#heads]).transpose(1, 2)
    const all = this.cAttn.forward(x) as Tensor
    const [q, k, v] = [0, 1, 2].map((i) => split(all.narrow(-1, i * width, width))) as [Tensor, Tensor, Tensor]
    const dropout = this.training ? this.#dropout : 0
    let attended: Tensor
    if (context) {
      const [keys, values] = context.cache.extend(layer, k, v, context.position)
      attended = scaledDotProductAttention(q, keys, values, { mask: context.mask, dropout })
    } else attended = scaledDotProductAttention(q, k, v, { causal: true, dropout })
    return this.cProj.forward(attended.transpose(1, 2).reshape(x.shape)) as Tensor
  }
}

class FeedForward extends Module {
  readonly cFc: Conv1D
  readonly cProj: Conv1D

  constructor({ width, feedForward, dtype }: Config) {
    super()
    this.cFc = new Conv1D(width, feedForward, { dtype })
    this.cProj = new Conv1D(feedForward, width, { dtype })
  }

  forward(x: Tensor): Tensor {
    return this.cProj.forward(gelu(this.cFc.forward(x) as Tensor, { approximate: 'tanh' })) as Tensor
  }
}

class Block extends Module implements PyTorchNames {
  readonly ln1: LayerNorm
  readonly attn: Attention
  readonly ln2: LayerNorm
  readonly mlp: FeedForward
  readonly dropout: Dropout
  readonly pytorchNames = { ln1: 'ln_1', ln2: 'ln_2' } as const

  constructor(config: Config) {
    super()
    const { width, eps, dropout, dtype } = config
    this.ln1 = new LayerNorm(width, { eps, dtype })
    this.attn = new Attention(config)
    this.ln2 = new LayerNorm(width, { eps, dtype })
    this.mlp = new FeedForward(config)
    this.dropout = new Dropout(dropout)
  }

  forward(x: Tensor, layer: number, context: Context | undefined): Tensor {
    const attended: Tensor = x.add(this.dropout.forward(this.attn.forward(this.ln1.forward(x), layer, context)))
    return attended.add(this.dropout.forward(this.mlp.forward(this.ln2.forward(attended))))
  }
}

/**
 * Decoder that continues texts. Radford et al., "Language Models are Unsupervised Multitask Learners" (2019). Without options it is
 * GPT-2 small: 12 layers of width 768, 124 million parameters; medium is `{ width: 1024, layers: 24, heads: 16 }`, large
 * `{ width: 1280, layers: 36, heads: 20 }`, XL `{ width: 1600, layers: 48, heads: 25 }`.
 *
 * Parts are called as in the transformers library, so that its weights can be loaded: `loadPyTorchState(new Gpt2(), weights)`.
 * `TextGenerator` writes texts with it.
 */
export class Gpt2 extends Module implements CachedLanguageModel, PyTorchNames {
  readonly wte: Embedding
  readonly wpe: Embedding
  readonly h: readonly Block[]
  readonly lnF: LayerNorm
  readonly dropout: Dropout
  readonly pytorchPrefix = 'transformer.'
  /** Masks, and the head, whose weight is that of `wte`. */
  readonly pytorchExtras = /\.attn\.(masked_)?bias$|^lm_head\.weight$/
  readonly #config: Config

  constructor(config: Gpt2Config = {}) {
    super()
    const width = config.width ?? 768
    const full: Config = {
      vocabulary: 50257,
      positions: 1024,
      width,
      layers: 12,
      heads: 12,
      feedForward: 4 * width,
      dropout: 0.1,
      eps: 1e-5,
      dtype: 'float32',
      ...config,
    }
    const { vocabulary, positions, layers, heads, eps, dropout, dtype } = full
    if (width % heads !== 0)
      throw new CotangentError('invalid-argument', {
        op: 'Gpt2',
        message: `width ${width} does not split into ${heads} heads`,
        hint: 'heads must divide width.',
      })
    this.#config = full
    this.wte = new Embedding(vocabulary, width, { dtype }) as Embedding
    this.wpe = new Embedding(positions, width, { dtype }) as Embedding
    this.h = Array.from({ length: layers }, () => new Block(full))
    this.lnF = new LayerNorm(width, { eps, dtype })
    this.dropout = new Dropout(dropout)
    this.#drawWeights()
  }

  get positions(): number {
    return this.#config.positions
  }

  /** Normal with standard deviation 0.02, smaller where branches add to the residual, whose variance would grow with depth. */
  #drawWeights(): void {
    for (const [name, module] of this.namedModules()) {
      if (!(module instanceof Linear || module instanceof Embedding)) continue
      normal(module.weight as Tensor, { std: name.endsWith('cProj') ? 0.02 / Math.sqrt(2 * this.h.length) : 0.02 })
      if (module instanceof Linear && module.bias) zeros(module.bias as Tensor)
    }
  }

  /** Tokens as int32 `[batch, length]` to logits of the tokens that follow each, `[batch, length, vocabulary]`. */
  forward(tokens: Tensor): Tensor {
    return this.#logits(this.#hidden(tokens, undefined))
  }

  /** An empty cache of keys and values, for `batch` texts of at most `capacity` tokens. */
  newCache(batch: number, capacity: number): KvCache {
    const { layers, heads, width, dtype } = this.#config
    return new KvCache({ layers, batch, heads, capacity, headSize: width / heads, dtype })
  }

  next(tokens: Tensor, { cache, position, last }: { cache: KvCache; position: Tensor; last: Tensor }): Tensor {
    const hidden = this.#hidden(tokens, { cache, position, mask: cache.visible(tokens.shape[1]!, position) })
    return this.#logits(tokens.shape[1] === 1 ? hidden.select(1, 0) : hidden.at(':', last))
  }

  #hidden(tokens: Tensor, context: Context | undefined): Tensor {
    const length = tokens.shape.at(-1)!
    if (tokens.rank !== 2 || length > this.positions)
      throw new CotangentError('shape-mismatch', {
        op: 'Gpt2',
        message: `needs tokens [batch, at most ${this.positions}]`,
        shapes: [tokens.shape],
        hint: 'Cut what is further back.',
      })
    const numbers = arange(length) as Tensor
    const places: Tensor = this.wpe.forward(context ? numbers.add(context.position) : numbers)
    const embedded = this.dropout.forward((this.wte.forward(tokens) as Tensor).add(places) as Tensor)
    return this.lnF.forward(this.h.reduce((x, block, layer) => block.forward(x, layer, context), embedded))
  }

  /** By the very vectors that embed tokens. */
  #logits(hidden: Tensor): Tensor {
    return hidden.matmul((this.wte.weight as Tensor).transpose())
  }
}

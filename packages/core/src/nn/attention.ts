import type { DType } from '../dtype.ts'
import { isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { attentionWeights, dropout, linear, matmul, scaledDotProductAttention, where } from '../op/index.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { checkCounts, filledWith } from './draw.ts'
import { xavierUniform, zeros as zeroOut } from './init.ts'
import { Linear } from './linear.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

/** Biases, dropout and dtype of an attention layer, and the sizes of keys and values where they are not the queries'. */
export interface MultiheadAttentionOptions {
  /** Probability of dropping an attention weight while training. Default 0. */
  readonly dropout?: number
  /** Whether biases are added (default). */
  readonly bias?: boolean
  /** Size of the keys, where it is not the queries'. */
  readonly kdim?: number
  /** Size of the values, where it is not the queries'. */
  readonly vdim?: number
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

/** What attention may not look at. */
export interface AttentionMasks {
  /** `[batch, keys]`: true where a key is padding and must be ignored; float values are added to the scores. */
  readonly keyPaddingMask?: Tensor | null
  /** `[queries, keys]` or `[batch * heads, queries, keys]`: true where a query must not see a key; float values are added to the scores. */
  readonly attnMask?: Tensor | null
  /** Whether query i sees keys up to i only, without a mask in memory. */
  readonly causal?: boolean
}

/** Masks of a call of `MultiheadAttention`, and what it returns of the weights. */
export interface AttentionCall extends AttentionMasks {
  /** Whether to return the attention weights too. Default false, unlike PyTorch. */
  readonly needWeights?: boolean
  /** Whether the weights are the mean over heads (default) or `[batch, heads, queries, keys]`. */
  readonly averageWeights?: boolean
}

/**
 * Attention of several heads, batch first. Vaswani et al., arXiv:1706.03762. Masks mean what PyTorch's module means by them: true is
 * masked out.
 *
 * `inProjWeight` is `[size, 3 * size]` (queries, keys, values), the transpose of PyTorch's; with `kdim` or `vdim` there are
 * `qProjWeight`, `kProjWeight` and `vProjWeight` instead, `[in, size]` each.
 */
export class MultiheadAttention extends Module {
  readonly size: number
  readonly heads: number
  readonly dropout: number
  inProjWeight: Parameter | null
  qProjWeight: Parameter | null
  kProjWeight: Parameter | null
  vProjWeight: Parameter | null
  inProjBias: Parameter | null
  readonly outProj: Linear

  constructor(size: number, heads: number, options: MultiheadAttentionOptions = {}) {
    super()
    const { kdim = size, vdim = size, bias = true, dtype = 'float32' } = options
    checkCounts('MultiheadAttention', { size, heads, kdim, vdim })
    if (size % heads !== 0)
      throw new CotangentError('invalid-argument', { op: 'MultiheadAttention', message: `size ${size} does not split into ${heads} heads` })
    this.size = size
    this.heads = heads
    this.dropout = options.dropout ?? 0
    const joint = kdim === size && vdim === size
    const weight = (from: number, to: number): Parameter => xavierUniform(filledWith([from, to] as Shape, 0, dtype))
    this.inProjWeight = joint ? weight(size, 3 * size) : null
    this.qProjWeight = joint ? null : weight(size, size)
    this.kProjWeight = joint ? null : weight(kdim, size)
    this.vProjWeight = joint ? null : weight(vdim, size)
    this.inProjBias = bias ? filledWith([3 * size] as Shape, 0, dtype) : null
    this.outProj = new Linear(size, size, { bias, dtype })
    if (this.outProj.bias) zeroOut(this.outProj.bias as unknown as Tensor)
  }

  /** Queries `[batch, queries, size]`, keys `[batch, keys, kdim]` and values `[batch, keys, vdim]` to `[batch, queries, size]`. */
  forward(query: Tensor, key?: Tensor, value?: Tensor, options?: AttentionCall & { readonly needWeights?: false }): Tensor
  forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    options: AttentionCall & { readonly needWeights: true },
  ): [output: Tensor, weights: Tensor]
  forward(query: Tensor, key: Tensor = query, value: Tensor = key, options: AttentionCall = {}): Tensor | [Tensor, Tensor] {
    this.#check(query, key, value)
    const [q, k, v] = this.#project(query, key, value).map((x) => this.#split(x)) as [Tensor, Tensor, Tensor]
    const mask = this.#mask(options, query.shape[0]!)
    const causal = options.causal ?? false
    const p = this.training ? this.dropout : 0
    const project = (attended: Tensor): Tensor => this.outProj.forward(attended.transpose(1, 2).reshape(query.shape))
    if (!options.needWeights) return project(scaledDotProductAttention(q, k, v, { mask, causal, dropout: p }))
    const weights = attentionWeights(matmul(q, k.transpose() as Tensor), { scale: 1 / Math.sqrt(this.size / this.heads), causal, mask })
    const output = project(matmul(p > 0 ? dropout(weights, p) : weights, v))
    return [output, (options.averageWeights ?? true) ? weights.mean(1) : weights]
  }

  /** The three projections; of one product where queries, keys and values are the same tensor. */
  #project(query: Tensor, key: Tensor, value: Tensor): Tensor[] {
    const { size, inProjWeight: joint, inProjBias: bias } = this
    const part = (all: Tensor, i: number): Tensor => all.narrow(-1, i * size, size)
    if (joint && query === key && key === value) {
      const all = linear(query, joint, bias)
      return [0, 1, 2].map((i) => part(all, i))
    }
    const weights = joint ? [0, 1, 2].map((i) => part(joint, i)) : [this.qProjWeight!, this.kProjWeight!, this.vProjWeight!]
    return [query, key, value].map((x, i) => linear(x, weights[i]!, bias && part(bias, i)))
  }

  /** `[batch, length, size]` to `[batch, heads, length, size / heads]`. */
  #split(x: Tensor): Tensor {
    return x.reshape([x.shape[0]!, x.shape[1]!, this.heads, this.size / this.heads]).transpose(1, 2)
  }

  /** Both masks as one: bool (true where allowed) or float (added), broadcast to `[batch, heads, queries, keys]`. */
  #mask({ keyPaddingMask, attnMask }: AttentionMasks, batch: number): Tensor | null {
    const padding: Tensor | null = keyPaddingMask ? keyPaddingMask.unsqueeze([1, 2]) : null
    const pairs: Tensor | null = attnMask
      ? attnMask.rank === 3
        ? attnMask.reshape([batch, this.heads, ...attnMask.shape.slice(1)])
        : attnMask
      : null
    const masks = [padding, pairs].filter((m) => m !== null)
    if (masks.length === 0) return null
    if (masks.every((m) => m.dtype === 'bool')) return masks.reduce((a, b) => a.logicalOr(b)).logicalNot()
    return masks.map((m) => (isFloat(m.dtype) ? m : (where(m, Number.NEGATIVE_INFINITY, 0) as Tensor))).reduce((a, b): Tensor => a.add(b))
  }

  #check(query: Tensor, key: Tensor, value: Tensor): void {
    const sizes = this.inProjWeight
      ? [this.size, this.size, this.size]
      : [this.size, this.kProjWeight!.shape[0]!, this.vProjWeight!.shape[0]!]
    const fits = [query, key, value].every((x, i) => x.rank === 3 && x.shape[0] === query.shape[0] && x.shape[2] === sizes[i])
    if (!fits || key.shape[1] !== value.shape[1]) {
      throw new CotangentError('shape-mismatch', {
        op: 'MultiheadAttention',
        message: `needs queries [batch, queries, ${sizes[0]}], keys [batch, keys, ${sizes[1]}] and values [batch, keys, ${sizes[2]}]`,
        shapes: [query.shape, key.shape, value.shape],
      })
    }
  }

  override describe(): string {
    return `${this.size}, heads: ${this.heads}${this.dropout ? `, dropout: ${this.dropout}` : ''}`
  }

  override macs([q, k = q, v = k]: readonly Shape[]): number {
    const [batch, queries] = q! as [number, number]
    const keys = k![1]!
    const projections = queries * this.size * this.size + keys * this.size * (k![2]! + v![2]!)
    return batch * (projections + 2 * queries * keys * this.size)
  }
}

import { checkpoint } from '../autograd/checkpoint.ts'
import { type DType, dtypeInfo, isFloat } from '../dtype.ts'
import { type Shape, sizeOf } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { dropout, dropoutOf } from './dropout.ts'
import { concat } from './join.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { matmul } from './matmul.ts'
import { isZero, scaled, zero } from './scalar-math.ts'

/** Which keys a query may attend to, and the factor of the scores. */
export interface AttentionWeightsOptions {
  /** Bool: true where a query may attend to a key; float: added to the scores. Broadcast to `[..., queries, keys]`. */
  readonly mask?: Tensor | null
  /** Whether query i sees keys up to i only. */
  readonly causal?: boolean
  /** Factor of the scores before the mask is added. Default 1. */
  readonly scale?: number
}

export interface AttentionOptions extends AttentionWeightsOptions {
  /** Probability with which each weight is dropped. Default 0: pass it while training only. */
  readonly dropout?: number
  /**
   * Whether there may be fewer heads, on axis -3, of keys and values than of queries: each is for as many heads of queries, next to each
   * other (Ainslie et al., arXiv:2305.13245). Default false.
   */
  readonly enableGqa?: boolean
}

interface Attrs {
  readonly axis: number
  readonly scale: number
  /** Position of the first query, where a query sees keys up to its own position only. */
  readonly causal: number | null
  readonly mask: 'none' | 'bool' | 'float'
}

/** Scale, mask and softmax in one kernel. A row without any allowed key is 0. */
const attentionWeightsPrimitive = kernelPrimitive<Attrs>({
  name: 'attentionWeights',
  accepts: ['float'],
  operands: ['promote', 'own'],
  axes: ({ axis }) => [axis],
  code: (k, [scores, mask], { scale, causal, mask: kind }) => {
    let x = scaled(k, scores!, scale)
    if (kind === 'none' && causal === null) {
      const e = k.exp(k.sub(x, k.reduce('max', x)))
      return [k.div(e, k.reduce('sum', e))]
    }
    if (kind === 'float') x = k.add(x, k.cast(mask!, k.typeOf(x)))
    let allowed = k.ne(x, k.like(x, Number.NEGATIVE_INFINITY))
    if (kind === 'bool') allowed = k.and(allowed, mask!)
    if (causal !== null) {
      const query = k.add(k.index(k.parallel.length - 1), k.constant('int32', causal))
      allowed = k.and(allowed, k.le(k.index(k.parallel.length), query))
    }
    const seen = k.select(allowed, x, k.like(x, Number.NEGATIVE_INFINITY))
    const e = k.select(allowed, k.exp(k.sub(x, k.reduce('max', seen))), zero(k, x))
    const total = k.reduce('sum', e)
    return [k.select(isZero(k, total), zero(k, e), k.div(e, total))]
  },
  adjoint: (k, [g], [, mask], [y], { scale, mask: kind }) => {
    const d = k.mul(y!, k.sub(g!, k.reduce('sum', k.mul(g!, y!))))
    return [scaled(k, d, scale), ...(mask === undefined ? [] : [kind === 'float' ? k.cast(d, k.typeOf(mask)) : undefined])]
  },
})

/** Weights from scores `[..., queries, keys]`, of the queries from number `first` on. */
export function weigh(scores: Tensor, { mask, causal = false, scale = 1 }: AttentionWeightsOptions, first: number): Tensor {
  const kind = !mask ? 'none' : isFloat(mask.dtype) ? 'float' : 'bool'
  const attrs: Attrs = { axis: scores.rank - 1, scale, causal: causal ? first : null, mask: kind }
  return bind1(attentionWeightsPrimitive, mask ? [scores, mask] : [scores], attrs)
}

/** Bytes of weights beyond which they are made for some queries at a time, and forgotten until the backward pass. */
export const MOST_WEIGHTS = 1 << 24
/** Fewest queries at a time: the keys and values are gone through for each part. */
const FEWEST_ROWS = 64

/** How many queries go together, of scores [..., queries, keys]. */
function rowsTogether(scores: Shape, dtype: DType): number {
  const queries = scores.at(-2)!
  const bytes = sizeOf(scores) * dtypeInfo[dtype].size
  return bytes <= MOST_WEIGHTS ? queries : Math.max(FEWEST_ROWS, Math.floor((queries * MOST_WEIGHTS) / 4 / bytes))
}

/** Attention made of products and weights, for some queries at a time where there are many of them. @param scores Shape of the scores. */
export function composedAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  scores: Shape,
  options: AttentionOptions & { readonly scale: number },
): Tensor {
  const { scale, dropout: p = 0, mask, causal = false } = options
  /** The queries from number `first` on. */
  const attend = (queries: Tensor, first: number, drop: (weights: Tensor) => Tensor): Tensor => {
    const varies = mask && mask.rank >= 2 && mask.shape.at(-2)! > 1
    const own = varies ? mask.narrow(-2, first, queries.shape.at(-2)!) : mask
    return matmul(drop(weigh(matmul(queries, k.transpose() as Tensor), { scale, causal, mask: own ?? null }, first)), v)
  }
  const rows = rowsTogether(scores, q.dtype)
  if (rows >= scores.at(-2)!) return attend(q, 0, (weights) => (p > 0 ? dropout(weights, p) : weights))
  const parts = q.split(rows, -2).map((queries, i) => {
    // What is dropped is drawn once, and the same again in the backward pass.
    const drop = p > 0 ? dropoutOf(p) : (weights: Tensor) => weights
    return checkpoint(() => attend(queries, i * rows, drop))
  })
  return concat(parts, -2)
}

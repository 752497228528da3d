import { dtypeInfo } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { broadcastShapes, sameShape } from '../layout.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type AttentionOptions, type AttentionWeightsOptions, composedAttention, weigh } from './composed-attention.ts'
import { fusedAttention } from './fused-attention.ts'
import { defineFunction, sampleTensor } from './table.ts'

export type { AttentionOptions, AttentionWeightsOptions } from './composed-attention.ts'

export const attentionWeights = defineFunction({
  name: 'attentionWeights',
  doc: 'Softmax over the last axis of scaled scores [..., queries, keys], over the keys that a mask allows; 0 where it allows none.',
  call: (scores: Tensor, options: AttentionWeightsOptions = {}): Tensor => {
    if (scores.rank < 2)
      throw new CotangentError('shape-mismatch', {
        op: 'attentionWeights',
        message: 'needs scores [..., queries, keys]',
        shapes: [scores.shape],
      })
    if (options.mask) checkMask('attentionWeights', options.mask, scores.shape)
    return weigh(scores, options, 0)
  },
  samples: () => {
    const allowed = sampleTensor([3, 4], { dtype: 'bool', values: [1, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0] })
    return [
      { args: [sampleTensor([2, 3, 4]), { scale: 0.5 }] },
      { args: [sampleTensor([2, 3, 4]), { mask: allowed }] },
      { args: [sampleTensor([2, 3, 3]), { causal: true }] },
      { args: [sampleTensor([2, 3, 4]), { mask: sampleTensor([3, 4]), scale: 2 }] },
    ]
  },
})

function checkMask(op: string, mask: Tensor, shape: readonly number[]): void {
  if (dtypeInfo[mask.dtype].kind === 'int') {
    throw new CotangentError('dtype-mismatch', {
      op,
      message: 'a mask is bool or float',
      dtypes: [mask.dtype],
      hint: 'Compare it: mask.ne(0).',
    })
  }
  if (!sameShape(broadcastShapes(op, mask.shape, shape), shape)) {
    throw new CotangentError('shape-mismatch', { op, message: 'the mask does not broadcast to the scores', shapes: [mask.shape, shape] })
  }
}

/** Heads of queries as groups, each with one head of keys and values. */
function grouped(q: Tensor, k: Tensor, v: Tensor, { mask, ...options }: AttentionOptions): Tensor {
  const [heads, groups] = [q.shape.at(-3), k.shape.at(-3)]
  if (heads === undefined || groups === undefined || v.shape.at(-3) !== groups || heads % groups !== 0) {
    throw new CotangentError('shape-mismatch', {
      op: 'scaledDotProductAttention',
      message: 'enableGqa needs queries [..., heads, queries, size], and keys and values whose heads divide those of the queries',
      shapes: [q.shape, k.shape, v.shape],
    })
  }
  const split = (x: Tensor): Tensor => x.reshape([...x.shape.slice(0, -3), groups, heads / groups, ...x.shape.slice(-2)])
  const ofHeads = mask && mask.rank > 2 && mask.shape.at(-3) !== 1
  const own = ofHeads ? split(mask) : mask && mask.rank > 2 ? mask.unsqueeze(-3) : mask
  const y = scaledDotProductAttention(split(q), k.unsqueeze(-3), v.unsqueeze(-3), { ...options, enableGqa: false, mask: own ?? null })
  return y.reshape([...y.shape.slice(0, -4), heads, ...y.shape.slice(-2)])
}

export const scaledDotProductAttention = defineFunction({
  name: 'scaledDotProductAttention',
  precision: 'lower',
  doc: 'softmax(q @ k^T * scale) @ v over [..., length, size], with scale 1 / sqrt(size) by default. Vaswani et al., arXiv:1706.03762.',
  call: (q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor => {
    if (options.enableGqa) return grouped(q, k, v, options)
    if (q.rank < 2 || k.rank < 2 || v.rank < 2 || q.shape.at(-1) !== k.shape.at(-1) || k.shape.at(-2) !== v.shape.at(-2)) {
      throw new CotangentError('shape-mismatch', {
        op: 'scaledDotProductAttention',
        message: 'needs queries [..., queries, size], keys [..., keys, size] and values [..., keys, any]',
        shapes: [q.shape, k.shape, v.shape],
      })
    }
    const { scale = 1 / Math.sqrt(q.shape.at(-1)!), dropout: p = 0, mask, causal = false } = options
    const batch = broadcastShapes('scaledDotProductAttention', q.shape.slice(0, -2), k.shape.slice(0, -2))
    const scores = [...batch, q.shape.at(-2)!, k.shape.at(-2)!]
    if (mask) checkMask('scaledDotProductAttention', mask, scores)
    const all = { scale, dropout: p, mask: mask ?? null, causal }
    return fusedAttention(q, k, v, scores, all) ?? composedAttention(q, k, v, scores, all)
  },
  samples: () => {
    const [q, k, v] = [sampleTensor([2, 3, 4]), sampleTensor([2, 5, 4]), sampleTensor([2, 5, 2])]
    return [
      { args: [q, k, v] },
      { args: [q, k, v, { causal: true, scale: 1 }] },
      { args: [q, k, v, { mask: sampleTensor([3, 5]) }] },
      { args: [sampleTensor([4, 3, 2]), sampleTensor([2, 5, 2]), v, { enableGqa: true }] },
    ]
  },
})

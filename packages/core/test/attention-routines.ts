import { type AttentionAttrs, type Operand, type Routine, routine } from '../src/engine/routine.ts'
import { rowMajor, sizeOf } from '../src/layout.ts'
import { dense } from './engine.ts'

export interface AttentionCase extends Partial<AttentionAttrs> {
  readonly batch?: readonly number[]
  readonly queries?: number
  readonly keys?: number
  readonly size?: number
  readonly width?: number
  readonly dtype?: Operand['dtype']
  readonly mask?: 'bool' | 'float32' | 'bfloat16'
  /** One mask for all queries, or for all of the batch. */
  readonly sharedMask?: 'queries' | 'batch'
  /** Heads split out of one product `[batch, length, 3, heads, size]`; the batch has two axes then. */
  readonly split?: boolean
  /** The last batch axis of keys and values is one for all. */
  readonly grouped?: boolean
}

const wide = (dtype: Operand['dtype']): Operand['dtype'] => (dtype === 'float64' ? 'float64' : 'float32')

export function attentionOf(given: AttentionCase): Routine<'attention'> {
  const { batch = [2], queries = 5, keys = queries, size = 4, width = size, dtype = 'float32', scale = 0.5, causal = false } = given
  const own = (rows: number, columns: number): Operand => {
    const shape = [...batch, rows, columns]
    if (!given.split) return dense(dtype, shape)
    const heads = batch[1]!
    return { dtype, shape, strides: [rows * 3 * heads * columns, columns, 3 * heads * columns, 1] }
  }
  const shared = ({ shape, ...rest }: Operand, axis: number): Operand => {
    const strides = rowMajor(shape.map((n, i) => (i === axis ? 1 : n)))
    return { ...rest, shape, strides: strides.map((s, i) => (i === axis ? 0 : s)) }
  }
  const ofKeys = (columns: number) => (given.grouped ? shared(own(keys, columns), batch.length - 1) : own(keys, columns))
  const scores = [...batch, queries, keys]
  const full = given.mask && dense(given.mask, scores)
  const { sharedMask } = given
  const mask =
    full && sharedMask
      ? {
          ...full,
          strides: scores.map((_, i) => (i === scores.length - 1 ? 1 : sharedMask === 'batch' && i === scores.length - 2 ? keys : 0)),
        }
      : full
  return routine(
    'attention',
    { scale, causal },
    [own(queries, size), ofKeys(size), ofKeys(width), ...(mask ? [mask] : [])],
    [dense(dtype, [...batch, queries, width]), dense(wide(dtype), [...batch, queries])],
  )
}

export function attentionGradOf(given: AttentionCase): Routine<'attentionGrad'> {
  const { attrs, inputs, outputs } = attentionOf(given)
  const [q, k, v, mask] = inputs as [Operand, Operand, Operand, Operand | undefined]
  const [y, logSums] = outputs as [Operand, Operand]
  const made = [q, k, v].map(({ dtype, shape }) => dense(dtype, shape))
  return routine('attentionGrad', attrs, [y, q, k, v, y, logSums, ...(mask ? [mask] : [])], made)
}

let seed = 1
/** Between -1 and 1. */
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0
  return (seed >> 8) / 2 ** 23
}

/** How many elements an operand reaches over. */
const reach = ({ shape, strides }: Operand): number =>
  sizeOf(shape) === 0 ? 0 : shape.reduce((last, size, axis) => last + (size - 1) * strides[axis]!, 1)

/** Numbers between -2 and 2; of masks two thirds allowed, and now and then minus infinity. */
export const attentionValues = ({ inputs }: Routine): number[][] =>
  inputs.map((operand, i) => {
    const isMask = i === inputs.length - 1 && (i === 3 || i === 6)
    const value = () =>
      operand.dtype === 'bool' ? Number(random() < 0.3) : isMask && random() < -0.5 ? Number.NEGATIVE_INFINITY : 2 * random()
    return Array.from({ length: reach(operand) }, value)
  })

export const attentionCases: readonly (readonly [string, AttentionCase])[] = [
  ['plain', {}],
  ['one query, one key', { batch: [], queries: 1, size: 1 }],
  ['no batch axis, values of another width', { batch: [], queries: 7, keys: 19, size: 3, width: 10 }],
  ['more queries than keys', { batch: [3], queries: 70, keys: 9, size: 17, width: 5 }],
  ['more keys than a tile', { batch: [1], queries: 67, keys: 301, size: 20 }],
  ['causal', { batch: [2, 2], queries: 70, size: 16, causal: true }],
  ['causal, fewer queries than keys', { queries: 9, keys: 133, size: 8, causal: true }],
  ['causal, more queries than keys', { queries: 133, keys: 9, size: 8, causal: true }],
  ['a bool mask', { batch: [2, 2], queries: 33, keys: 65, size: 16, mask: 'bool' }],
  ['a bool mask of keys', { batch: [2, 2], queries: 12, keys: 35, mask: 'bool', sharedMask: 'queries' }],
  ['a float mask', { batch: [2], queries: 33, keys: 70, size: 16, mask: 'float32' }],
  ['a float mask for all of the batch, causal', { batch: [3, 2], queries: 20, mask: 'float32', sharedMask: 'batch', causal: true }],
  ['a bfloat16 mask', { batch: [2], queries: 33, keys: 70, size: 16, mask: 'bfloat16' }],
  ['heads split out of one product', { batch: [2, 3], queries: 37, size: 16, split: true }],
  ['keys and values shared by heads', { batch: [2, 3], queries: 21, keys: 40, size: 24, grouped: true }],
  ['wide heads', { batch: [1], queries: 18, keys: 20, size: 200, width: 256 }],
  ['no scale to speak of', { queries: 30, scale: 0 }],
  ['large scores', { queries: 30, size: 30, scale: 2 }],
]

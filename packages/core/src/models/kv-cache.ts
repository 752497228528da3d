import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { arange, zeros } from '../op/index.ts'
import { noGrad } from '../tensor/modes.ts'
import { keep } from '../tensor/scope.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** Sizes of a cache of keys and values: two tensors `[batch, heads, capacity, headSize]` a layer. */
export interface KvCacheShape {
  readonly layers: number
  readonly batch: number
  readonly heads: number
  /** Most tokens. */
  readonly capacity: number
  readonly headSize: number
  readonly dtype: DType
}

/**
 * Keys and values of the tokens that a language model has seen, so that a step computes those of new tokens only. It has room
 * for `capacity` tokens from the start: shapes stay, and one compiled program serves every step.
 */
export class KvCache {
  readonly shape: KvCacheShape
  readonly #keys: readonly Tensor[]
  readonly #values: readonly Tensor[]

  constructor(shape: KvCacheShape) {
    const { layers, batch, heads, capacity, headSize, dtype } = shape
    for (const [name, n] of Object.entries({ layers, batch, heads, capacity, headSize }))
      if (!Number.isInteger(n) || n < 1)
        throw new CotangentError('invalid-argument', { op: 'KvCache', message: `${name} is ${n}`, hint: 'It must be a positive integer.' })
    const make = (): Tensor[] => Array.from({ length: layers }, () => keep(zeros([batch, heads, capacity, headSize], { dtype }) as Tensor))
    this.shape = shape
    this.#keys = make()
    this.#values = make()
  }

  /**
   * Writes keys and values `[batch, heads, new, headSize]` of new tokens, the first of which is number `position` (int32 `[]`), and
   * returns those of all tokens, `[batch, heads, capacity, headSize]`; what lies beyond the new ones means nothing.
   */
  extend(layer: number, keys: Tensor, values: Tensor, position: Tensor): [keys: Tensor, values: Tensor] {
    const at = (arange(keys.shape[2]!) as Tensor).add(position).unsqueeze(1).expand(keys.shape)
    const [allKeys, allValues] = [this.#keys[layer]!, this.#values[layer]!]
    noGrad(() => {
      allKeys.assign(allKeys.scatter(2, at, keys))
      allValues.assign(allValues.scatter(2, at, values))
    })
    return [allKeys, allValues]
  }

  /** `[new, capacity]`: which tokens each of `count` new ones sees, the first of which is number `position`: itself and those before. */
  visible(count: number, position: Tensor): Tensor {
    const queries = (arange(count) as Tensor).add(position).unsqueeze(1)
    return (arange(this.shape.capacity) as Tensor).le(queries)
  }
}

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { explain, normal, registerEngine, scaledDotProductAttention, setEngine, type Tensor } from '../../core/src/index.ts'
import { testFusedAttention } from '../../core/test/attention-ops.ts'
import { defaults } from '../src/backend.ts'
import { loaded, nativeEngine } from './engines.ts'

describe.skipIf(!loaded)('attention as one routine of the addon', () => {
  const engines = loaded ? [nativeEngine(2).engine, nativeEngine(2, defaults).engine] : []
  beforeAll(() => {
    engines.forEach((engine, i) => registerEngine(['tiles', 'tiles by default'][i]!, () => engine))
    setEngine('tiles')
  })
  afterAll(() => engines.forEach((engine) => engine.close()))

  testFusedAttention()

  it('is chosen where it pays', () => {
    setEngine('tiles by default')
    const operations = (queries: number, options = {}) => {
      const [q, k, v] = [normal([2, 4, queries, 32]), normal([2, 4, 256, 32]), normal([2, 4, 256, 32])] as [Tensor, Tensor, Tensor]
      return explain((q: Tensor, k: Tensor, v: Tensor) => scaledDotProductAttention(q, k, v, options), q, k, v).operations.map(
        ({ name }) => name,
      )
    }
    expect(operations(256)).toEqual(['attention'])
    expect(operations(256, { dropout: 0.1 })).not.toContain('attention')
    expect(operations(32)).not.toContain('attention')
    setEngine('tiles')
  })
})

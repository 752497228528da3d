import { describe, expect, test } from 'vitest'
import { compile, engineNames, normal, profile, recordScope, setEngine, type Tensor } from '../index.ts'
import { Profile } from './profile.ts'

describe.each(engineNames())('profile on %s', (engine) => {
  const onEngine = (body: () => void) => () => {
    setEngine(engine)
    try {
      body()
    } finally {
      setEngine('wasm')
    }
  }

  test(
    'sees the kernels of eager ops',
    onEngine(() => {
      const x = normal([8, 8]) as Tensor
      const seen = profile(() => x.matmul(x).exp().exp())
      expect(seen.rows.map(({ name, calls }) => [name, calls]).sort()).toEqual([
        ['exp', 2],
        ['matmul', 1],
      ])
      expect(seen.rows.reduce((sum, row) => sum + row.share, 0)).toBeCloseTo(1)
      expect(seen.kernelMs).toBeLessThanOrEqual(seen.ms)
      expect(String(seen)).toMatch(/^kernel +calls +total +mean +share +GB\/s +GFLOP\/s/)
    }),
  )

  test(
    'nests kernels in ops, compiled functions and named scopes',
    onEngine(() => {
      const x = normal([8, 8]) as Tensor
      const f = compile(function softened(x: Tensor) {
        return x.matmul(x).softmax(-1)
      })
      f(x)
      const seen = profile(() => recordScope('outer', () => [f(x), recordScope('inner', () => x.neg())]))
      expect(seen.slices.map(({ kind, name, depth }) => `${'  '.repeat(depth)}${kind} ${name}`)).toEqual([
        'scope outer',
        '  compiled softened',
        '    kernel matmul',
        '    kernel softmax',
        '  scope inner',
        '    op neg',
        '      kernel neg',
      ])
      for (const { start, ms } of seen.slices) expect(start + ms).toBeLessThanOrEqual(seen.ms + 1e-6)
    }),
  )
})

describe('profile', () => {
  const x = () => normal([4]) as Tensor

  test('writes a trace that viewers open', () => {
    const { traceEvents } = JSON.parse(profile(() => recordScope('part', () => x().exp())).toChromeTrace()) as {
      traceEvents: { name: string; ph: string; ts?: number; dur?: number; cat?: string }[]
    }
    const complete = traceEvents.filter(({ ph }) => ph === 'X')
    const [part, kernel] = ['part', 'exp'].map((name) => complete.findLast((event) => event.name === name)!)
    expect([part!.cat, kernel!.cat]).toEqual(['scope', 'kernel'])
    expect(kernel!.ts!).toBeGreaterThanOrEqual(part!.ts!)
    expect(kernel!.ts! + kernel!.dur!).toBeLessThanOrEqual(part!.ts! + part!.dur! + 1)
  })

  test('takes async code', async () => {
    const seen = await profile(async () => {
      await recordScope('load', async () => new Promise((resolve) => setTimeout(resolve, 5)))
      return x().exp()
    })
    expect(seen.slices[0]).toMatchObject({ kind: 'scope', name: 'load' })
    expect(seen.slices[0]!.ms).toBeGreaterThan(3)
    expect(seen.rows.some(({ name }) => name === 'exp')).toBe(true)
  })

  test('leaves nothing behind, also after an error', () => {
    expect(() =>
      profile(() => {
        throw new RangeError('mine')
      }),
    ).toThrow('mine')
    const seen = profile(() => {})
    x().exp()
    expect(seen.slices).toEqual([])
    expect(recordScope('outside', () => 7)).toBe(7)
  })

  test('cannot be taken within another', () => {
    expect(() => profile(() => profile(() => {}))).toThrow(/recordScope/)
  })

  test('sorts and cuts its table', () => {
    const kernel = (name: string, ms: number) => ({
      kind: 'kernel' as const,
      name,
      start: 0,
      ms,
      depth: 0,
      program: profile(() => x().exp()).slices.at(-1)!.program!,
    })
    const seen = new Profile([kernel('slow', 2), kernel('often', 0.5), kernel('often', 0.5)], 4)
    expect(seen.rows.map(({ name }) => name)).toEqual(['slow', 'often'])
    const lines = seen.table({ sortBy: 'calls', rows: 1 }).split('\n')
    expect(lines[2]).toMatch(/^often +2 +1\.00 ms/)
    expect(lines[3]).toBe('and 1 more')
  })
})

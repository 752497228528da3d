import { afterEach, describe, expect, test, vi } from 'vitest'
import { KernelBuilder } from '../src/engine/kernel.ts'
import { routine, withEpilogue } from '../src/engine/routine.ts'
import { costOf } from '../src/graph/cost.ts'
import { compile, explain, matmul, nn, normal, optim, setEngine, type Tensor, tensor } from '../src/index.ts'
import { rowMajor } from '../src/layout.ts'

const dense = (...shape: number[]) => ({ dtype: 'float32', shape, strides: rowMajor(shape) }) as const

describe('costOf', () => {
  test('counts what a kernel reads once, and its arithmetic by level', () => {
    const k = new KernelBuilder('softmax', [4], [8])
    const x = k.load(k.input('float32'), [8, 1])
    const e = k.exp(k.sub(x, k.reduce('max', x)))
    k.output('float32', k.div(e, k.reduce('sum', e)))
    // max, sub, sum and div an element, and the 23 of an exp.
    expect(costOf(k.build())).toEqual({ bytesRead: 128, bytesWritten: 128, flops: 32 * (1 + 1 + 23 + 1 + 1) })
  })

  test('overlapping windows and broadcasts are read once', () => {
    const k = new KernelBuilder('window', [6, 3])
    const [a, b] = [k.input('float32'), k.input('float32')]
    k.output('float32', k.mul(k.load(a, [1, 1]), k.load(b, [0, 1])))
    expect(costOf(k.build()).bytesRead).toBe(4 * (8 + 3))
    expect(costOf(k.build(), [5, 3]).bytesRead).toBe(4 * (5 + 3))
  })

  test.each([
    ['matmul', routine('matmul', {}, [dense(2, 3, 4), dense(2, 4, 5)], [dense(2, 3, 5)]), 2 * 2 * 3 * 4 * 5],
    ['matmul with bias', routine('matmul', {}, [dense(3, 4), dense(4, 5), dense(5)], [dense(3, 5)]), 2 * 3 * 4 * 5 + 15],
    [
      'conv',
      routine(
        'conv',
        {
          kernel: [3, 3],
          stride: [1, 1],
          padding: [
            [0, 0],
            [0, 0],
          ],
          dilation: [1, 1],
          groups: 1,
        },
        [dense(1, 6, 6, 2), dense(3, 3, 2, 5)],
        [dense(1, 4, 4, 5)],
      ),
      2 * 80 * 18,
    ],
    ['sort', routine('sort', { descending: false }, [dense(2, 8)], [dense(2, 8), { ...dense(2, 8), dtype: 'int32' }]), 48],
  ])('%s', (_, program, flops) => {
    expect(costOf(program).flops).toBe(flops)
  })

  test('an epilogue adds its arithmetic and its own inputs', () => {
    const k = new KernelBuilder('epilogue', [3, 5])
    const [raw, other] = [k.input('float32'), k.input('float32')]
    k.output('float32', k.add(k.load(raw, [5, 1]), k.load(other, [0, 1])))
    const program = withEpilogue(routine('matmul', {}, [dense(3, 4), dense(4, 5)], [dense(3, 5)]), k.build(), [dense(5)])
    expect(costOf(program)).toEqual({ bytesRead: 4 * (12 + 20 + 5), bytesWritten: 60, flops: 2 * 60 + 15 })
  })
})

function makeStep() {
  const model = new nn.Linear(8, 4)
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 })
  function step(x: Tensor) {
    const loss = model.forward(x).relu().square().mean()
    optimizer.zeroGrad()
    loss.backward()
    optimizer.step()
    return loss
  }
  return { model, step }
}

describe('explain', () => {
  test('tells what a function becomes, and runs nothing', () => {
    const { model, step } = makeStep()
    const before = model.weight.toArray()
    const x = normal([16, 8]) as Tensor
    const explained = explain(step, x)
    expect(model.weight.toArray()).toEqual(before)
    expect(model.weight.grad).toBeNull()
    expect(explained.total.operations).toBe(explained.operations.length)
    expect(explained.total.operations).toBeLessThan(explained.unfused.operations)
    expect(explained.total.flops).toBeGreaterThanOrEqual(2 * 2 * 16 * 8 * 4)
    expect(explained.operations.find((o) => o.kind === 'routine')!.ops).toContain('matmul')
    expect(explained.operations[0]!.lines[0]).toMatch(/^explain\.test\.ts:\d+$/)
    const text = String(explained)
    expect(text).toMatch(/^step: \d+ operations/)
    expect(text).toContain('working memory')
    expect(text).not.toContain('GB/s')
  })

  test('takes the program of a compiled function', () => {
    const f = compile((x: Tensor) => x.mul(2).add(1))
    const x = tensor([1, 2, 3]) as Tensor
    f(x)
    expect(explain(f, x).operations).toHaveLength(1)
    expect(f.specializations).toHaveLength(1)
    explain(f, tensor([1, 2]) as Tensor)
    expect(f.specializations).toHaveLength(2)
  })

  test('measures when asked to', () => {
    const [a, b] = [normal([32, 32]), normal([32, 32])] as [Tensor, Tensor]
    const { measured, operations, toString } = explain((a: Tensor, b: Tensor) => matmul(a, b).softmax(-1), a, b).measure(3)
    expect(measured!.ms).toBeGreaterThan(0)
    expect(measured!.roofline.copyGBs).toBeGreaterThan(0)
    expect(measured!.roofline.gflops).toBeGreaterThan(0)
    expect(measured!.ofRoof).toBeGreaterThan(0)
    for (const { ms, roofMs } of operations) {
      expect(ms).toBeGreaterThan(0)
      expect(roofMs).toBeGreaterThan(0)
    }
    expect(toString()).toMatch(/the machine +copies .* GB\/s/)
  })

  test('measures on the reference engine, too', () => {
    setEngine('reference')
    try {
      const x = normal([4]) as Tensor
      expect(explain((x: Tensor) => x.exp(), x).measure(1).measured!.ms).toBeGreaterThan(0)
    } finally {
      setEngine('wasm')
    }
  })
})

describe('COTANGENT_DEBUG', () => {
  afterEach(() => {
    delete process.env['COTANGENT_DEBUG']
    vi.restoreAllMocks()
  })

  function printed(level: string, run: () => void): string {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    process.env['COTANGENT_DEBUG'] = level
    run()
    return log.mock.calls.map(([text]) => String(text)).join('\n')
  }

  test('is silent at 0', () => {
    expect(printed('0', () => compile((x: Tensor) => x.exp())(tensor([1]) as Tensor))).toBe('')
  })

  test('1 tells of each program, and why it was made', () => {
    const text = printed('1', () => {
      const f = compile(function twice(x: Tensor) {
        return x.mul(2)
      })
      f(tensor([1, 2]) as Tensor)
      f(tensor([1, 2]) as Tensor)
      f(tensor([1, 2, 3]) as Tensor)
    })
    expect(text.split('\n')).toEqual([
      expect.stringMatching(/^compile twice: first call \(float32 \[2\]\); 1 ops traced in .*, 1 operations compiled in /),
      expect.stringMatching(/^compile twice: new arguments, program 2 \(float32 \[3\]\)/),
    ])
  })

  test('1 names the guard that failed', () => {
    const model = new nn.Linear(2, 1)
    const step = compile((x: Tensor) => model.forward(x).sum().backward())
    const x = tensor([[1, 2]]) as Tensor
    const text = printed('1', () => {
      step(x)
      step(x)
    })
    expect(text).toMatch(/changed since: .*\.grad/)
  })

  test('2 adds the table, 3 every stage', () => {
    const run = () => compile((x: Tensor) => x.mul(2).sum())(tensor([1, 2]) as Tensor)
    expect(printed('2', run)).toContain('working memory')
    const all = printed('3', run)
    expect(all).toContain(': graph\n%0 = input float32 [2]')
    expect(all).toContain('after lowering: 2 operations')
    expect(all).toContain('working memory: ')
  })

  test('refuses other levels', () => {
    expect(() => printed('loud', () => compile((x: Tensor) => x.exp())(tensor([1]) as Tensor))).toThrow(/no level 'loud'/)
  })
})

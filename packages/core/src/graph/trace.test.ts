import { describe, expect, test } from 'vitest'
import { grad, normal, noGrad, type Tensor, tensor, trace } from '../index.ts'
import { spec } from '../layout.ts'

describe('trace', () => {
  test('records the ops of a function and runs them on other arguments', () => {
    const weight = tensor([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
    const f = (x: Tensor) => ({ y: x.matmul(weight).relu(), total: x.detach().permute([1, 0]).sum() })
    const graph = trace(f as never, [spec('float32', [2, 3])])
    const x = tensor([
      [1, -2, 3],
      [0, 1, -1],
    ])
    const expected = f(x)
    const got = graph.run(x) as typeof expected
    expect(got.y.toArray()).toEqual(expected.y.toArray())
    expect(got.total.item()).toBe(expected.total.item())
    expect(String(graph).split('\n')).toEqual([
      '%0 = input float32 [2, 3]',
      '%1 = matmul(%0, constant float32 [3, 2]) float32 [2, 2]',
      '%2 = relu(%1) float32 [2, 2]',
      '%3 = permute(%0) float32 [3, 2]',
      '%4 = sum(%3) float32 []',
      'return %2, %4',
    ])
  })

  test('gradients are traced like everything else', () => {
    const f = grad((x: Tensor) => x.sin().mul(x).sum())
    const graph = trace((x) => f(x), [spec('float32', [5])])
    const x = normal([5])
    expect((graph.run(x) as Tensor).toArray()).toEqual(f(x).toArray())
  })

  test('reading a tracer says what to do', () => {
    expect(() => trace((x) => (x.sum().item() > 0 ? x : x.neg()), [spec('float32', [2])])).toThrow(
      expect.objectContaining({ code: 'tracer-read', hint: expect.stringContaining('where()') }),
    )
    expect(String(noGrad(() => trace((x) => [x], [spec('int32', [2])]).toString()))).toContain('return %0')
  })

  test('refuses arguments of other shapes', () => {
    const graph = trace((x) => x.neg(), [spec('float32', [2])])
    expect(() => graph.run(tensor([1, 2, 3]))).toThrow(/traced was float32 \[2\]/)
  })
})

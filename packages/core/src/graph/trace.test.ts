import { describe, expect, test } from 'vitest'
import { ones, optim, type Tensor, tensor, zeros } from '../index.ts'
import { spec } from '../layout.ts'
import { formatGraph } from './graph.ts'
import { trace } from './trace.ts'

const argument = (...shape: number[]) => ({ spec: spec('float32', shape), requiresGrad: false })
const lines = (f: (...args: Tensor[]) => unknown, ...specs: ReturnType<typeof argument>[]) => formatGraph(trace(f, specs).graph).split('\n')

describe('trace', () => {
  test('records the ops of a function; views are no ops', () => {
    const weight = ones([3, 2]) as Tensor
    const f = (x: Tensor) => ({ y: x.matmul(weight).relu(), total: x.detach().permute([1, 0]).sum() })
    expect(lines(f, argument(2, 3))).toEqual([
      '%0 = input float32 [2, 3]',
      '%1 = matmul(%0, constant float32 (6)) float32 [2, 2]',
      '%2 = relu(%1) float32 [2, 2]',
      '%3 = sum(%0[3, 2]) float32 []',
      'return %2, %3',
    ])
  })

  test('what is written in place is a new value of the same memory', () => {
    const total = zeros([2]) as Tensor
    const f = (x: Tensor) => {
      total.assign(total.add(x))
      total.slice([0, 1]).assign(7)
      return total.mul(2)
    }
    expect(lines(f, argument(2))).toEqual([
      '%0 = input float32 [2]',
      '%1 = add(constant float32 (2), %0) float32 [2]',
      '%2 = cast(%1) float32 [2]',
      '%3 = cast(7) float32 [1]',
      '%4 = mul(%3, 2) float32 [2]',
      'constant float32 (2) := %3',
      'return %4',
    ])
    expect(total.toArray()).toEqual([0, 0])
  })

  test('gradients and optimisers are part of it, and nothing outside changes', () => {
    const weight = tensor([1, 2]).setRequiresGrad() as Tensor
    const optimizer = new optim.SGD([weight], { lr: 0.1 })
    const f = (x: Tensor) => {
      weight.mul(x).sum().backward()
      optimizer.step()
      optimizer.zeroGrad()
    }
    const { graph } = trace(f, [argument(2)])
    expect(graph.nodes.map((node) => node.op.name)).toEqual(
      ['mul', 'sum', 'full', 'sumGrad', 'mulGrad', 'SGD'].filter((n) => graph.nodes.some((node) => node.op.name === n)),
    )
    expect(graph.writes.size).toBe(1)
    expect([...graph.gradients]).toEqual([])
    expect(weight.grad).toBeNull()
    expect(optimizer.stateDict().state[0]).toEqual({ step: 0 })
    expect(graph.host).toHaveLength(2)
  })

  test('reading a tracer names the line and says what to do', () => {
    expect(() => trace((x) => (x.sum().item() > 0 ? x : x.neg()), [argument(2)])).toThrow(
      expect.objectContaining({
        code: 'tracer-read',
        message: expect.stringContaining('read at'),
        hint: expect.stringContaining('where()'),
      }),
    )
  })

  test('a tracer that outlives its trace is refused in another', () => {
    let leaked: Tensor | undefined
    trace((x) => void (leaked = x.neg()), [argument(2)])
    expect(() => trace((x) => x.add(leaked!), [argument(2)])).toThrow(expect.objectContaining({ code: 'tracer-read' }))
  })
})

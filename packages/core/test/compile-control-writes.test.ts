import { compile, cond, grad, manualSeed, nn, noGrad, scan, setEngine, type Tensor, tensor, whileLoop, zeros } from 'cotangent'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectClose, numbers } from './control-flow.ts'

/** Holds what a function gives, and what it leaves in memory outside, to what eager code does; several times. */
function expectSameEffect(
  make: () => { readonly f: (...args: Tensor[]) => Tensor; readonly memory: readonly Tensor[] },
  calls: Tensor[][],
) {
  const [eager, own] = [make(), make()]
  const compiled = compile(own.f)
  for (const args of calls) {
    expectClose(compiled(...args), eager.f(...args))
    own.memory.forEach((x, i) => expectClose(x, eager.memory[i]))
  }
  expect(compiled.specializations.length).toBe(1)
}

describe.each(['wasm', 'reference'])('control flow that writes outside, on %s', (engine) => {
  beforeAll(() => setEngine(engine))
  afterAll(() => setEngine('wasm'))

  test('running statistics of a batch normalisation in a branch', () => {
    const make = () => {
      manualSeed(1)
      const norm = new nn.BatchNorm1d(3)
      const other = new nn.BatchNorm1d(3)
      const f = (p: Tensor, x: Tensor) =>
        cond(
          p,
          (v) => norm.forward(v),
          (v) => other.forward(v.mul(2)),
          x,
        )
      return { f: f as never, memory: [norm, other].flatMap((x) => Object.values(x.stateDict())) as Tensor[] }
    }
    expectSameEffect(
      make,
      [true, false, true, true].map((p) => [tensor(p), numbers(4, 3)]),
    )
  })

  test('running statistics in a scan, and the gradient, which moves them once', () => {
    const make = () => {
      manualSeed(2)
      const norm = new nn.BatchNorm1d(3)
      const loss = (xs: Tensor) =>
        scan((h, x) => [norm.forward(h.add(x)), null], zeros([4, 3]), xs)[0]
          .square()
          .mul(numbers(4, 3))
          .sum()
      return { f: ((xs: Tensor) => grad(loss)(xs)) as never, memory: Object.values(norm.stateDict()) as Tensor[] }
    }
    expectSameEffect(make, [[numbers(5, 4, 3)], [numbers(5, 4, 3).mul(2)]])
  })

  test('parts of a buffer, which later rounds and the function around read', () => {
    const make = () => {
      const buffer = zeros([4, 2])
      const f = (xs: Tensor) => {
        buffer.assign(buffer.add(1))
        const [last, ys] = scan(
          (at, x) => {
            const row = buffer.narrow(0, 1, 2)
            row.assign(row.mul(0.5).add(x))
            return [at.add(buffer.sum()), buffer.mean(0)]
          },
          tensor(0),
          xs,
        )
        buffer.select(0, 3).assign(last)
        return ys.add(buffer.mean())
      }
      return { f: f as never, memory: [buffer] }
    }
    expectSameEffect(make, [[numbers(3, 2)], [numbers(3, 2).neg()]])
  })

  test('a counter in a loop, and control flow within control flow', () => {
    const make = () => {
      const rounds = tensor(0, { dtype: 'int32' })
      const big = tensor(0, { dtype: 'int32' })
      const f = (x: Tensor) =>
        whileLoop(
          (v) => v.sum().lt(50),
          (v) => {
            rounds.assign(rounds.add(1))
            return cond(
              v.sum().gt(10),
              (u) => {
                big.assign(big.add(rounds))
                return u.mul(1.5)
              },
              (u) => u.add(big.add(1)),
              v,
            )
          },
          x,
        )
      return { f: f as never, memory: [rounds, big] }
    }
    expectSameEffect(make, [[tensor([1, 2])], [tensor([-3, 2])], [tensor([100, 0])]])
  })

  test('the gradient sees what memory was in each round', () => {
    const make = () => {
      const scale = tensor(1)
      const loss = (xs: Tensor) => {
        const [h] = scan(
          (h, x) => {
            const next = h.mul(0.5).add(x.mul(scale.clone()).tanh())
            noGrad(() => scale.assign(scale.mul(0.9).add(next.mean().abs())))
            return [next, null]
          },
          zeros([2]),
          xs,
        )
        return h.square().sum()
      }
      return { f: ((xs: Tensor) => grad(loss)(xs)) as never, memory: [scale] }
    }
    expectSameEffect(make, [[numbers(4, 2)], [numbers(4, 2).mul(3)]])
  })
})

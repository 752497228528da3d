import {
  check,
  compile,
  concat,
  cond,
  defaultGenerator,
  grad,
  jvp,
  manualSeed,
  nn,
  optim,
  print,
  scan,
  setEngine,
  type Tensor,
  tensor,
  uniform,
  vmap,
  whileLoop,
  zeros,
} from 'cotangent'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { codeOf, expectClose, expectSame, numbers } from './control-flow.ts'

describe.each(['wasm', 'reference'])('control flow on %s', (engine) => {
  beforeAll(() => setEngine(engine))
  afterAll(() => setEngine('wasm'))

  describe('cond', () => {
    const choose = (p: Tensor, x: Tensor) =>
      cond(
        p.sum().gt(0),
        (a) => a.mul(a).mul(a),
        (a) => a.sin(),
        x,
      )

    test('one program runs the branch that the predicate has on each run', () => {
      const compiled = compile(choose)
      for (const p of [1, -1, 2]) expectClose(compiled(tensor([p]), numbers(3)), choose(tensor([p]), numbers(3)))
      expect(compiled.specializations.length).toBe(1)
    })

    test('gradients of first and second order', () => {
      for (const p of [1, -1]) expectSame((x) => choose(tensor([p]), x!), [numbers(2, 3)])
    })

    test('trees of operands, views, and results that are operands or belong to others', () => {
      const f = (p: Tensor, x: Tensor) => {
        const { a, b } = cond(
          p,
          ({ y }) => ({ a: y, b: [y, x.mul(2)] as const }),
          ({ y }) => ({ a: x.transpose().contiguous().transpose(), b: [y.neg(), y] as const }),
          {
            y: concat([x.slice([null, null], [1, null]), zeros([2, 1])], 1),
          },
        )
        return a.add(b[0]).mul(b[1])
      }
      for (const p of [true, false]) expectClose(compile(f)(tensor(p), numbers(2, 3)), f(tensor(p), numbers(2, 3)))
    })

    test('what a branch uses from outside gets its gradient', () => {
      const w = numbers(3).setRequiresGrad()
      const step = (p: Tensor, x: Tensor) => {
        const h = x.mul(w)
        const y = cond(
          p,
          () => h.mul(w).exp(),
          () => h.add(1).square(),
        )
        y.sum().backward()
        const g = w.grad!
        w.grad = null
        return g
      }
      const compiled = compile(step)
      for (const p of [true, false]) expectClose(compiled(tensor(p), numbers(3)), step(tensor(p), numbers(3)))
    })

    test('JavaScript booleans are decided while tracing', () => {
      const f = compile((x: Tensor) =>
        cond(
          true,
          () => x.mul(2),
          () => x,
        ),
      )
      expectClose(f(numbers(3)), numbers(3).mul(2))
    })
  })

  describe('scan', () => {
    const recur = (h: Tensor, xs: Tensor, v: Tensor, reverse = false) =>
      scan(
        (c, x) => {
          const next = c.mul(v).add(x).tanh()
          return [next, { double: next.mul(2), x: [x] }]
        },
        h,
        xs,
        { reverse },
      )

    test.each([false, true])('reverse %s: values and gradients of first and second order', (reverse) => {
      expectSame(
        (h, xs, v) => {
          const [last, { double, x }] = recur(h!, xs!, v!, reverse)
          return double.square().add(x[0]!.mul(3)).sum(0).add(last)
        },
        [numbers(2), numbers(4, 2), numbers(2)],
      )
    })

    test('a captured parameter, backward() and an optimiser in the same program', () => {
      const run = (compiled: boolean) => {
        const v = numbers(2).setRequiresGrad()
        const optimizer = new optim.Adam([v], { lr: 0.1 })
        const step = (h: Tensor, xs: Tensor) => {
          const loss = recur(h, xs, v)[1].double.square().mean()
          optimizer.zeroGrad()
          loss.backward()
          optimizer.step()
          return loss
        }
        const f = compiled ? compile(step) : step
        return [...Array.from({ length: 4 }, () => f(numbers(2), numbers(5, 2))), v]
      }
      const eager = run(false)
      run(true).forEach((x, i) => expectClose(x, eager[i]))
    })

    test('backward() goes on through a compiled scan', () => {
      const gradient = (f: typeof recur) => {
        const v = numbers(2).setRequiresGrad()
        f(numbers(2), numbers(3, 2), v)[1].double.sum().backward()
        return v.grad
      }
      expectClose(gradient(compile(recur)), gradient(recur))
    })

    test('no rounds, one round, and a length without xs', () => {
      for (const n of [0, 1]) {
        const f = (h: Tensor, xs: Tensor) => recur(h, xs, h)
        const [[a, b], [c, d]] = [compile(f)(numbers(2), zeros([n, 2])), f(numbers(2), zeros([n, 2]))]
        expectClose(a, c)
        expectClose(b.double, d.double)
      }
      const powers = (x: Tensor) => scan((c) => [c.mul(x), c], x.mul(0).add(1), null, { length: 5 })[1]
      expectSame((x) => powers(x!), [tensor(1.5)])
    })

    test('integer carries, and a gradient only where there is one', () => {
      const f = (xs: Tensor) =>
        scan(
          ({ n, s }, x) => {
            const next = { n: n.add(1), s: s.add(x.mul(n.cast('float32'))) }
            return [next, next.n]
          },
          { n: tensor(1, { dtype: 'int32' }), s: tensor(0) },
          xs,
        )[0].s
      expectSame((xs) => f(xs!), [numbers(4)])
    })

    test('a recurrent layer as a scan over its cell', () => {
      manualSeed(3)
      const layer = new nn.RNN(3, 4)
      const cell = layer.cells[0]!.forward
      const byScan = (x: Tensor) =>
        scan((h, row) => [cell.forward(row, h), cell.forward(row, h)], zeros([2, 4]), x.transpose(0, 1))[1].transpose(0, 1)
      const gradients = (f: (x: Tensor) => Tensor) => () => {
        layer.zeroGrad()
        f(numbers(2, 5, 3))
          .square()
          .mean()
          .backward()
        return [...layer.parameters()].map((p) => p.grad!.mul(1))
      }
      expectClose(compile(byScan)(numbers(2, 5, 3)), layer.forward(numbers(2, 5, 3))[0])
      const expected = gradients((x) => layer.forward(x)[0])()
      compile(gradients(byScan))().forEach((g, i) => expectClose(g, expected[i]))
    })
  })

  describe('nesting', () => {
    test('cond in scan in scan', () => {
      const f = (x: Tensor, ys: Tensor) =>
        scan(
          (c, y) => {
            const inner = scan(
              (d, z) => [
                cond(
                  z.gt(0),
                  (e) => e.mul(z).add(x),
                  (e) => e.sin(),
                  d,
                ),
                d,
              ],
              c,
              y,
            )
            return [inner[0], inner[1].sum()]
          },
          x,
          ys,
        )[1].sum()
      expectSame((x, ys) => f(x!, ys!), [tensor(0.7), numbers(3, 4)])
    })

    test('scan in cond', () => {
      const f = (x: Tensor) =>
        cond(
          x.sum().gt(-100),
          (a) => scan((c, b) => [c.mul(b), c], tensor(1), a)[1].sum(),
          (a) => a.sum(),
          x,
        )
      expectSame((x) => f(x!), [numbers(4)])
    })

    test('a compiled function within', () => {
      const inner = compile((x: Tensor) =>
        cond(
          x.gt(0),
          () => x.mul(2),
          () => x.mul(3),
        ),
      )
      const f = (xs: Tensor) => scan((c, x) => [c.add(inner(x)), null], tensor(0), xs)[0]
      expectClose(compile(f)(numbers(5)), f(numbers(5)))
    })
  })

  describe('whileLoop', () => {
    const newton = (a: Tensor, options = {}) =>
      whileLoop(
        ({ x }) => x.square().sub(a).abs().gt(a.mul(1e-5)).any(),
        ({ x, n }) => ({ x: x.add(a.div(x)).mul(0.5), n: n.add(1) }),
        { x: a, n: tensor(0, { dtype: 'int32' }) },
        options,
      )

    test('takes as many rounds as each run needs', () => {
      const f = compile(newton)
      for (const a of [1, 2, 1000]) {
        const [compiled, eager] = [f(tensor([a])), newton(tensor([a]))]
        expectClose(compiled.x, eager.x)
        expectClose(compiled.n, eager.n)
      }
      expect(f.specializations.length).toBe(1)
    })

    test('its gradient needs to know how often', () => {
      expectSame((a) => newton(a!, { maxIterations: 12 }).x, [tensor([2, 3])], 3)
      const bare = compile((a: Tensor) => grad((b: Tensor) => newton(b).x.sum())(a))
      expect(codeOf(() => bare(tensor([2])))[1]).toMatch(/maxIterations/)
    })

    test('maxIterations ends it', () => {
      const f = (x: Tensor) =>
        whileLoop(
          (s) => s.gt(0),
          (s) => s.add(1),
          x,
          { maxIterations: 3 },
        )
      expect(compile(f)(tensor(1)).item()).toBe(4)
      expect(f(tensor(1)).item()).toBe(4)
    })
  })

  describe('random numbers', () => {
    const walk = (x: Tensor) => scan((c) => [c.add(uniform([2])), uniform([])], x, null, { length: 4 })

    test('each round draws new ones, as eager code does', () => {
      const run = (f: typeof walk) => {
        manualSeed(7)
        return [f(zeros([2])), f(zeros([2]))].flatMap(([a, b]) => [a, b])
      }
      const eager = run(walk)
      run(compile(walk)).forEach((x, i) => expectClose(x, eager[i]))
      manualSeed(7)
      compile(walk)(zeros([2]))
      expect(defaultGenerator.state.calls).toBe(8)
    })

    test('the gradient sees those that the values were made with', () => {
      const f = (x: Tensor) =>
        scan(
          (c, y) => {
            const noisy = c.mul(uniform([]))
            return [
              cond(
                y.gt(0),
                (d) => d.mul(uniform([])).add(y),
                (d) => d,
                noisy,
              ),
              noisy,
            ]
          },
          x.sum(),
          x,
        )[0]
      const both = (x: Tensor) => {
        const v = x.detach().setRequiresGrad()
        const y = f(v)
        y.backward()
        return [y.detach(), v.grad!]
      }
      const run = (g: typeof both) => {
        manualSeed(9)
        return g(numbers(5))
      }
      const eager = run(both)
      run(compile(both)).forEach((x, i) => expectClose(x, eager[i]))
      const first = (x: Tensor) => grad((y: Tensor) => f(y).square())(x)
      const second = (x: Tensor) => grad((y: Tensor) => first(y).sum())(x)
      manualSeed(9)
      const expected = second(numbers(5))
      manualSeed(9)
      expectClose(compile(second)(numbers(5)), expected)
    })
  })

  describe('print and check', () => {
    const printed = (body: () => unknown): string[] => {
      const log = vi.spyOn(console, 'log').mockImplementation(() => {})
      try {
        body()
        return log.mock.calls.map((call) => call.join(' '))
      } finally {
        log.mockRestore()
      }
    }

    test('prints on each run, in order, once in gradients', () => {
      const f = (x: Tensor) => {
        print('first {} of {}', x.sum(), 'x')
        const [y] = scan(
          (c, z) => {
            print('round', z)
            return [c.mul(z), null]
          },
          tensor(1),
          x,
        )
        print('last {}', y)
        return y
      }
      const g = (x: Tensor) => grad(f)(x)
      const eager = printed(() => g(tensor([2, 3])))
      expect(eager.map((line) => line.split(' ')[0])).toEqual(['first', 'round', 'round', 'last'])
      const compiled = compile(g)
      expect(printed(() => compiled(tensor([2, 3])))).toEqual(eager)
      expect(printed(() => compiled(tensor([2, 3])))).toEqual(eager)
      expect(eager[0]).toMatch(/first tensor\(5.*\) of x/)
    })

    test('a failed check says its message and the line', () => {
      const f = (x: Tensor) => {
        check(x.gt(0), 'all must be positive')
        return x.log()
      }
      for (const g of [f, compile(f)]) {
        expectClose(g(tensor([1, 2])), tensor([1, 2]).log())
        const [code, message] = codeOf(() => g(tensor([1, -2])))
        expect(code).toBe('check-failed')
        expect(message).toMatch(/all must be positive; checked at .*compile-control\.test\.ts/)
        expectClose(g(tensor([1, 2])), tensor([1, 2]).log())
      }
      expect(codeOf(() => check(false, 'never'))[0]).toBe('check-failed')
    })

    test('checks run in loops, too', () => {
      const f = compile((x: Tensor) =>
        scan(
          (c, y) => {
            check(y.lt(3), 'too large')
            return [c.add(y), null]
          },
          tensor(0),
          x,
        ),
      )
      expect(f(tensor([1, 2]))[0].item()).toBe(3)
      expect(codeOf(() => f(tensor([1, 4])))[0]).toBe('check-failed')
    })
  })

  test('loops run within vmap and jvp', () => {
    const f = (x: Tensor) => scan((c, y) => [c.mul(y), c], tensor(1), x)[0]
    expectClose(vmap(f)(numbers(3, 4)), numbers(3, 4).prod(1))
    expectClose(compile(vmap(f))(numbers(3, 4)), numbers(3, 4).prod(1))
    const tangent = (x: Tensor) => jvp(f, [x], [x])[1]
    expectClose(compile(tangent)(numbers(4)), tangent(numbers(4)))
  })
})

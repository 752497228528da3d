import { describe, expect, it } from 'vitest'
import { compile, cond, grad, print, check, scan, tensor, type Tensor, whileLoop, manualSeed, rand, zeros } from '../src/index.ts'

const close = (a: Tensor, b: Tensor, digits = 5) => {
  expect(a.shape).toEqual(b.shape)
  const [x, y] = [a.dataSync(), b.dataSync()]
  for (let i = 0; i < x.length; i++) expect(Number(x[i])).toBeCloseTo(Number(y[i]), digits)
}

describe('cond', () => {
  const f = (p: Tensor, x: Tensor) =>
    cond(
      p.sum().gt(0),
      (a) => a.mul(a).mul(a),
      (a) => a.sin(),
      x,
    )
  it('runs the branch that the predicate has', () => {
    const g = compile(f)
    const x = tensor([1, 2, 3])
    for (const p of [1, -1]) close(g(tensor([p]), x), f(tensor([p]), x))
    expect(g.specializations.length).toBe(1)
  })
  it('has gradients of first and second order', () => {
    const first = (p: Tensor, x: Tensor) => grad((y: Tensor) => f(p, y).sum())(x)
    const second = (p: Tensor, x: Tensor) => grad((y: Tensor) => first(p, y).sum())(x)
    const x = tensor([1, 2, 3])
    for (const p of [1, -1]) {
      close(compile(first)(tensor([p]), x), first(tensor([p]), x))
      close(compile(second)(tensor([p]), x), second(tensor([p]), x))
    }
  })
})

describe('scan', () => {
  const w = tensor([0.5, -0.3]).setRequiresGrad()
  const f = (h: Tensor, xs: Tensor) =>
    scan(
      (c, x) => {
        const next = c.mul(w).add(x).tanh()
        return [next, next.mul(2)]
      },
      h,
      xs,
    )
  it('loops', () => {
    const xs = tensor([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
    const h = tensor([0.1, 0.2])
    const [a, b] = compile(f)(h, xs)
    const [c, d] = f(h, xs)
    close(a, c)
    close(b, d)
    const loss = (k: Tensor, ys: Tensor) => {
      const [e, g] = f(k, ys)
      return e.sum().add(g.mul(g).sum())
    }
    const first = (k: Tensor, ys: Tensor) => grad(loss, { argnums: [0, 1] })(k, ys) as Tensor[]
    const [p, q] = compile(first)(h, xs)
    const [r, s] = first(h, xs)
    close(p!, r!)
    close(q!, s!)
    const second = (k: Tensor, ys: Tensor) => grad((z: Tensor) => first(k, z)[1]!.sin().sum())(ys)
    close(compile(second)(h, xs), second(h, xs))
    const back = (k: Tensor, ys: Tensor) => {
      w.grad = null
      loss(k, ys).backward()
      return w.grad!
    }
    const eager = back(h, xs)
    close(compile(back)(h, xs), eager)
  })
})

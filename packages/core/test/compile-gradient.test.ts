import {
  checkpoint,
  compile,
  CotangentError,
  defaultGenerator,
  dropout,
  explain,
  grad,
  manualSeed,
  nn,
  noGrad,
  optim,
  type Tensor,
  tensor,
  uniform,
} from 'cotangent'
import { describe, expect, test } from 'vitest'

const expectClose = (a: Tensor | null | undefined, b: Tensor | null | undefined) => {
  expect(a?.shape).toEqual(b?.shape)
  const [x, y] = [[...a!.dataSync()], [...b!.dataSync()]]
  x.forEach((v, i) => expect(Number(v)).toBeCloseTo(Number(y[i]), 4))
}

const numbers = (...shape: number[]) => {
  const size = shape.reduce((a, b) => a * b, 1)
  return tensor(
    Array.from({ length: size }, (_, i) => Math.sin(i * 1.7 + size)),
    { shape },
  ) as Tensor
}

describe('backward through a compiled function', () => {
  test('reaches captured parameters and arguments, as eager does', () => {
    const w = numbers(3, 2).setRequiresGrad()
    const b = numbers(2).setRequiresGrad()
    const f = (x: Tensor) => x.linear(w, b).tanh().softmax(-1)
    const compiled = compile(f)
    const run = (g: typeof f) => {
      w.grad = b.grad = null
      const x = numbers(4, 3).setRequiresGrad()
      const y = g(x.mul(2))
      y.mul(y).sum().backward()
      return [y.detach(), x.grad, w.grad, b.grad]
    }
    const expected = run(f)
    for (let i = 0; i < 3; i++) run(compiled).forEach((x, at) => expectClose(x, expected[at]))
    expect(compiled.specializations).toHaveLength(1)
  })

  test('several results, some without a gradient, used or not', () => {
    const w = numbers(3).setRequiresGrad()
    const f = (x: Tensor) => ({ a: x.mul(w).exp(), b: w.sum(), n: x.argmax(-1), c: x.add(1), name: 'f' })
    const compiled = compile(f)
    for (const g of [f, compiled]) {
      const { a, b, n, c, name } = g(numbers(2, 3))
      expect([a, b, n, c].map((y) => y.requiresGrad)).toEqual([true, true, false, false])
      expect(name).toBe('f')
    }
    const gradient = (g: typeof f, use: (r: ReturnType<typeof f>) => Tensor) => {
      w.grad = null
      use(g(numbers(2, 3))).backward()
      return w.grad as Tensor | null
    }
    for (const use of [
      (r: ReturnType<typeof f>) => r.a.sum(),
      (r: ReturnType<typeof f>) => r.b.mul(3),
      (r: ReturnType<typeof f>) => r.b.mul(r.a.sum()),
    ])
      expectClose(gradient(compiled, use), gradient(f, use))
  })

  test('grad() of a compiled function, and a compiled function of grad()', () => {
    const f = (x: Tensor) => x.sin().mul(x).sum()
    const x = numbers(5)
    expectClose(grad(compile(f))(x), grad(f)(x))
    expectClose(compile(grad(f))(x), grad(f)(x))
    const second = (g: (x: Tensor) => Tensor) => grad((y: Tensor) => grad(g)(y).sum())(x)
    expect(() => second(compile(f))).toThrow(
      expect.objectContaining({ code: 'unsupported', hint: expect.stringContaining('compile((x) => grad(f)(x))') }),
    )
    expectClose(compile((y: Tensor) => grad((z: Tensor) => grad(f)(z).sum())(y))(x), second(f))
  })

  test('a compiled layer within an eager training step', () => {
    const train = (wrap: boolean) => {
      manualSeed(3)
      const model = new nn.Sequential(new nn.Linear(4, 8), new nn.BatchNorm1d(8), new nn.ReLU(), new nn.Dropout(0.3), new nn.Linear(8, 1))
      const forward = wrap
        ? compile((x: Tensor) => model.forward(x as never) as Tensor)
        : (x: Tensor) => model.forward(x as never) as Tensor
      const optimizer = new optim.Adam(model, { lr: 0.05 })
      const losses: number[] = []
      for (let i = 0; i < 5; i++) {
        const loss = forward(numbers(6, 4)).square().mean()
        optimizer.zeroGrad()
        loss.backward()
        optimizer.step()
        losses.push(loss.item())
      }
      return losses
    }
    const expected = train(false)
    train(true).forEach((loss, i) => expect(loss).toBeCloseTo(expected[i]!, 4))
  })

  test('values changed in place in between are noticed', () => {
    const w = numbers(3).setRequiresGrad()
    const f = compile((x: Tensor) => x.mul(w).exp())
    const y = f(numbers(3).setRequiresGrad())
    noGrad(() => w.assign(0))
    expect(() => y.sum().backward()).toThrow(expect.objectContaining({ code: 'modified-in-place' }))
  })

  test('what its own backward() has let go is an error only when asked for', () => {
    const w = numbers(3).setRequiresGrad()
    const f = compile((x: Tensor) => {
      const loss = x.mul(w).square().sum()
      loss.backward()
      return loss
    })
    const loss = f(numbers(3))
    expect(w.grad).not.toBeNull()
    expect(loss.requiresGrad).toBe(true)
    expect(() => loss.backward()).toThrow(expect.objectContaining({ code: 'released-tensor' }))
  })

  test('backward() twice needs retainGraph; hooks run once', () => {
    const w = numbers(3).setRequiresGrad()
    let calls = 0
    w.registerHook((g) => {
      calls++
      return g.mul(2)
    })
    const y = compile((x: Tensor) => x.mul(w).sum())(numbers(3))
    y.backward({ retainGraph: true })
    expectClose(w.grad, numbers(3).mul(2))
    y.backward()
    expectClose(w.grad, numbers(3).mul(4))
    expect(calls).toBe(2)
    expect(() => y.backward()).toThrow(expect.objectContaining({ code: 'released-tensor' }))
  })

  test('the gradients of arguments inside, and accumulation', () => {
    const f = (x: Tensor) => {
      x.square().sum().backward()
      return x.grad!
    }
    const compiled = compile(f)
    for (const g of [f, compiled]) {
      const x = numbers(3).setRequiresGrad()
      g(x)
      expectClose(x.grad, numbers(3).mul(2))
      g(x)
      expectClose(x.grad, numbers(3).mul(4))
      const other = numbers(3).setRequiresGrad()
      g(other)
      expectClose(other.grad, numbers(3).mul(2))
      expectClose(x.grad, numbers(3).mul(4))
    }
  })

  test('dropout: the backward pass sees the mask of its own call', () => {
    const x = numbers(20)
    const w = numbers(20).setRequiresGrad()
    const f = (y: Tensor) => dropout(y.mul(w), 0.5)
    const run = (g: typeof f) => {
      manualSeed(5)
      w.grad = null
      const [first, second] = [g(x), g(x)]
      first.sum().backward()
      const a = w.grad as unknown as Tensor
      w.grad = null
      second.sum().backward()
      return [first, second, a, w.grad as unknown as Tensor]
    }
    const expected = run(f)
    run(compile(f)).forEach((y, i) => expectClose(y, expected[i]))
    expect(defaultGenerator.state.calls).toBe(2)
  })

  test('checkpoint() inside and around', () => {
    const w = numbers(3, 3).setRequiresGrad()
    const block = (x: Tensor) => x.matmul(w).tanh().matmul(w)
    const inside = compile((x: Tensor) => checkpoint(() => block(x)))
    const compiled = compile(block)
    const gradient = (g: typeof block) => {
      w.grad = null
      g(numbers(2, 3)).sum().backward()
      return w.grad
    }
    const expected = gradient(block)
    expectClose(gradient(inside), expected)
    expectClose(
      gradient((x) => checkpoint(() => compiled(x))),
      expected,
    )
  })

  test('what checkpoint() forgets is computed again, not kept', () => {
    const w = numbers(64, 64).setRequiresGrad()
    const blocks = Array.from({ length: 6 }, () => (x: Tensor) => x.matmul(w).tanh().matmul(w).sigmoid() as Tensor)
    const step = (through: (block: (x: Tensor) => Tensor, x: Tensor) => Tensor) => (x: Tensor) => {
      const loss = blocks.reduce((h, block) => through(block, h), x).sum()
      loss.backward()
      return loss
    }
    const x = numbers(512, 64)
    const kept = explain(
      step((block, h) => block(h)),
      x,
    ).total
    const forgotten = explain(
      step((block, h) => checkpoint(() => block(h))),
      x,
    ).total
    expect(forgotten.flops).toBeGreaterThan(kept.flops * 1.15)
    expect(forgotten.arenaBytes).toBeLessThan(kept.arenaBytes * 0.75)
  })

  test('no gradients, no tape', () => {
    const w = numbers(3).setRequiresGrad()
    const f = compile((x: Tensor) => x.mul(w))
    expect(noGrad(() => f(numbers(3))).requiresGrad).toBe(false)
    expect(f(numbers(3)).requiresGrad).toBe(true)
    w.requiresGrad = false
    expect(f(numbers(3)).requiresGrad).toBe(false)
    w.requiresGrad = true
    expect(f(numbers(3)).requiresGrad).toBe(true)
    expect(f.specializations).toHaveLength(3)
  })

  test('a captured result of recorded ops is refused when its gradient is asked for', () => {
    const w = numbers(3).setRequiresGrad()
    const h = w.mul(2)
    const y = compile((x: Tensor) => x.mul(h).sum())(numbers(3))
    expect(() => y.backward()).toThrow(
      expect.objectContaining({ code: 'unsupported', hint: expect.stringContaining('Pass that tensor as an argument') }),
    )
  })

  test('arguments and captured tensors that come back are themselves', () => {
    const w = numbers(3).setRequiresGrad()
    const x = uniform([3]) as Tensor
    const [a, b, c] = compile((y: Tensor) => [y, w, y.add(1)] as const)(x)
    expect(a).toBe(x)
    expect(b).toBe(w)
    expectClose(c, x.add(1))
    expect(CotangentError).toBeDefined()
  })
})

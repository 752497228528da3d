import { describe, expect, test } from 'vitest'
import {
  checkpoint,
  enableGrad,
  grad,
  gradCheck,
  manualSeed,
  nn,
  noGrad,
  normal,
  ones,
  optim,
  type Tensor,
  tensor,
  valueAndGrad,
  zeros,
} from '../index.ts'

const numbers = (x: Tensor | null) => [...x!.dataSync()].map(Number)

describe('backward', () => {
  test('adds to the gradients of leaves, through values used more than once', () => {
    const x = tensor([2, 3], { requiresGrad: true })
    const y = x.mul(x)
    y.add(y).mul(x).sum().backward()
    expect(numbers(x.grad)).toEqual([24, 54])
    x.sum().backward()
    expect(numbers(x.grad)).toEqual([25, 55])
  })

  test('takes the gradient of a result that is not a number', () => {
    const x = tensor([1, 2, 3], { requiresGrad: true })
    x.square().backward({ gradient: tensor([1, 10, 100]) })
    expect(numbers(x.grad)).toEqual([2, 40, 600])
  })

  test('walks a graph again only if told to keep it', () => {
    const x = tensor(3, { requiresGrad: true })
    const y = x.exp().mul(x)
    y.backward({ retainGraph: true })
    const once = x.grad!.item()
    y.backward()
    expect(x.grad!.item()).toBeCloseTo(2 * once)
    expect(() => y.backward()).toThrow(expect.objectContaining({ code: 'released-tensor', hint: expect.stringContaining('retainGraph') }))
  })

  test('detach, noGrad and requiresGrad cut the graph', () => {
    const x = tensor([1, 2], { requiresGrad: true })
    expect(x.detach().mul(2).requiresGrad).toBe(false)
    expect(noGrad(() => x.mul(2)).requiresGrad).toBe(false)
    expect(noGrad(() => enableGrad(() => x.mul(2))).requiresGrad).toBe(true)
    x.mul(x.detach()).sum().backward()
    expect(numbers(x.grad)).toEqual([1, 2])
    const y = tensor([1, 2], { requiresGrad: true }).setRequiresGrad(false)
    expect(y.mul(2).requiresGrad).toBe(false)
  })

  test('notices that a saved value was overwritten', () => {
    const x = tensor([1, 2], { requiresGrad: true })
    const y = x.exp()
    const z = y.mul(y)
    noGrad(() => y.assign(tensor([0, 0])))
    expect(() => z.sum().backward()).toThrow(expect.objectContaining({ code: 'modified-in-place', op: 'mul' }))
  })
})

describe('memory of gradients', () => {
  const n = 5000
  const leaf = () => zeros([n], { requiresGrad: true })

  test('goes back with the gradient if nobody has seen it', () => {
    const [x, y] = [leaf(), leaf()]
    const step = () => {
      x.mul(2).add(y.mul(3)).sum().backward()
      x.grad = null
      y.grad = null
    }
    step()
    const { storage } = (() => {
      x.mul(2).sum().backward()
      return x.unseenGrad!
    })()
    // A second gradient is added to it, into memory of its own.
    x.mul(5).sum().backward()
    expect(storage.released).toBe(true)
    const sum = x.unseenGrad!.storage
    x.grad = null
    expect(sum.released).toBe(true)
    const optimizer = new optim.Adam([x, y], { lr: 0.1 })
    x.mul(y).sum().backward()
    optimizer.step()
    const { storage: used } = x.unseenGrad!
    optimizer.zeroGrad()
    expect(used.released).toBe(true)
  })

  test('stays where somebody has it', () => {
    const [x, y] = [leaf(), leaf()]
    const optimizer = new optim.SGD([x, y], { lr: 1 })
    x.mul(2).sum().backward()
    const seen = x.grad!
    const view = seen.slice([1, 3])
    optimizer.zeroGrad()
    expect(numbers(view)).toEqual([2, 2])
    // One gradient of two leaves, which is also what was passed.
    const gradient = ones([n]).mul(3)
    x.add(y).backward({ gradient })
    const both = y.unseenGrad!
    x.grad = null
    expect(both.storage.released).toBe(false)
    y.grad = null
    expect(numbers(gradient).every((g) => g === 3)).toBe(true)
    // One that is made once and goes to both.
    x.add(y).mul(2).sum().backward()
    x.grad = null
    expect(numbers(y.grad).every((g) => g === 2)).toBe(true)
    // What a hook has seen.
    let hooked: Tensor | undefined
    x.registerHook((g) => void (hooked = g))
    x.mul(4).sum().backward()
    x.grad = null
    expect(numbers(hooked!).every((g) => g === 4)).toBe(true)
    // Gradients that are recorded belong to what is computed from them.
    x.square().sum().backward({ createGraph: true })
    const first = x.unseenGrad!
    x.grad = null
    expect(first.storage.released).toBe(false)
  })
})

describe('hooks', () => {
  test('see a gradient and may replace it, on leaves and between', () => {
    const x = tensor([1, 2], { requiresGrad: true })
    const y = x.mul(3)
    const seen: number[][] = []
    const remove = y.registerHook((g) => {
      seen.push(numbers(g))
      return g.mul(10)
    })
    y.mul(2).sum().backward({ retainGraph: true })
    expect(seen).toEqual([[2, 2]])
    expect(numbers(x.grad)).toEqual([60, 60])
    remove()
    x.grad = null
    x.registerHook((g) => g.neg())
    y.mul(2).sum().backward()
    expect(numbers(x.grad)).toEqual([-6, -6])
  })

  test('a gradient that a hook kept stays readable', () => {
    const x = tensor([1, 2], { requiresGrad: true })
    const y = x.exp()
    let kept: Tensor | undefined
    y.registerHook((g) => {
      kept = g
      return undefined
    })
    y.mul(y).sum().backward()
    expect(numbers(kept!)[0]).toBeCloseTo(2 * Math.E)
  })
})

describe('grad', () => {
  test('differentiates trees of tensors, and several arguments', () => {
    const f = (p: { w: Tensor; b: Tensor }, x: Tensor) => p.w.mul(x).add(p.b).square().sum()
    const p = { w: tensor([1, 2]), b: tensor([0, 1]) }
    const x = tensor([3, -1])
    const g = grad(f)(p, x)
    expect(numbers(g.w)).toEqual([18, 2])
    expect(numbers(g.b)).toEqual([6, -2])
    const [value, [, gx]] = valueAndGrad(f, { argnums: [0, 1] })(p, x) as [Tensor, [unknown, Tensor]]
    expect(value.item()).toBe(10)
    expect(numbers(gx)).toEqual([6, -4])
  })

  test('of any order', () => {
    const f = (x: Tensor) => x.sin().sum()
    const third = grad((x: Tensor) => grad((y: Tensor) => grad(f)(y).sum())(x).sum())
    expect(third(tensor([0.3])).item()).toBeCloseTo(-Math.cos(0.3), 5)
  })

  test('is zero for what the result does not depend on', () => {
    expect(numbers(grad((x: Tensor, y: Tensor) => y.sum().add(x.detach().sum()))(tensor([1, 2]), tensor([3])))).toEqual([0, 0])
  })

  test('leaves .grad alone', () => {
    const w = tensor([1, 2], { requiresGrad: true })
    grad((x: Tensor) => x.mul(w).sum())(tensor([1, 1]))
    expect(w.grad).toBeNull()
  })

  test('computes no gradient that nobody asked for', () => {
    const w = normal([3, 4], { requiresGrad: true })
    const seen: string[] = []
    const hidden = w.mul(2)
    hidden.registerHook(() => {
      seen.push('weight')
      return undefined
    })
    const x = normal([2, 3])
    const f = (h: Tensor) => h.matmul(hidden).square().sum()
    const g = grad(f)(x)
    expect(seen).toEqual([])
    const y = x.detach().setRequiresGrad()
    f(y).backward()
    expect(seen).toEqual(['weight'])
    expect(numbers(g)).toEqual(numbers(y.grad))
  })

  test('refuses functions that do not give one number', () => {
    expect(() => grad((x: Tensor) => x.mul(2))(tensor([1, 2]))).toThrow(expect.objectContaining({ code: 'shape-mismatch' }))
  })
})

describe('checkpoint', () => {
  test('gives the same gradients, of inputs and of parameters, of first and second order', () => {
    manualSeed(3)
    const layer = new nn.Linear(4, 4)
    const x = normal([3, 4], { requiresGrad: true })
    const block = (h: Tensor) =>
      layer
        .forward(h as Tensor<[3, 4]>)
        .tanh()
        .mul(h)
    const run = (wrap: (f: () => Tensor) => Tensor) => {
      x.grad = null
      layer.zeroGrad()
      wrap(() => block(x))
        .square()
        .sum()
        .backward()
      return [x.grad!, layer.weight.grad!, layer.bias!.grad!].map((g) => numbers(g as Tensor))
    }
    expect(run(checkpoint)).toEqual(run((f) => f()))
    const second = (wrap: (f: () => Tensor) => Tensor) =>
      numbers(
        grad((y: Tensor) =>
          grad((z: Tensor) => wrap(() => block(z)).sum())(y)
            .square()
            .sum(),
        )(x.detach()),
      )
    expect(second(checkpoint)).toEqual(second((f) => f()))
  })

  test('keeps less memory until the backward pass', () => {
    const x = normal([256, 256], { requiresGrad: true })
    const deep = () => Array.from({ length: 10 }).reduce((h: Tensor) => h.tanh(), x as Tensor)
    const held = (f: () => Tensor) => {
      const before = x.engine.memoryUse().inUse
      const y = f()
      x.engine.onPressure?.()
      const used = x.engine.memoryUse().inUse - before
      y.sum().backward()
      return used
    }
    x.engine.onPressure?.()
    const plain = held(deep)
    x.engine.onPressure?.()
    expect(held(() => checkpoint(deep))).toBeLessThan(plain / 4)
  })

  test('notices a function that does something else the second time', () => {
    const x = tensor([1, 2], { requiresGrad: true })
    let calls = 0
    const y = checkpoint(() => (calls++ === 0 ? x.exp().sin() : x.exp()))
    expect(() => y.sum().backward()).toThrow(/ran again/)
  })
})

describe('gradCheck', () => {
  test('accepts right gradients and refuses wrong ones', () => {
    const x = normal([2, 3], { dtype: 'float64' })
    expect(gradCheck((a: Tensor) => a.sin().mul(a), [x])).toEqual([])
    expect(gradCheck((a: Tensor) => a.mul(a.detach()), [x])).not.toEqual([])
  })
})

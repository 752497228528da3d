import {
  compile,
  concat,
  CotangentError,
  crossEntropy,
  dropout,
  gelu,
  grad,
  hessian,
  jacobian,
  jvp,
  manualSeed,
  matmul,
  nn,
  noGrad,
  normal,
  setEngine,
  stack,
  tensor,
  Tensor,
  tidy,
  vjp,
  vmap,
  where,
} from 'cotangent'
import { beforeEach, describe, expect, test } from 'vitest'

beforeEach(() => setEngine('reference'))

const t = (values: readonly number[], shape: readonly number[] = [values.length]) => tensor(values, { shape, dtype: 'float64' })
const numbers = (x: Tensor): number[] => Array.from(x.dataSync(), Number)
const wave = (shape: readonly number[], seed = 0): Tensor =>
  t(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(1.3 * i + seed)),
    shape,
  )

function expectClose(actual: unknown, expected: Tensor | readonly number[]): void {
  const wanted = expected instanceof Tensor ? numbers(expected) : expected
  if (expected instanceof Tensor) expect((actual as Tensor).shape).toEqual(expected.shape)
  numbers(actual as Tensor).forEach((v, i) => expect(v).toBeCloseTo(wanted[i]!, 9))
  expect((actual as Tensor).size).toBe(wanted.length)
}

const codeOf = (body: () => unknown): string | undefined => {
  try {
    body()
  } catch (error) {
    if (error instanceof CotangentError) return error.code
    throw error
  }
  return undefined
}

describe('jvp', () => {
  test('value and directional derivative, of trees', () => {
    const [value, moved] = jvp(
      ({ a, b }: { a: Tensor; b: Tensor }) => [a.mul(b), a.sin()],
      [{ a: t([2, 3]), b: t([5, 7]) }],
      [{ a: t([1, 0]), b: t([0, 1]) }],
    )
    expectClose(value[0], [10, 21])
    expectClose(moved[0], [5, 3])
    expectClose(moved[1], [Math.cos(2), 0])
  })

  test('what does not depend on the primals has tangent zero, what is detached too', () => {
    const [, moved] = jvp((x: Tensor) => [x.detach().mul(x), t([1, 2])], [t([3, 4])], [t([1, 1])])
    expectClose(moved[0], [3, 4])
    expectClose(moved[1], [0, 0])
  })

  test('nests: derivatives of any order', () => {
    const d = (f: (x: Tensor) => Tensor) => (x: Tensor) => jvp(f, [x], [x.newFull(x.shape, 1)])[1]
    expectClose(d(d(d((x) => x.pow(4))))(t([2])), [48])
    // No perturbation is taken for another: d/dx (x · d/dy (x + y)) = 1.
    expectClose(d((x) => x.mul(d((y) => x.add(y))(t([1]))))(t([1])), [1])
  })

  test('forward over reverse and reverse over forward are the Hessian times a vector', () => {
    const f = (x: Tensor) => x.pow(3).sum().add(x.prod())
    const [x, v] = [t([1, 2, 3]), t([1, -1, 0.5])]
    const expected = matmul(hessian(f)(x) as Tensor, v)
    expectClose(jvp(grad(f), [x], [v])[1], expected)
    expectClose(grad((y: Tensor) => jvp(f, [y], [v])[1])(x), expected)
  })

  test('where and custom adjoints', () => {
    const x = wave([2, 5], 1)
    const f = (y: Tensor) => where(y.gt(0), y.softmax(-1), gelu(y))
    const [, moved] = jvp(f, [x], [wave([2, 5], 3)])
    const h = 1e-6
    const at = (s: number) => f(x.add(wave([2, 5], 3).mul(s)))
    const numeric = at(h)
      .sub(at(-h))
      .div(2 * h)
    numbers(moved).forEach((v, i) => expect(v).toBeCloseTo(numbers(numeric)[i]!, 6))
  })

  test('errors', () => {
    const f = (x: Tensor) => x
    expect(codeOf(() => jvp(f, [t([1, 2])], [t([1])]))).toBe('shape-mismatch')
    expect(codeOf(() => jvp(f, [t([1, 2])], [] as never))).toBe('invalid-argument')
    expect(codeOf(() => jvp(f, [tensor([1], { dtype: 'int32' })], [tensor([1], { dtype: 'int32' })]))).toBe('dtype-mismatch')
    expect(codeOf(() => jvp((x: Tensor) => (x.item() > 0 ? x : x.neg()), [t([1])], [t([1])]))).toBe('tracer-read')
  })
})

describe('vjp', () => {
  test('pulls back any number of times', () => {
    const [value, pullback] = vjp((x: Tensor, y: Tensor) => x.mul(y), t([2, 3]), t([5, 7]))
    expectClose(value, [10, 21])
    expect(value.requiresGrad).toBe(false)
    expectClose(pullback(t([1, 0]))[0], [5, 0])
    expectClose(pullback(t([0, 1]))[1], [0, 3])
  })

  test('errors', () => {
    expect(codeOf(() => vjp((x: Tensor) => x, t([1]))[1](t([1, 2])))).toBe('shape-mismatch')
    expect(codeOf(() => vjp((x: Tensor) => x.size, t([1])))).toBe('invalid-argument')
  })
})

describe('vmap', () => {
  test('axes in and out', () => {
    const [x, y] = [wave([3, 4]), wave([4, 3])]
    expectClose(vmap((a: Tensor, b: Tensor) => a.mul(b).sum(), { inAxes: [0, 1] })(x, y), x.mul(y.T).sum(1))
    expectClose(vmap((a: Tensor) => a.mul(2), { inAxes: -1, outAxes: 1 })(x), x.mul(2))
    expectClose(
      vmap(({ a, b }: { a: Tensor; b: Tensor }) => a.add(b), { inAxes: [{ a: 0, b: null }] })({ a: x, b: y.select(1, 0) }),
      x.add(y.select(1, 0)),
    )
    const [same, own] = vmap((a: Tensor) => [y, a] as const, { outAxes: [null, 0] })(x)
    expectClose(same, y)
    expectClose(own, x)
    expectClose(vmap((y: Tensor) => (y.sum(), t([1, 2])))(x), [1, 2, 1, 2, 1, 2])
  })

  test('inside, tensors have the shape of one example', () => {
    vmap((x: Tensor) => {
      expect(x.shape).toEqual([4])
      expect(x.unsqueeze(0).shape).toEqual([1, 4])
      return x
    })(wave([3, 4]))
  })

  test('nests: pairwise distances', () => {
    const [a, b] = [wave([3, 2]), wave([4, 2], 5)]
    const distance = (x: Tensor, y: Tensor) => x.sub(y).square().sum()
    const pairwise = vmap((x: Tensor) => vmap((y: Tensor) => distance(x, y))(b))(a)
    expectClose(pairwise, a.unsqueeze(1).sub(b).square().sum(-1))
    expectClose(
      vmap(vmap(matmul as (x: Tensor, y: Tensor) => Tensor))(wave([2, 3, 4, 5]), wave([2, 3, 5, 1])),
      matmul(wave([2, 3, 4, 5]), wave([2, 3, 5, 1])),
    )
  })

  test('gradients and tangents on both sides', () => {
    const f = (x: Tensor) => x.pow(3).sum()
    const x = wave([3, 4])
    expectClose(vmap(grad(f))(x), x.square().mul(3))
    expectClose(grad((y: Tensor) => vmap(f)(y).sum())(x), x.square().mul(3))
    expectClose(grad((y: Tensor) => vmap(grad(f))(y).sum())(x), x.mul(6))
    expectClose(vmap((y: Tensor) => jvp(f, [y], [y])[1])(x), x.pow(3).mul(3).sum(1))
    expectClose(jvp((y: Tensor) => vmap(grad(f))(y), [x], [x])[1], x.square().mul(6))
    expectClose(vmap(grad((y: Tensor) => grad(f)(y).sum()))(x), x.mul(6))
    // detach() cuts off those around, too.
    expectClose(grad((y: Tensor) => vmap((row: Tensor) => row.detach().mul(row))(y).sum())(x), x)
  })

  test('leaves no recorded graph behind', () => {
    const w = t([1, 2])
    const out = vmap((x: Tensor) => grad((v: Tensor) => v.mul(x).sum())(w))(wave([3, 2]))
    expect(out.requiresGrad).toBe(false)
  })

  test('under tidy and noGrad, and inside compile', () => {
    const f = (x: Tensor) => tidy(() => x.mul(2).exp())
    const x = wave([3, 2])
    expectClose(
      tidy(() => noGrad(() => vmap(f)(x))),
      x.mul(2).exp(),
    )
    const compiled = compile((y: Tensor) => vmap(grad((row: Tensor) => row.exp().sum()))(y))
    expectClose(compiled(x), x.exp())
    expectClose(compiled(x), x.exp())
    expectClose(vmap(compile(f))(x), x.mul(2).exp())
  })

  test('random ops', () => {
    const x = t(new Array(60).fill(1), [3, 20])
    expect(codeOf(() => vmap((y: Tensor) => dropout(y))(x))).toBe('invalid-argument')
    const rows = (y: Tensor) => y.toArray() as number[][]
    for (const f of [(y: Tensor) => dropout(y, 0.5), (y: Tensor) => y.mul(normal([20], { dtype: 'float64' }))]) {
      manualSeed(3)
      const [a, b] = rows(vmap(f, { randomness: 'same' })(x))
      expect(a).toEqual(b)
      const [c, d] = rows(vmap(f, { randomness: 'different' })(x))
      expect(c).not.toEqual(d)
    }
    // The gradient draws the same mask again.
    const both = vmap((y: Tensor) => [dropout(y, 0.5), y], { randomness: 'different' })
    const variable = x.clone().setRequiresGrad()
    const [dropped] = both(variable) as [Tensor, Tensor]
    dropped.sum().backward()
    expectClose(variable.grad, dropped.detach())
  })

  test('errors', () => {
    const f = (x: Tensor) => x
    expect(codeOf(() => vmap(f, { inAxes: null })(t([1])))).toBe('invalid-argument')
    expect(codeOf(() => vmap(f, { inAxes: [0, 0] })(t([1])))).toBe('invalid-argument')
    expect(codeOf(() => vmap((a: Tensor, b: Tensor) => a.add(b))(t([1]), t([1, 2])))).toBe('shape-mismatch')
    expect(codeOf(() => vmap((x: { a: Tensor }) => x, { inAxes: [{ b: 0 }] })({ a: t([1]) }))).toBe('invalid-argument')
    expect(codeOf(() => vmap((a: Tensor) => [a, a], { outAxes: [0] })(t([1])))).toBe('invalid-argument')
    expect(codeOf(() => vmap(f)(tensor(1)))).toBe('axis-out-of-range')
    expect(codeOf(() => vmap(f, { outAxes: null })(t([1])))).toBe('invalid-argument')
    expect(codeOf(() => vmap((x: Tensor) => x.assign(0))(t([1])))).toBe('modified-in-place')
    const sum = t([0])
    expect(codeOf(() => vmap((x: Tensor) => sum.assign(x))(t([1])))).toBe('modified-in-place')
    expect(codeOf(() => vmap((x: Tensor) => (x.item() > 0 ? x : x.neg()))(t([1])))).toBe('tracer-read')
    let escaped: Tensor | undefined
    vmap((x: Tensor) => (escaped = x))(t([1]))
    expect(codeOf(() => escaped!.add(1))).toBe('tracer-read')
    const w = t([1]).setRequiresGrad()
    expect(codeOf(() => vmap((x: Tensor) => (x.mul(w).sum().backward(), x))(t([1, 2])))).toBe('unsupported')
  })
})

describe('jacobian and hessian', () => {
  const f = (x: Tensor) => concat([x.square(), x.sum().reshape([1]), x.prod().reshape([1])])

  test.each(['reverse', 'forward'] as const)('%s', (mode) => {
    expectClose(jacobian(f, { mode })(t([2, 3])), t([4, 0, 0, 6, 1, 1, 3, 2], [4, 2]))
    const [w, x] = [wave([3, 2]), wave([2])]
    const linear = jacobian(({ weight }: { weight: Tensor }, y: Tensor) => [matmul(weight, y)], { mode })
    const [found] = linear({ weight: w }, x) as unknown as [{ weight: Tensor }]
    expect(found.weight.shape).toEqual([3, 3, 2])
    expectClose(found.weight.select(0, 1).select(0, 1), x)
    expectClose(found.weight.select(0, 1).select(0, 0), [0, 0])
    expectClose(jacobian(jacobian(f, { mode }), { mode })(t([2, 3])).select(0, 3), t([0, 1, 1, 0], [2, 2]))
  })

  test('Hessian of Rosenbrock', () => {
    const rosenbrock = (x: Tensor) => {
      const [a, b] = [x.select(0, 0), x.select(0, 1)]
      return b.sub(a.square()).square().mul(100).add(a.neg().add(1).square())
    }
    expectClose(hessian(rosenbrock)(t([1.2, 0.7])), t([1200 * 1.44 - 280 + 2, -480, -480, 200], [2, 2]))
    const batch = wave([3, 2])
    const rows = [0, 1, 2].map((i) => hessian(rosenbrock)(batch.select(0, i)) as Tensor)
    expectClose(vmap(hessian(rosenbrock) as (x: Tensor) => Tensor)(batch), stack(rows))
  })
})

describe('models', () => {
  class Net extends nn.Module {
    conv = new nn.Conv2d(1, 3, 3, { padding: 1 })
    norm = new nn.LayerNorm(3)
    out = new nn.Linear(3, 2)
    forward(x: Tensor): Tensor {
      const hidden = (this.norm.forward(this.conv.forward(x) as never) as Tensor).relu()
      return this.out.forward(hidden.mean([1, 2]) as never) as Tensor
    }
  }

  test('per-example gradients are those of a loop', () => {
    manualSeed(1)
    const model = new Net().to('float64')
    const params = Object.fromEntries([...model.namedParameters()].map(([name, p]) => [name, p.detach()] as const)) as Record<
      string,
      Tensor
    >
    const [xs, ys] = [wave([4, 5, 5, 1]), tensor([0, 1, 1, 0], { dtype: 'int32' })]
    const loss = (p: Record<string, Tensor>, x: Tensor, y: Tensor): Tensor =>
      crossEntropy(nn.functionalCall(model, p, x.unsqueeze(0)), y.unsqueeze(0))
    const whole = vmap(grad(loss), { inAxes: [null, 0, 0] })(params, xs, ys)
    const each = [0, 1, 2, 3].map((i) => grad(loss)(params, xs.select(0, i), ys.select(0, i)))
    for (const name of Object.keys(params)) {
      expect(whole[name]!.requiresGrad).toBe(false)
      expectClose(whole[name], stack(each.map((g) => g[name]!)))
    }
    expect(model.parameters().every((p) => p instanceof nn.Parameter)).toBe(true)
  })

  test('an ensemble: models along an axis of their parameters', () => {
    const models = [0, 1, 2].map(() => new nn.Linear(4, 2).to('float64'))
    const params = { weight: stack(models.map((m) => m.weight.detach())), bias: stack(models.map((m) => m.bias!.detach())) } as Record<
      string,
      Tensor
    >
    const x = wave([5, 4])
    const all = vmap((p: Record<string, Tensor>) => nn.functionalCall(models[0]!, p, x) as Tensor)(params)
    expectClose(all, stack(models.map((m) => (m.forward(x as never) as Tensor).detach())))
  })

  test('functionalCall refuses what does not fit', () => {
    const model = new nn.Linear(2, 2)
    expect(codeOf(() => nn.functionalCall(model, { nothing: t([1]) }, t([1, 2])))).toBe('invalid-argument')
    expect(codeOf(() => nn.functionalCall(model, { bias: t([1]) }, t([1, 2])))).toBe('shape-mismatch')
  })
})

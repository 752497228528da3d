import { CotangentError, currentEngine, engineNames, nn, noGrad, ones, optim, setEngine, tensor, type Tensor, tidy, zeros } from 'cotangent'
import { describe, expect, test } from 'vitest'

const parameter = (values: number[], dtype: 'float32' | 'float64' = 'float32') => tensor(values, { dtype, requiresGrad: true })

function withGradient(values: number[], gradient: number[]): Tensor {
  const p = parameter(values)
  p.grad = tensor(gradient)
  return p
}

const listOf = (x: Tensor) => Array.from(x.dataSync(), Number)

const all = {
  SGD: (p: Tensor[]) => new optim.SGD(p, { lr: 0.1, momentum: 0.9 }),
  Adam: (p: Tensor[]) => new optim.Adam(p, { amsgrad: true }),
  AdamW: (p: Tensor[]) => new optim.AdamW(p),
  NAdam: (p: Tensor[]) => new optim.NAdam(p),
  RAdam: (p: Tensor[]) => new optim.RAdam(p),
  Adamax: (p: Tensor[]) => new optim.Adamax(p),
  RMSprop: (p: Tensor[]) => new optim.RMSprop(p, { centered: true, momentum: 0.5 }),
  Adagrad: (p: Tensor[]) => new optim.Adagrad(p, { initialAccumulatorValue: 0.1 }),
  Adadelta: (p: Tensor[]) => new optim.Adadelta(p),
  Adafactor: (p: Tensor[]) => new optim.Adafactor(p),
  Lion: (p: Tensor[]) => new optim.Lion(p, { weightDecay: 0.1 }),
  LAMB: (p: Tensor[]) => new optim.LAMB(p),
} as const

describe.each(engineNames())('on %s', (engine) => {
  test.each(Object.entries(all))('%s updates in place: same memory, higher version, nothing left behind', (_, make) => {
    setEngine(engine)
    const params: Tensor[] = [
      tensor(
        [
          [1, -2, 3],
          [0.5, 0, 4],
        ],
        { requiresGrad: true },
      ),
      parameter([1, 2]),
      tensor(3, { requiresGrad: true }),
    ]
    const optimizer = make(params)
    const gradients = params.map((p) => p.detach().mul(0.5).add(1))
    const places = params.map((p) => p.storage)
    const step = () => {
      params.forEach((p, i) => {
        p.grad = gradients[i]!
      })
      optimizer.step()
    }
    step()
    const version = params[0]!.version
    const inUse = currentEngine().memoryUse().inUse
    for (let i = 0; i < 200; i++) step()
    expect(currentEngine().memoryUse().inUse).toBe(inUse)
    expect(params.map((p) => p.storage)).toEqual(places)
    expect(params[0]!.version).toBe(version + 200)
    expect(params.every((p) => p.requiresGrad && p.isLeaf && listOf(p).every(Number.isFinite))).toBe(true)
  })

  test.each(Object.entries(all))('%s goes on from its saved state as if nothing had happened', (_, make) => {
    setEngine(engine)
    const start = (): Tensor[] => [
      tensor(
        [
          [1, -2, 3],
          [0.5, 0, 4],
        ],
        { requiresGrad: true },
      ),
      parameter([1, 2]),
    ]
    const gradient = (p: Tensor, step: number) => noGrad(() => p.mul(0.1 * (step % 3) + 0.2).sub(0.3))
    const train = (optimizer: optim.Optimizer, from: number, to: number) => {
      for (let step = from; step < to; step++) {
        for (const p of optimizer.params) p.grad = gradient(p, step)
        optimizer.step()
      }
    }
    const straight = make(start()) as optim.Optimizer
    train(straight, 0, 9)

    const before = make(start()) as optim.Optimizer
    train(before, 0, 5)
    const after = make(before.params.map((p) => p.detach().clone().setRequiresGrad())) as optim.Optimizer
    after.loadStateDict(before.stateDict())
    train(after, 5, 9)
    expect(after.params.map(listOf)).toEqual(straight.params.map(listOf))
  })
})

test('an optimiser of a view updates its own memory only', () => {
  const base = tensor([
    [1, 2],
    [3, 4],
    [5, 6],
  ])
  const column = (base as Tensor).transpose(0, 1).slice([1, 2]).setRequiresGrad()
  column.grad = ones(column.shape)
  new optim.SGD([column], { lr: 0.5 }).step()
  expect(base.toArray()).toEqual([
    [1, 1.5],
    [3, 3.5],
    [5, 5.5],
  ])
})

test('half precision parameters keep their dtype', () => {
  const p = tensor([1, 2], { dtype: 'bfloat16', requiresGrad: true })
  p.grad = tensor([1, -1], { dtype: 'bfloat16' })
  const optimizer = new optim.AdamW([p], { lr: 0.5, weightDecay: 0 })
  optimizer.step()
  expect(p.dtype).toBe('bfloat16')
  expect(listOf(p)).toEqual([0.5, 2.5])
})

describe('parameters', () => {
  test('of a module, by name', () => {
    const model = new nn.Linear(3, 2)
    const optimizer = new optim.SGD(model, { lr: 1 })
    expect(optimizer.paramGroups[0]!.names).toEqual(['weight', 'bias'])
    expect(optimizer.params).toEqual(model.parameters())
    expect(new optim.SGD(model.parameters()).params).toEqual(model.parameters())
    expect(new optim.SGD(model.namedParameters()).paramGroups[0]!.names).toEqual(['weight', 'bias'])
  })

  test('in groups, with options of their own', () => {
    const [a, b] = [withGradient([1], [1]), withGradient([1], [1])]
    const optimizer = new optim.SGD([{ params: [a] }, { params: b, lr: 0.25 }], { lr: 0.5 })
    optimizer.step()
    expect([a.item(), b.item()]).toEqual([0.5, 0.75])
    optimizer.lr = 1
    optimizer.step()
    expect([a.item(), b.item()]).toEqual([-0.5, -0.25])
    const late = withGradient([1], [1])
    optimizer.addParamGroup({ params: [late], lr: 0.125 })
    optimizer.step()
    expect(late.item()).toBe(0.875)
    expect(optimizer.lr).toBe(1)
  })

  test('without a gradient stay, and have no state', () => {
    const [a, b] = [withGradient([1], [1]), parameter([1])]
    const optimizer = new optim.Adam([a, b])
    optimizer.step()
    expect(b.item()).toBe(1)
    expect(Object.keys(optimizer.stateDict().state)).toEqual(['0'])
    optimizer.zeroGrad()
    expect(a.grad).toBe(null)
  })

  test.each<[string, () => unknown, RegExp]>([
    ['none', () => new optim.SGD([]), /SGD: there are no parameters/],
    ['none in a group', () => new optim.SGD([{ params: [] }]), /no parameters/],
    [
      'one twice',
      () => {
        const p = parameter([1])
        return new optim.SGD([{ params: [['w', p]] }, { params: [['v', p]] }])
      },
      /parameter v of group 1 appears twice/,
    ],
    ['integers', () => new optim.SGD([tensor([1, 2], { dtype: 'int32' })]), /parameter 0 is int32, and only floats/],
    ['no tensors', () => new optim.SGD([1 as never]), /parameter 0 is not a tensor but number/],
    ['computed', () => new optim.SGD([parameter([1]).mul(2)]), /computed from other tensors/],
    ['groups and tensors', () => new optim.SGD([{ params: [parameter([1])] }, parameter([1]) as never]), /in groups and some are not/],
    [
      'an unknown option',
      () => new optim.SGD([parameter([1])], { weight_decay: 1 } as never),
      /there is no option weight_decay.*The options are lr, momentum/,
    ],
    ['a negative rate', () => new optim.Adam([parameter([1])], { lr: -1 }), /lr is -1, not a number from 0 to Infinity/],
    ['a beta of 1', () => new optim.Adam([parameter([1])], { betas: [0.9, 1] }), /betas is \[0.9, 1\], not 2 numbers from 0 to below 1/],
    ['a rate that is text', () => new optim.Adam([parameter([1])], { lr: '0.1' as never }), /lr is "0.1", not a number/],
    ['Nesterov without momentum', () => new optim.SGD([parameter([1])], { nesterov: true }), /needs a momentum and no dampening/],
    [
      'a gradient of another shape',
      () => new optim.SGD([withGradient([1, 2], [1])]).step(),
      /another shape than its parameter.*\[1\], \[2\]/,
    ],
  ])('%s: a clear error', (_, run, message) => {
    expect(run).toThrow(CotangentError)
    expect(run).toThrow(message)
  })
})

describe('state', () => {
  const trained = (params: [string, Tensor][], options: Partial<optim.AdamOptions> = {}) => {
    const optimizer = new optim.Adam(params, options)
    for (const [, p] of params) p.grad = ones(p.shape)
    optimizer.step()
    return optimizer
  }

  test('is matched by name where there are names', () => {
    const saved = trained([
      ['a', parameter([1, 2])],
      ['b', parameter([3])],
    ]).stateDict()
    const other = new optim.Adam([
      ['b', parameter([3])],
      ['a', parameter([1, 2])],
    ])
    other.loadStateDict(saved)
    expect((other.stateDict().state[1]!.expAvg as Tensor).shape).toEqual([2])
  })

  test('brings its options and is a copy', () => {
    const from = trained([['a', parameter([1])]], { lr: 0.25, amsgrad: true })
    const to = new optim.Adam([['a', parameter([1])]])
    to.loadStateDict(from.stateDict())
    expect(to.paramGroups[0]).toMatchObject({ lr: 0.25, amsgrad: true })
    expect((to.stateDict().state[0]!.maxExpAvgSq as Tensor).storage).not.toBe((from.stateDict().state[0]!.maxExpAvgSq as Tensor).storage)
  })

  test('that does not fit changes nothing, and the error lists why', () => {
    const saved = trained([
      ['a', parameter([1, 2])],
      ['b', parameter([3])],
    ]).stateDict()
    const other = trained(
      [
        ['a', parameter([1, 2, 3])],
        ['c', parameter([3])],
      ],
      { lr: 0.5 },
    )
    expect(() => other.loadStateDict(saved)).toThrow(/a: expAvg has shape \[2\] instead of \[3\][^]*Nothing was loaded/)
    expect(() => other.loadStateDict(saved)).toThrow(/c is missing from group 0[^]*b of group 0 is not a parameter here/)
    expect(() => new optim.SGD([parameter([1])]).loadStateDict(saved as never)).toThrow(/there is no option betas/)
    expect(() => new optim.Adam([parameter([1])]).loadStateDict(saved)).toThrow(/group 0 has 1 parameters, in the state 2/)
    expect(other.lr).toBe(0.5)
    expect(listOf(other.stateDict().state[0]!.expAvg as Tensor)).toHaveLength(3)
  })

  test('outlives a tidy around the step', () => {
    const p = parameter([1])
    const optimizer = new optim.SGD([p], { lr: 1, momentum: 0.5 })
    for (let i = 0; i < 2; i++) {
      tidy(() => {
        p.mul(1).sum().backward()
        optim.clipGradNorm([p], 0.5)
        optimizer.step()
        optimizer.zeroGrad()
      })
    }
    expect(p.item()).toBeCloseTo(1 - 0.5 - 0.75, 5)
  })
})

describe('against the equations of the paper', () => {
  const start = [1, -2, 0.5, 3]
  const gradientAt = (step: number, i: number) => Math.sin(step * 3 + i) + (i === 2 ? 0.5 : 0)

  function run(make: (p: Tensor) => optim.Optimizer): number[] {
    const p = parameter(start, 'float64')
    const optimizer = make(p)
    for (let step = 1; step <= 20; step++) {
      p.grad = tensor(
        start.map((_, i) => gradientAt(step, i)),
        { dtype: 'float64' },
      )
      optimizer.step()
    }
    return listOf(p)
  }

  test.each([{ weightDecay: 0 }, { weightDecay: 0.1 }, { weightDecay: 0.1, maximize: true }])('Lion %o', (options) => {
    const [lr, b1, b2] = [0.01, 0.9, 0.8]
    const x = [...start]
    const m = start.map(() => 0)
    for (let step = 1; step <= 20; step++) {
      for (let i = 0; i < x.length; i++) {
        const g = gradientAt(step, i) * (options.maximize ? -1 : 1)
        x[i] = x[i]! - lr * (Math.sign(b1 * m[i]! + (1 - b1) * g) + options.weightDecay * x[i]!)
        m[i] = b2 * m[i]! + (1 - b2) * g
      }
    }
    run((p) => new optim.Lion([p], { lr, betas: [b1, b2], ...options })).forEach((v, i) => expect(v).toBeCloseTo(x[i]!, 10))
  })

  test.each([{ weightDecay: 0 }, { weightDecay: 0.1 }, { weightDecay: 0.1, maximize: true }, { weightDecay: 0.1, adapt: false }])(
    'LAMB %o',
    (options) => {
      const [lr, b1, b2, eps] = [0.01, 0.9, 0.8, 1e-6]
      let x = [...start]
      let m = start.map(() => 0)
      let v = start.map(() => 0)
      const size = (values: number[]) => Math.hypot(...values)
      for (let step = 1; step <= 20; step++) {
        const g = x.map((_, i) => gradientAt(step, i) * (options.maximize ? -1 : 1))
        m = m.map((mi, i) => b1 * mi + (1 - b1) * g[i]!)
        v = v.map((vi, i) => b2 * vi + (1 - b2) * g[i]! ** 2)
        const r = x.map((xi, i) => m[i]! / (1 - b1 ** step) / (Math.sqrt(v[i]! / (1 - b2 ** step)) + eps) + options.weightDecay * xi)
        const trust = options.adapt === false ? 1 : size(x) / size(r)
        x = x.map((xi, i) => xi - lr * trust * r[i]!)
      }
      run((p) => new optim.LAMB([p], { lr, betas: [b1, b2], eps, ...options })).forEach((value, i) => expect(value).toBeCloseTo(x[i]!, 10))
    },
  )

  test('LAMB takes plain steps from zero', () => {
    const p = zeros([3], { requiresGrad: true })
    p.grad = ones([3])
    new optim.LAMB([p], { lr: 0.5, eps: 0 }).step()
    listOf(p).forEach((v) => expect(v).toBeCloseTo(-0.5, 6))
  })

  test('Lion stays where there is no direction, and NaN shows', () => {
    const p = withGradient([1, 1], [0, Number.NaN])
    new optim.Lion([p]).step()
    expect(listOf(p)).toEqual([1, Number.NaN])
  })
})

describe('clipping', () => {
  test('replaces gradients, so what shares their memory stays', () => {
    const shared = tensor([3, 4])
    const [a, b] = [parameter([0, 0]), parameter([0, 0])]
    a.grad = b.grad = shared
    expect(optim.clipGradNorm([a, b], 1).item()).toBeCloseTo(Math.sqrt(50), 5)
    expect(listOf(shared)).toEqual([3, 4])
    expect(listOf(a.grad)[0]).toBeCloseTo(3 / Math.sqrt(50), 5)
    expect(listOf(b.grad)).toEqual(listOf(a.grad))
  })

  test('without gradients gives 0; refuses what makes no sense', () => {
    expect(optim.clipGradNorm([parameter([1])], 1).item()).toBe(0)
    expect(() => optim.clipGradNorm([parameter([1])], Number.NaN)).toThrow(/largest norm is NaN/)
    expect(() => optim.clipGradNorm([parameter([1])], 1, { normType: 0 })).toThrow(/no norm of order 0/)
    expect(() => optim.clipGradValue([parameter([1])], -1)).toThrow(/largest magnitude is -1/)
    expect(() => optim.clipGradNorm([withGradient([1], [Number.POSITIVE_INFINITY])], 1, { errorIfNonFinite: true })).toThrow(
      /norm of the gradients is Infinity/,
    )
  })
})

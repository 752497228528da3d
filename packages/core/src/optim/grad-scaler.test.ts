import {
  autocast,
  compile,
  CotangentError,
  decodeCheckpoint,
  encodeCheckpoint,
  manualSeed,
  nn,
  optim,
  setEngine,
  type Tensor,
  tensor,
  uniform,
} from 'cotangent'
import { beforeEach, describe, expect, test } from 'vitest'

beforeEach(() => {
  setEngine('wasm')
  manualSeed(11)
})

const small = { initScale: 8, growthInterval: 3 }

const parameter = (values: readonly number[]) => tensor(values).setRequiresGrad() as Tensor

/** One step on the loss `sum(param * factor)`. */
function train(scaler: optim.GradScaler, optimizer: optim.SGD, param: Tensor, factor: number): void {
  optimizer.zeroGrad()
  scaler.scale(param.mul(factor).sum()).backward()
  scaler.step(optimizer)
  scaler.update()
}

test('scales losses, and takes the scale out of gradients', () => {
  const scaler = new optim.GradScaler(small)
  const param = parameter([1, -2])
  const optimizer = new optim.SGD([param], { lr: 0.5 })
  const losses = { a: param.sum(), rest: [param.mul(2).sum()] }
  const scaled = scaler.scale(losses)
  expect([scaled.a.item(), scaled.rest[0]!.item()]).toEqual([-8, -16])
  scaled.a.backward()
  expect(param.grad!.toArray()).toEqual([8, 8])
  scaler.unscale(optimizer)
  expect(param.grad!.toArray()).toEqual([1, 1])
  scaler.step(optimizer)
  scaler.update()
  expect(param.toArray()).toEqual([0.5, -2.5])
})

test('the scale follows good and bad steps as in PyTorch', () => {
  const scaler = new optim.GradScaler(small)
  const param = parameter([1])
  const optimizer = new optim.SGD([param], { lr: 0.1 })
  // torch.amp.GradScaler(init_scale=8, growth_interval=3) on the same gradients.
  const factors = [1, 1, 1, Infinity, 1, Number.NaN, 1, 1, 1, 1]
  const seen = factors.map((factor) => {
    train(scaler, optimizer, param, factor)
    return [scaler.getScale(), scaler.stateDict().growthTracker]
  })
  expect(seen).toEqual([
    [8, 1],
    [8, 2],
    [16, 0],
    [8, 0],
    [8, 1],
    [4, 0],
    [4, 1],
    [4, 2],
    [8, 0],
    [8, 1],
  ])
  expect(param.item()).toBeCloseTo(1 - 0.8, 5)
})

test('never grows to infinity; takes a new scale', () => {
  const scaler = new optim.GradScaler({ initScale: 2 ** 127, growthInterval: 1 })
  const param = parameter([1])
  const optimizer = new optim.SGD([param], { lr: 0.1 })
  train(scaler, optimizer, param, 2 ** -20)
  expect(scaler.getScale()).toBe(2 ** 127)
  optimizer.zeroGrad()
  scaler.scale(param.mul(2 ** -20).sum()).backward()
  scaler.step(optimizer)
  scaler.update(4)
  expect(scaler.getScale()).toBe(4)
})

describe.each(['SGD', 'AdamW', 'NAdam', 'LAMB', 'Adafactor'] as const)('%s', (name) => {
  const start = () => [
    parameter([1, -2, 3]),
    tensor([
      [0.5, 1],
      [2, -1],
    ]).setRequiresGrad() as Tensor,
  ]
  const make = (params: Tensor[]): optim.Optimizer<never> =>
    new (optim[name] as unknown as new (p: Tensor[], o: object) => optim.Optimizer<never>)(params, {
      lr: 0.1,
      ...(name === 'SGD' && { momentum: 0.9 }),
    })
  const loss = (params: Tensor[], factor: Tensor): Tensor =>
    params
      .map((p) => p.square().sum())
      .reduce((a, b) => a.add(b))
      .mul(factor)
  const factors = [1, Number.POSITIVE_INFINITY, 2, Number.NaN, 3]

  const stateOf = (params: Tensor[], optimizer: optim.Optimizer<never>) => [
    params.map((p) => p.toArray()),
    Object.values(optimizer.stateDict().state).map((s) =>
      Object.fromEntries(Object.entries(s).map(([key, value]) => [key, typeof value === 'number' ? value : value.toArray()])),
    ),
  ]

  test.each(['eager', 'compiled'] as const)('a skipped step changes nothing, counts included (%s)', (mode) => {
    const plain = start()
    const without = make(plain)
    for (const factor of factors.filter(Number.isFinite)) {
      without.zeroGrad()
      loss(plain, tensor(factor)).backward()
      without.step()
    }
    const params = start()
    const optimizer = make(params)
    const scaler = new optim.GradScaler(small)
    const body = (factor: Tensor) => {
      optimizer.zeroGrad()
      scaler.scale(loss(params, factor)).backward()
      scaler.step(optimizer)
      scaler.update()
    }
    const step = mode === 'compiled' ? compile(body) : body
    for (const factor of factors) step(tensor(factor))
    const [values, states] = stateOf(params, optimizer)
    const [expected, expectedStates] = stateOf(plain, without)
    if (mode === 'eager') expect([values, states]).toEqual([expected, expectedStates])
    else {
      const flat = (x: unknown): number[] => (typeof x === 'number' ? [x] : Object.values(x as object).flatMap(flat))
      const [a, b] = [flat([values, states]), flat([expected, expectedStates])]
      expect(a.length).toBe(b.length)
      a.forEach((x, i) => expect(x).toBeCloseTo(b[i]!, 5))
    }
  })
})

test('clips between unscale and step, in one compiled step of float16 like eager', () => {
  type Step = (x: Tensor, y: Tensor) => Tensor
  const run = (wrap: (f: Step) => Step) => {
    manualSeed(2)
    const model = new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 1))
    const optimizer = new optim.AdamW(model, { lr: 0.05 })
    const scaler = new optim.GradScaler({ growthInterval: 2, initScale: 2 ** 14 })
    const step = wrap((x, y) => {
      const loss = autocast(
        () =>
          model
            .forward(x as never)
            .cast('float32')
            .sub(y)
            .square()
            .mean(),
        { dtype: 'float16' },
      )
      optimizer.zeroGrad()
      scaler.scale(loss).backward()
      scaler.unscale(optimizer)
      optim.clipGradNorm(model, 0.5)
      scaler.step(optimizer)
      scaler.update()
      return loss
    })
    const [x, y] = [uniform([16, 4]), uniform([16, 1])]
    const losses = Array.from({ length: 20 }, () => step(x as Tensor, y as Tensor).item())
    return { losses, scale: scaler.getScale(), steps: Object.values(optimizer.stateDict().state).map((s) => s.step) }
  }
  const eager = run((f) => f)
  const compiled = run((f) => compile(f))
  compiled.losses.forEach((loss, i) => expect(Math.abs(loss - eager.losses[i]!)).toBeLessThan(0.01))
  expect(eager.losses.at(-1)).toBeLessThan(eager.losses[0]! * 0.7)
  expect([compiled.scale, compiled.steps]).toEqual([eager.scale, eager.steps])
  // The scale has grown until a step was skipped.
  expect(eager.steps.every((n) => n < 20)).toBe(true)
})

test('a compiled backward pass goes on in an eager step', () => {
  const scaler = new optim.GradScaler(small)
  const param = parameter([1])
  const optimizer = new optim.SGD([param], { lr: 0.5 })
  const half = compile((x: Tensor) => {
    optimizer.zeroGrad()
    scaler.scale(param.mul(x).sum()).backward()
    scaler.unscale(optimizer)
  })
  for (const x of [1, 1]) {
    half(tensor(x))
    expect(param.grad!.item()).toBe(1)
    scaler.step(optimizer)
    scaler.update()
  }
  expect(param.item()).toBe(0)
})

test('its state goes through a checkpoint', async () => {
  const scaler = new optim.GradScaler(small)
  const param = parameter([1])
  const optimizer = new optim.SGD([param], { lr: 0.1 })
  for (const factor of [1, Infinity, 1]) train(scaler, optimizer, param, factor)
  const other = new optim.GradScaler()
  await decodeCheckpoint(await encodeCheckpoint({ scaler }), { scaler: other })
  expect(other.stateDict()).toEqual({ scale: 4, growthFactor: 2, backoffFactor: 0.5, growthInterval: 3, growthTracker: 1 })
})

test('disabled, it does nothing', () => {
  const scaler = new optim.GradScaler({ enabled: false })
  const param = parameter([1])
  const optimizer = new optim.SGD([param], { lr: 1 })
  const loss = param.sum()
  expect(scaler.scale(loss)).toBe(loss)
  train(scaler, optimizer, param, 2)
  expect([param.item(), scaler.getScale()]).toEqual([-1, 1])
})

describe('mistakes are named', () => {
  const ready = () => {
    const scaler = new optim.GradScaler(small)
    const param = parameter([1])
    const optimizer = new optim.SGD([param], { lr: 0.1 })
    scaler.scale(param.sum()).backward()
    return { scaler, optimizer, param }
  }

  test.each<[string, () => unknown, RegExp]>([
    [
      'unscaling twice',
      () => {
        const { scaler, optimizer } = ready()
        scaler.unscale(optimizer)
        scaler.unscale(optimizer)
      },
      /unscale\(\) was called after unscale\(\)/,
    ],
    [
      'stepping twice',
      () => {
        const { scaler, optimizer } = ready()
        scaler.step(optimizer)
        scaler.step(optimizer)
      },
      /step\(\) was called twice/,
    ],
    ['updating first', () => new optim.GradScaler().update(), /before step/],
    ['no gradients', () => new optim.GradScaler().step(new optim.SGD([parameter([1])])), /no parameter .* has a gradient/],
    ['an option out of range', () => new optim.GradScaler({ growthFactor: 0.5 }), /growthFactor is 0.5/],
    ['a foreign state', () => new optim.GradScaler().loadStateDict({ scale: 1 } as never), /growthTracker is undefined/],
    [
      'float16 gradients',
      () => {
        const param = tensor([1]).cast('float16').detach().setRequiresGrad() as Tensor
        param.sum().backward()
        new optim.GradScaler().unscale(new optim.SGD([param]))
      },
      /a gradient is float16/,
    ],
    [
      'two steps in one compiled function',
      () => {
        const { scaler, optimizer, param } = ready()
        compile(() => {
          for (let i = 0; i < 2; i++) train(scaler, optimizer, param, 1)
        })()
      },
      /two steps that may be skipped/,
    ],
  ])('%s', (_, run, message) => {
    expect(run).toThrow(CotangentError)
    expect(run).toThrow(message)
  })
})

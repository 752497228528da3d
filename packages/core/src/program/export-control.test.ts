import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  check,
  compile,
  cond,
  currentEngine,
  dropout,
  exportProgram,
  loadProgram,
  manualSeed,
  mseLoss,
  nn,
  noGrad,
  normal,
  optim,
  print,
  scan,
  setEngine,
  type Tensor,
  tensor,
  whileLoop,
  zeros,
} from '../index.ts'
import { decodeSafetensors } from '../io/safetensors.ts'

const initial = currentEngine().name
afterEach(() => setEngine(initial))

const values = (x: unknown): number[] => [...((x as Tensor).dataSync() as Float32Array)].map(Number)

function expectClose(made: readonly number[], expected: readonly number[]): void {
  expect(made.length).toBe(expected.length)
  made.forEach((x, i) => expect(Math.abs(x - expected[i]!)).toBeLessThanOrEqual(1e-5 * Math.max(1, Math.abs(expected[i]!))))
}

const reload = async (bytes: Uint8Array) => {
  expect(decodeSafetensors(bytes).metadata.version).toBe('2')
  const program = loadProgram(bytes)
  expect(await program.save()).toEqual(bytes)
  return program
}

describe.each(['reference', 'wasm'])('on %s', (engine) => {
  test('branches and loops', async () => {
    setEngine(engine)
    const w = normal([2, 2])
    const f = (x: Tensor): Tensor => {
      const [last, all] = scan(
        (h, row) => {
          const next = cond(
            h.sum().gt(row.sum()),
            (v) => v.add(row).matmul(w),
            (v) =>
              whileLoop(
                (u) => u.abs().sum().lt(4),
                (u) => u.mul(1.5).add(0.1),
                v,
              ),
            h,
          )
          return [next.clamp({ min: -3, max: 3 }), next.mean()]
        },
        zeros([2]),
        x,
        { reverse: true },
      )
      return last.sum().add(all)
    }
    const program = await reload(await exportProgram(f, [normal([5, 2])], { state: { w } }))
    for (const x of [normal([5, 2]), normal([5, 2]), zeros([5, 2])]) expectClose(values(program.run(x)), values(f(x)))
    expect(Object.keys(program.stateDict())).toContain('w')
  })

  test('a buffer that rounds write, random numbers, and a check', async () => {
    setEngine(engine)
    const make = () => {
      const seen = zeros([3])
      const f = (xs: Tensor): Tensor => {
        check(xs.gt(-100).all(), 'large enough')
        return scan(
          (h, x) => {
            const next = dropout(h.add(x), 0.5)
            seen.assign(seen.mul(0.9).add(next))
            return [next, next.sum()]
          },
          zeros([3]),
          xs,
        )[1]
      }
      return { f, seen }
    }
    const [exported, compiled] = [make(), make()]
    const xs = normal([4, 3])
    manualSeed(4)
    const bytes = await exportProgram(exported.f, [xs], { state: { seen: exported.seen } })
    const program = await reload(bytes)
    manualSeed(4)
    const run = compile(compiled.f)
    for (let i = 0; i < 3; i++) expectClose(values(program.run(xs)), values(run(xs)))
    expectClose(values(program.stateDict().seen), values(compiled.seen))
    expect(() => program.run(xs.sub(1000))).toThrow(expect.objectContaining({ code: 'check-failed' }))
  })

  test('a training step with a recurrent layer as a scan', async () => {
    setEngine(engine)
    manualSeed(5)
    const cell = new nn.Linear(3, 2)
    const optimizer = new optim.Adam(cell, { lr: 0.1 })
    const step = (xs: Tensor): Tensor => {
      const [h] = scan((h, x) => [cell.forward(x).add(h.mul(0.5)).tanh(), null], zeros([4, 2]), xs)
      const loss = h.square().mean()
      optimizer.zeroGrad()
      loss.backward()
      optimizer.step()
      return loss
    }
    const xs = normal([6, 4, 3])
    const program = await reload(await exportProgram(step, [xs], { state: { cell, optimizer } }))
    const run = compile(step)
    for (let i = 0; i < 5; i++) expectClose(values(program.run(xs)), values(run(xs)))
  })

  test('float16 training with a GradScaler goes on, steps that are skipped included', async () => {
    setEngine(engine)
    manualSeed(6)
    const model = new nn.Linear(2, 1)
    const optimizer = new optim.Adam(model, { lr: 0.1 })
    const scaler = new optim.GradScaler({ growthInterval: 2 })
    const step = (x: Tensor): Tensor => {
      const loss = mseLoss(model.forward(x), x.sum(1, { keepDims: true }))
      optimizer.zeroGrad()
      scaler.scale(loss).backward()
      scaler.step(optimizer)
      scaler.update()
      return loss
    }
    const run = compile(step)
    const [good, bad] = [normal([3, 2]), tensor([1, Infinity, 0, 0, 1, 1], { shape: [3, 2] })]
    run(good)
    run(bad)
    const bytes = await exportProgram(step, [good], { state: { model, optimizer } })
    let program = await reload(bytes)
    for (const x of [good, good, bad, good, bad, bad]) {
      expect(values(program.run(x))).toEqual(values(run(x)))
      program = loadProgram(await program.save())
    }
    expectClose(values(program.stateDict()['model.weight']), values(model.weight))
    expect(optimizer.stateDict().state[0]!.step).toBe(4)
    const state = JSON.parse(decodeSafetensors(await program.save()).metadata.state!) as { counters: { step: number }[] }
    expect(state.counters.map((c) => c.step)).toEqual([4, 4])
  })

  test.each<[string, (o: optim.Optimizer) => optim.Scheduler]>([
    ['ConstantLR', (o) => new optim.ConstantLR(o)],
    ['LinearLR', (o) => new optim.LinearLR(o, { totalIters: 3 })],
    ['StepLR', (o) => new optim.StepLR(o, { stepSize: 2 })],
    ['MultiStepLR', (o) => new optim.MultiStepLR(o, { milestones: [1, 3] })],
    ['ExponentialLR', (o) => new optim.ExponentialLR(o, { gamma: 0.8 })],
    ['PolynomialLR', (o) => new optim.PolynomialLR(o)],
    ['CosineAnnealingLR', (o) => new optim.CosineAnnealingLR(o, { tMax: 3 })],
    ['CosineAnnealingWarmRestarts', (o) => new optim.CosineAnnealingWarmRestarts(o, { t0: 2, tMult: 2 })],
    ['CyclicLR', (o) => new optim.CyclicLR(o, { baseLr: [0.01, 0.02], maxLr: 0.1, stepSizeUp: 2 })],
    ['OneCycleLR', (o) => new optim.OneCycleLR(o, { maxLr: 0.2, totalSteps: 20 })],
    [
      'ChainedScheduler',
      (o) => new optim.ChainedScheduler([new optim.ExponentialLR(o, { gamma: 0.9 }), new optim.StepLR(o, { stepSize: 2 })]),
    ],
    [
      'SequentialLR',
      (o) =>
        new optim.SequentialLR({
          schedulers: [new optim.LinearLR(o, { totalIters: 2 }), new optim.CosineAnnealingLR(o, { tMax: 4 })],
          milestones: [3],
        }),
    ],
  ])('a step with %s goes on with its rates', async (_, make) => {
    setEngine(engine)
    manualSeed(7)
    const model = new nn.Linear(2, 1)
    const optimizer = new optim.SGD([
      { params: [model.weight], lr: 0.1, momentum: 0.9 },
      { params: [model.bias!], lr: 0.05, momentum: 0.9 },
    ])
    const scheduler = make(optimizer)
    const step = (x: Tensor): Tensor => {
      const loss = model.forward(x).square().mean()
      optimizer.zeroGrad()
      loss.backward()
      optimizer.step()
      scheduler.step()
      return loss
    }
    const run = compile(step)
    const x = normal([3, 2])
    for (let i = 0; i < 2; i++) run(x)
    let program = await reload(await exportProgram(step, [x], { state: { model, optimizer } }))
    for (let i = 0; i < 6; i++) {
      expectClose(values(program.run(x)), values(run(x)))
      expectClose(
        program.groups.map(({ options }) => options.lr as number),
        optimizer.paramGroups.map((group) => group.lr),
      )
      if (i === 3) program = loadProgram(await program.save())
    }
    program.groups[0]!.options.lr = optimizer.paramGroups[0]!.lr = 0.3
    program = loadProgram(await program.save())
    expectClose(values(program.run(x)), values(run(x)))
    expectClose(values(program.stateDict()['model.weight']), values(model.weight))
  })
})

test('what a file cannot hold is refused', async () => {
  const model = new nn.Linear(2, 1)
  const optimizer = new optim.SGD(model, { lr: 0.1 })
  const scheduler = new optim.LambdaLR(optimizer, { lrLambda: (epoch) => 0.9 ** epoch })
  const x = normal([3, 2])
  const step = (a: Tensor) => {
    optimizer.zeroGrad()
    model.forward(a).sum().backward()
    optimizer.step()
    scheduler.step()
  }
  await expect(exportProgram(step, [x])).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringMatching(/function/) as string,
  })
  const log = vi.spyOn(console, 'log').mockImplementation(() => {})
  const speaking = (a: Tensor) => {
    print('{}', a)
    return a.add(1)
  }
  await expect(exportProgram(speaking, [x])).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringMatching(/prints/) as string,
  })
  log.mockRestore()
  const skipping = (a: Tensor) => {
    const loss = model.forward(a).sum()
    optimizer.zeroGrad()
    loss.backward()
    optimizer.step({ skip: noGrad(() => loss.isNaN()) })
  }
  await expect(exportProgram(skipping, [x])).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringMatching(/skips/) as string,
  })
})

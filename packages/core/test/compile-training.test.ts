import {
  compile,
  defaultGenerator,
  dropout,
  Generator,
  manualSeed,
  mseLoss,
  nn,
  noGrad,
  optim,
  type Tensor,
  tensor,
  zeros,
} from 'cotangent'
import { describe, expect, test } from 'vitest'

const numbers = (...shape: number[]) =>
  tensor(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 1.7 + 1)),
    { shape },
  ) as Tensor

const expectClose = (actual: readonly number[], expected: readonly number[], what = '') => {
  expect(actual.length).toBe(expected.length)
  actual.forEach((x, i) => {
    if (!(Math.abs(x - expected[i]!) <= 2e-4 * Math.max(1, Math.abs(expected[i]!))))
      expect.fail(`${what} element ${i}: ${x}, expected ${expected[i]}`)
  })
}

type Step = (x: Tensor, y: Tensor) => Tensor | number
type Wrap = (f: Step) => Step
const eager: Wrap = (f) => f

interface Setup {
  readonly model: nn.Module & { forward(x: Tensor): Tensor }
  readonly optimizer: optim.Optimizer
}

const perceptron = () => new nn.Sequential(new nn.Linear(3, 8), new nn.Tanh(), new nn.Linear(8, 2)) as unknown as Setup['model']

/** Everything that training leaves behind: parameters, buffers, optimiser state, gradients, random state. */
function after({ model, optimizer }: Setup, losses: readonly number[]): number[] {
  const { state, paramGroups } = optimizer.stateDict()
  const numbersOf = Object.values(state).flatMap((s) =>
    Object.values(s).flatMap((v) => (typeof v === 'number' ? [v] : [...(v as Tensor).dataSync()].map(Number))),
  )
  return [
    ...losses,
    ...[...model.namedParameters().values()].flatMap((p) => [...p.dataSync(), ...(p.grad?.dataSync() ?? [])].map(Number)),
    ...[...model.namedBuffers().values()].flatMap((b) => [...b.dataSync()].map(Number)),
    ...numbersOf,
    ...paramGroups.map((g) => g.lr),
    defaultGenerator.state.calls,
  ]
}

function train(
  wrap: Wrap,
  make: () => Setup,
  stepOf: (setup: Setup) => Step,
  outside: (setup: Setup, i: number) => void = () => {},
  steps = 6,
): number[] {
  manualSeed(11)
  const setup = make()
  const step = wrap(stepOf(setup))
  const losses: number[] = []
  for (let i = 0; i < steps; i++) {
    const loss = step(numbers(5, 3).mul(1 + i / 10), numbers(5, 2))
    losses.push(typeof loss === 'number' ? loss : loss.item())
    outside(setup, i)
  }
  return after(setup, losses)
}

const plainStep =
  ({ model, optimizer }: Setup): Step =>
  (x, y) => {
    optimizer.zeroGrad()
    const loss = mseLoss(model.forward(x), y) as Tensor
    loss.backward()
    optimizer.step()
    return loss
  }

const expectSame = (
  ...rest: [make: () => Setup, stepOf: (setup: Setup) => Step, outside?: (setup: Setup, i: number) => void, steps?: number]
) => expectClose(train(compile as Wrap, ...rest), train(eager, ...rest))

const adam = (lr = 0.05) => {
  const model = perceptron()
  return { model, optimizer: new optim.Adam(model, { lr }) }
}

describe('a compiled training step leaves what an eager one does', () => {
  const optimizers: readonly [string, (model: nn.Module) => optim.Optimizer][] = [
    ['SGD', (m) => new optim.SGD(m, { lr: 0.1 })],
    ['SGD with momentum', (m) => new optim.SGD(m, { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.01 })],
    ['Adam', (m) => new optim.Adam(m, { lr: 0.05 })],
    ['Adam with amsgrad', (m) => new optim.Adam(m, { lr: 0.05, amsgrad: true })],
    ['AdamW', (m) => new optim.AdamW(m, { lr: 0.05 })],
    ['Adadelta', (m) => new optim.Adadelta(m, { lr: 1 })],
    ['Adafactor', (m) => new optim.Adafactor(m, { lr: 0.05 })],
    ['Adagrad', (m) => new optim.Adagrad(m, { lr: 0.05 })],
    ['Adamax', (m) => new optim.Adamax(m, { lr: 0.05 })],
    ['LAMB', (m) => new optim.LAMB(m, { lr: 0.05 })],
    ['Lion', (m) => new optim.Lion(m, { lr: 0.01 })],
    ['NAdam', (m) => new optim.NAdam(m, { lr: 0.05 })],
    ['RAdam', (m) => new optim.RAdam(m, { lr: 0.05 })],
    ['RMSprop', (m) => new optim.RMSprop(m, { lr: 0.01, momentum: 0.9, centered: true })],
  ]
  test.each(optimizers)('%s', (_, make) => {
    expectSame(() => {
      const model = perceptron()
      return { model, optimizer: make(model) }
    }, plainStep)
  })

  test.each(['inside', 'outside'])('learning rate schedulers, stepped %s', (where) => {
    const makers = [
      (o: optim.Optimizer) => new optim.StepLR(o, { stepSize: 2 }),
      (o: optim.Optimizer) => new optim.CosineAnnealingLR(o, { tMax: 5 }),
      (o: optim.Optimizer) => new optim.OneCycleLR(o, { maxLr: 0.1, totalSteps: 10, cycleMomentum: false }),
      (o: optim.Optimizer) =>
        new optim.SequentialLR({ schedulers: [new optim.LinearLR(o), new optim.ExponentialLR(o, { gamma: 0.9 })], milestones: [3] }),
    ]
    for (const make of makers) {
      const schedulers = new WeakMap<Setup, { step(): void }>()
      expectSame(
        () => {
          const setup = adam()
          schedulers.set(setup, make(setup.optimizer))
          return setup
        },
        (setup) => (x, y) => {
          const loss = plainStep(setup)(x, y)
          if (where === 'inside') schedulers.get(setup)!.step()
          return loss
        },
        (setup) => where === 'outside' && schedulers.get(setup)!.step(),
      )
    }
  })

  test('options that change between steps', () => {
    expectSame(adam, plainStep, ({ optimizer }, i) => {
      optimizer.lr = 0.05 / (i + 1)
      if (i === 3) Object.assign(optimizer.paramGroups[0]!, { weightDecay: 0.1 })
    })
  })

  test('a state that is loaded in between', () => {
    expectSame(adam, plainStep, ({ optimizer }, i) => i === 2 && optimizer.loadStateDict(structuredCloneOf(optimizer.stateDict())))
  })

  test('clipping', () => {
    for (const clip of [
      (model: nn.Module) => void optim.clipGradNorm(model, 0.05),
      (model: nn.Module) => optim.clipGradValue(model, 0.01),
    ]) {
      expectSame(adam, ({ model, optimizer }) => (x, y) => {
        const loss = mseLoss(model.forward(x), y) as Tensor
        loss.backward()
        clip(model)
        optimizer.step()
        optimizer.zeroGrad()
        return loss
      })
    }
  })

  test('gradients that add up over steps, inside and across calls', () => {
    expectSame(adam, ({ model, optimizer }) => (x, y) => {
      optimizer.zeroGrad()
      for (const part of [0, 1])
        mseLoss(model.forward(x.add(part)), y)
          .div(2)
          .backward()
      optimizer.step()
      return (model.forward(x) as Tensor).detach().sum()
    })
    expectSame(
      adam,
      ({ model }) =>
        (x, y) => {
          const loss = mseLoss(model.forward(x), y) as Tensor
          loss.backward()
          return loss
        },
      ({ optimizer }, i) => {
        if (i % 3 !== 2) return
        optimizer.step()
        optimizer.zeroGrad()
      },
      9,
    )
  })

  test('zeroGrad after the step, and never', () => {
    const late =
      ({ model, optimizer }: Setup): Step =>
      (x, y) => {
        const loss = mseLoss(model.forward(x), y) as Tensor
        loss.backward()
        optimizer.step()
        optimizer.zeroGrad()
        return loss
      }
    const never =
      ({ model, optimizer }: Setup): Step =>
      (x, y) => {
        const loss = mseLoss(model.forward(x), y) as Tensor
        loss.backward()
        optimizer.step()
        return loss
      }
    expectSame(adam, late)
    expectSame(adam, never)
  })

  test('dropout and batch norm; evaluation in between', () => {
    const make = () => {
      const model = new nn.Sequential(
        new nn.Linear(3, 8),
        new nn.BatchNorm1d(8),
        new nn.ReLU(),
        new nn.Dropout(0.4),
        new nn.AlphaDropout(0.2),
        new nn.Linear(8, 2),
      ) as unknown as Setup['model']
      return { model, optimizer: new optim.SGD(model, { lr: 0.1 }) }
    }
    expectSame(make, plainStep)
    expectSame(
      make,
      ({ model, optimizer }) =>
        (x, y) =>
          model.training ? plainStep({ model, optimizer })(x, y) : mseLoss(model.forward(x), y).detach(),
      ({ model }, i) => void model.train(i % 2 === 0),
    )
  })

  test('a parameter that is frozen and thawed', () => {
    expectSame(adam, plainStep, ({ model }, i) => {
      const [first] = model.namedParameters().values()
      first!.requiresGrad = i % 2 === 1
      first!.grad = null
    })
  })

  test('parameters that are assigned from outside', () => {
    expectSame(adam, plainStep, ({ model }, i) => {
      if (i !== 2) return
      noGrad(() => {
        for (const p of model.namedParameters().values()) p.assign(p.mul(0.5))
      })
    })
  })

  test('generators of its own, and their state', () => {
    const run = (wrap: (f: (x: Tensor) => Tensor) => (x: Tensor) => Tensor) => {
      const generator = new Generator(5)
      const f = wrap((x) => dropout(x, 0.5, { generator }).add(dropout(x, 0.3, { generator })))
      const results = [f(numbers(30)), f(numbers(30))]
      const state = generator.state
      results.push(f(numbers(30)))
      generator.state = state
      results.push(f(numbers(30)))
      expect(generator.state.calls).toBe(6)
      return results.flatMap((x) => [...x.dataSync()].map(Number))
    }
    expectClose(
      run(compile),
      run((f) => f),
    )
  })

  test('an exponential moving average of the parameters', () => {
    const average = zeros([3]) as Tensor
    const w = tensor([1, 2, 3]).setRequiresGrad() as Tensor
    const f = compile((x: Tensor) => {
      noGrad(() => {
        w.assign(w.mul(2).add(x))
        average.assign(average.mul(0.5).add(w.detach().mul(0.5)))
      })
    })
    for (let i = 0; i < 3; i++) f(tensor([1, 0, 0]) as Tensor)
    expect(w.toArray()).toEqual([15, 16, 24])
    expect(average.toArray()).toEqual([9.625, 10.5, 15.75])
  })
})

function structuredCloneOf<T>(tree: T): T {
  if (typeof tree !== 'object' || tree === null) return tree
  if ('clone' in tree) return (tree as unknown as Tensor).detach().clone() as T
  if (Array.isArray(tree)) return tree.map(structuredCloneOf) as T
  return Object.fromEntries(Object.entries(tree).map(([k, v]) => [k, structuredCloneOf(v)])) as T
}

import { compile, mseLoss, nn, noGrad, optim, type Tensor, tensor } from 'cotangent'
import { describe, expect, test } from 'vitest'

// Calls like the last one look at little. What changes between them counts all the same: each of these is held to eager mode.

const numbers = (...shape: number[]) =>
  tensor(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 1.3 + 1)),
    { shape },
  ) as Tensor

type Step = (x: Tensor, y: Tensor) => Tensor

interface Setup {
  readonly model: nn.Linear
  readonly optimizer: optim.Optimizer
  readonly step: Step
  /** The step as it is, whatever `step` is. */
  readonly eager: Step
}

function setup(make: (model: nn.Linear) => optim.Optimizer, wrap: (step: Step) => Step): Setup {
  const model = new nn.Linear(3, 2)
  noGrad(() => {
    model.weight.assign(numbers(3, 2))
    model.bias!.assign(numbers(2))
  })
  const optimizer = make(model)
  const eager = (x: Tensor, y: Tensor) => {
    const loss = mseLoss(model.forward(x) as Tensor, y)
    optimizer.zeroGrad()
    loss.backward()
    optimizer.step()
    return loss
  }
  return { model, optimizer, step: wrap(eager), eager }
}

/** Some steps before and after each change: losses, weights and counts. */
function history(s: Setup, change: (s: Setup, x: Tensor, y: Tensor) => void): number[] {
  const found: number[] = []
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 3; i++) found.push(s.step(numbers(4, 3), numbers(4, 2)).item())
    change(s, numbers(4, 3), numbers(4, 2))
  }
  found.push(s.step(numbers(4, 3), numbers(4, 2)).item())
  return [...found, ...(s.model.weight.dataSync() as Float32Array), ...Object.values(s.optimizer.stateDict().state).map(({ step }) => step)]
}

const sgd = (model: nn.Linear) => new optim.SGD(model, { lr: 0.1 })
const damped = (model: nn.Linear) => new optim.SGD(model, { lr: 0.1, momentum: 0.9, dampening: 0.5 })
const adam = (model: nn.Linear) => new optim.Adam(model, { lr: 0.05 })

describe('between steps of a compiled function', () => {
  const changes: readonly (readonly [string, (s: Setup, x: Tensor, y: Tensor) => void])[] = [
    ['nothing', () => {}],
    ['the learning rate', ({ optimizer }) => void (optimizer.lr /= 2)],
    ['an option that changes the code', ({ optimizer }) => void ((optimizer.paramGroups[0] as { maximize?: boolean }).maximize = true)],
    ['a step in eager mode', ({ eager }, x, y) => void eager(x, y)],
    [
      'a step of some parameters only',
      ({ model, optimizer }) => {
        model.bias!.grad = null
        optimizer.step()
      },
    ],
    ['a parameter is frozen', ({ model }) => void model.bias!.setRequiresGrad(!model.bias!.requiresGrad)],
    ['the state is loaded', ({ optimizer }) => optimizer.loadStateDict(structuredState(optimizer))],
  ]
  for (const [what, change] of changes) {
    test.each([
      ['SGD', sgd],
      ['SGD with momentum', damped],
      ['Adam', adam],
    ])(`${what}: %s`, (_, make) => {
      const [expected, actual] = [(step: Step) => step, (step: Step) => compile(step) as Step].map((wrap) =>
        history(setup(make, wrap), change),
      )
      expect(actual!.length).toBe(expected!.length)
      actual!.forEach((x, i) => expect(x).toBeCloseTo(expected![i]!, 4))
    })
  }

  test('another compiled function takes steps of the same optimiser', () => {
    const [expected, actual] = [(step: Step) => step, (step: Step) => compile(step) as Step].map((wrap) => {
      const s = setup(adam, wrap)
      // Steps of one parameter alone.
      const other = wrap((x, y) => {
        const loss = mseLoss(s.model.forward(x) as Tensor, y)
        s.optimizer.zeroGrad()
        loss.backward()
        s.model.bias!.grad = null
        s.optimizer.step()
        return loss
      })
      return history(s, (_, x, y) => void other(x, y))
    })
    actual!.forEach((x, i) => expect(x).toBeCloseTo(expected![i]!, 4))
  })

  test('parameters that a function updates unequally often have numbers of their own', () => {
    const [expected, actual] = [(step: Step) => step, (step: Step) => compile(step) as Step].map((wrap) => {
      const s = setup(adam, (eager) =>
        wrap((x, y) => {
          const loss = eager(x, y)
          s.model.bias!.grad = null
          s.optimizer.step()
          return loss
        }),
      )
      return history(s, () => {})
    })
    actual!.forEach((x, i) => expect(x).toBeCloseTo(expected![i]!, 4))
  })

  test.each([
    ['added', (s: Setup) => s.optimizer.addParamGroup({ params: [numbers(2).setRequiresGrad()] })],
    ['pushed', (s: Setup) => void s.optimizer.paramGroups.push({ ...s.optimizer.paramGroups[0]!, params: [] })],
  ])('groups of parameters are %s', (_, change) => {
    let traces = 0
    const s = setup(adam, (eager) => compile((x, y) => (traces++, eager(x, y))) as Step)
    const step = () => void s.step(numbers(4, 3), numbers(4, 2))
    for (let i = 0; i < 3; i++) step()
    expect(traces).toBe(1)
    change(s)
    for (let i = 0; i < 3; i++) step()
    expect(traces).toBe(2)
  })

  test('modules go from training to use and back', () => {
    const dropout = new nn.Dropout(1)
    const f = compile((x: Tensor) => dropout.forward(x) as Tensor)
    const x = numbers(3)
    for (const training of [true, true, false, false, true]) {
      dropout.train(training)
      for (let i = 0; i < 2; i++) expect(f(x).toArray()).toEqual(training ? [0, 0, 0] : x.toArray())
    }
  })
})

const structuredState = (optimizer: optim.Optimizer) => {
  const { state, paramGroups } = optimizer.stateDict()
  const copy = (values: object) =>
    Object.fromEntries(Object.entries(values).map(([k, v]) => [k, typeof v === 'number' ? v + 5 : v.clone()]))
  return { state: Object.fromEntries(Object.entries(state).map(([at, values]) => [at, copy(values)])), paramGroups } as ReturnType<
    optim.Optimizer['stateDict']
  >
}

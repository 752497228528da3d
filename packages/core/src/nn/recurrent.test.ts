import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  compile,
  currentEngine,
  exportProgram,
  grad,
  jvp,
  loadProgram,
  manualSeed,
  mseLoss,
  nn,
  normal,
  optim,
  setEngine,
  stack,
  type Tensor,
  vmap,
} from '../index.ts'

const initial = currentEngine().name
beforeEach(() => manualSeed(5))
afterEach(() => {
  setEngine(initial)
})

const values = (x: Tensor): number[] => [...(x.dataSync() as Float32Array)]
const expectClose = (actual: Tensor, expected: Tensor, digits = 5) => {
  expect(actual.shape).toEqual(expected.shape)
  const wanted = values(expected)
  values(actual).forEach((x, i) => expect(x).toBeCloseTo(wanted[i]!, digits))
}

/** The layer's first outputs and final states, cell by cell. */
function byCells(layer: nn.LSTM | nn.GRU | nn.RNN, x: Tensor): Tensor[] {
  const { forward, backward } = layer.cells[0]!
  const through = (cell: NonNullable<typeof backward>, reverse: boolean) => {
    const steps = x.unbind(1) as Tensor[]
    const outputs: Tensor[] = []
    let state: unknown
    for (const step of reverse ? [...steps].reverse() : steps) {
      state = (cell.forward as (x: Tensor, state?: unknown) => unknown).call(cell, step, state)
      outputs.push((Array.isArray(state) ? state[0] : state) as Tensor)
    }
    const whole: Tensor = stack(reverse ? [...outputs].reverse() : outputs, 1)
    return [whole, ...((Array.isArray(state) ? state : [state]) as Tensor[])]
  }
  const there = through(forward, false)
  return backward ? [...there, ...through(backward, true)] : there
}

const layers = {
  LSTM: () => new nn.LSTM(3, 4, { bidirectional: true }),
  GRU: () => new nn.GRU(3, 4, { bidirectional: true }),
  RNN: () => new nn.RNN(3, 4, { bidirectional: true }),
  'RNN of relu': () => new nn.RNN(3, 4, { nonlinearity: 'relu' }),
}

describe.each(Object.entries(layers))('%s', (_, make) => {
  test('gives what its cells give step by step, and the same gradients', () => {
    const layer = make()
    const x = normal([2, 5, 3])
    const parameters = [...layer.parameters()] as Tensor[]
    const gradients = (loss: Tensor) => {
      for (const p of parameters) p.grad = null
      loss.backward()
      return parameters.map((p) => p.grad!)
    }
    const weighed = (parts: readonly Tensor[]): Tensor =>
      parts
        .map((p, i) =>
          p
            .mul(p)
            .sum()
            .mul(i + 1),
        )
        .reduce((a, b) => a.add(b))
    const [output, last] = layer.forward(x)
    const finals = Array.isArray(last) ? last : [last]
    const stepwise = byCells(layer, x)
    const perDirection = 1 + finals.length
    const directions = stepwise.length / perDirection
    for (let d = 0; d < directions; d++) {
      expectClose(output.narrow(-1, 4 * d, 4), stepwise[d * perDirection]!)
      finals.forEach((f, i) => expectClose(f.select(0, d) as Tensor, stepwise[d * perDirection + 1 + i]!))
    }
    const parts = Array.from({ length: directions }, (_, d) => [
      output.narrow(-1, 4 * d, 4),
      ...finals.map((f) => f.select(0, d) as Tensor),
    ])
    const expected = gradients(weighed(stepwise))
    gradients(weighed(parts.flat())).forEach((g, i) => expectClose(g, expected[i]!, 4))
  })

  test('second derivatives, forward mode and vmap go through it', () => {
    const layer = make()
    const x = normal([2, 3, 3])
    const f = (a: Tensor): Tensor => layer.forward(a)[0].square().sum()
    const slow = (a: Tensor): Tensor => {
      const steps = byCells(layer, a)
      const outputs = layer.cells[0]!.backward ? [steps[0]!, steps[steps.length / 2]!] : [steps[0]!]
      return outputs.map((y) => y.square().sum() as Tensor).reduce((p, q) => p.add(q))
    }
    const twice = (g: (a: Tensor) => Tensor) => grad((a: Tensor) => grad(g)(a).square().sum() as Tensor)(x)
    expectClose(twice(f), twice(slow), 3)
    const direction = normal([2, 3, 3])
    expectClose(jvp(f, [x], [direction])[1], jvp(slow, [x], [direction])[1], 4)
    const examples = x.unsqueeze(1)
    expectClose(vmap((a: Tensor) => layer.forward(a)[0])(examples), layer.forward(x)[0].unsqueeze(1))
    expectClose(vmap(grad(f))(examples), grad(f)(x).unsqueeze(1), 4)
  })
})

describe.each(['reference', 'wasm'])('on %s', (engine) => {
  test('a training step: compiled as eager, one program of few operations, saved and loaded', async () => {
    setEngine(engine)
    const layer = new nn.LSTM(3, 4, { layers: 2 })
    const optimizer = new optim.SGD(layer, { lr: 0.1 })
    const [x, target] = [normal([2, 6, 3]), normal([2, 6, 4])]
    const step = (a: Tensor, b: Tensor): Tensor => {
      optimizer.zeroGrad()
      const loss = mseLoss(layer.forward(a)[0], b)
      loss.backward()
      optimizer.step()
      return loss
    }
    const program = loadProgram(await exportProgram(step, [x, target], { state: { layer, optimizer } }))
    const run = compile(step)
    const start = Object.entries(layer.stateDict()).map(([name, value]) => [name, value.clone()] as const)
    const compiled = Array.from({ length: 4 }, () => run(x, target))
    layer.loadStateDict(Object.fromEntries(start))
    const eager = Array.from({ length: 4 }, () => step(x, target))
    eager.forEach((loss, i) => {
      expectClose(compiled[i]!, loss)
      expectClose(program.run(x, target) as Tensor, loss)
    })
  })
})

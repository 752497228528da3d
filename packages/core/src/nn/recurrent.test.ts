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
  tensor,
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

describe.each(['wasm', 'reference'])('sequences of their own lengths on %s', (engine) => {
  beforeEach(() => void setEngine(engine))

  const layers = {
    LSTM: () => new nn.LSTM(3, 4, { layers: 2, bidirectional: true }),
    GRU: () => new nn.GRU(3, 4, { bidirectional: true }),
    RNN: () => new nn.RNN(3, 4, { layers: 2 }),
  }
  type AnyLayer = nn.LSTM | nn.GRU | nn.RNN
  type AnyForward = (x: Tensor, state?: unknown, options?: nn.SequenceOptions) => [Tensor, Tensor | [Tensor, Tensor]]
  const through = (layer: AnyLayer, ...args: Parameters<AnyForward>): Tensor[] => {
    const [output, states] = (layer.forward as AnyForward).apply(layer, args)
    return [output, ...(Array.isArray(states) ? states : [states])]
  }
  const lengths = [3, 5, 1]

  test.each(Object.keys(layers) as (keyof typeof layers)[])('%s: as if each ran alone, gradients too', (name) => {
    const layer = layers[name]()
    const x: Tensor = normal([3, 5, 3])
    const [output, ...states] = through(layer, x, null, { lengths })
    const loss = output!
      .square()
      .sum()
      .add(states.reduce((sum, s) => sum.add(s.sum()), states[0]!.sum()))
    loss.backward()
    const gradients = layer.parameters().map((p) => p.grad!)
    for (const p of layer.parameters()) p.grad = null

    lengths.forEach((length, i) => {
      const [alone, ...ends] = through(layer, x.narrow(0, i, 1).narrow(1, 0, length))
      expectClose(output!.narrow(0, i, 1).narrow(1, 0, length), alone!)
      expect(values(output!.narrow(0, i, 1).narrow(1, length, 5 - length)).every((y) => y === 0)).toBe(true)
      ends.forEach((end, s) => expectClose(states[s]!.narrow(1, i, 1), end))
      alone!
        .square()
        .sum()
        .add(ends.reduce((sum, s) => sum.add(s.sum()), ends[0]!.sum()))
        .backward()
    })
    layer.parameters().forEach((p, i) => expectClose(gradients[i]!, p.grad!, 4))
  })

  test('compiled, with lengths that change', () => {
    const layer = new nn.LSTM(3, 4, { bidirectional: true })
    const f = compile((x: Tensor, lengths: Tensor) => layer.forward(x, null, { lengths })[0])
    const x: Tensor = normal([3, 5, 3])
    for (const now of [lengths, [5, 0, 2]]) {
      expectClose(f(x, tensor(now) as Tensor), layer.forward(x, null, { lengths: now })[0])
    }
  })

  test('a sequence of length 0 leaves the state as it was', () => {
    const layer = new nn.GRU(3, 4)
    const start: Tensor = normal([1, 2, 4])
    const [output, end] = layer.forward(normal([2, 5, 3]) as Tensor, start, { lengths: [0, 5] })
    expect(values(output.select(0, 0)).every((y) => y === 0)).toBe(true)
    expectClose(end.narrow(1, 0, 1), start.narrow(1, 0, 1))
  })

  test('lengths that cannot be', () => {
    const layer = new nn.GRU(3, 4)
    const x: Tensor = normal([2, 5, 3])
    expect(() => layer.forward(x, null, { lengths: [1] })).toThrow(expect.objectContaining({ code: 'shape-mismatch' }))
    expect(() => layer.forward(x, null, { lengths: [6, 1] })).toThrow(/lengths has 6, but there are 5/)
  })
})

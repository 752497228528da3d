import { compile, cond, dropout, manualSeed, nn, noGrad, normal, optim, scan, type Tensor, tensor, whileLoop, zeros } from 'cotangent'
import { expect, test } from 'vitest'
import { expectClose, numbers } from './control-flow.ts'

const batches = [12, 5, 8, 9, 11, 6, 7]

/** Holds a function for many batch sizes to eager code, and tells how often it was traced. */
function tracesOf(f: (x: Tensor) => Tensor, input: (batch: number) => Tensor): number {
  let traces = 0
  const compiled = compile((x: Tensor) => {
    traces++
    return f(x)
  })
  for (const batch of batches) expectClose(compiled(input(batch)), f(input(batch)), 4)
  return traces
}

test('branches, and loops within them, follow from the batch size', () => {
  const w = numbers(3, 3)
  const f = (x: Tensor) =>
    cond(
      x.sum().gt(0),
      (v) => v.matmul(w).softmax(0),
      (v) =>
        whileLoop(
          (u) => u.mean().lt(1),
          (u) => u.add(0.5).mul(w.select(0, 0)).abs().add(u.mean(0)),
          v,
        ),
      x,
    )
  expect(tracesOf(f, (batch) => numbers(batch, 3))).toBe(3)
  expect(tracesOf(f, (batch) => numbers(batch, 3).abs().neg())).toBe(3)
})

test('scans over the batch, and scans that carry it', () => {
  const recur = (h: Tensor, x: Tensor): [Tensor, Tensor] => {
    const next = h.mul(0.5).add(x).tanh()
    return [next, next.mean(-1)]
  }
  expect(
    tracesOf(
      (xs) => scan(recur, zeros([4]), xs)[1],
      (batch) => numbers(batch, 4),
    ),
  ).toBe(3)
  expect(
    tracesOf(
      (xs) => scan(recur, zeros(xs.select(0, 0).shape), xs)[1],
      (batch) => numbers(6, batch, 4),
    ),
  ).toBe(3)
  expect(
    tracesOf(
      (xs) => scan(recur, zeros([4]), xs, { reverse: true })[1],
      (batch) => numbers(batch, 4),
    ),
  ).toBe(3)
})

test('training a recurrent layer, with a buffer that its rounds write, and random numbers', () => {
  const make = () => {
    manualSeed(1)
    const cell = new nn.Linear(5, 3)
    const optimizer = new optim.Adam(cell, { lr: 0.01 })
    const seen = tensor(0)
    let traces = 0
    const step = (xs: Tensor): Tensor => {
      traces++
      const [h] = scan(
        (h, x) => {
          const next = cell
            .forward(
              dropout(x, 0.3)
                .matmul(numbers(2, 5))
                .add(h.matmul(numbers(3, 5))),
            )
            .tanh()
          noGrad(() => seen.assign(seen.add(next.mean())))
          return [next, null]
        },
        zeros([xs.shape[1]!, 3]),
        xs,
      )
      const loss = h.square().mean()
      optimizer.zeroGrad()
      loss.backward()
      optimizer.step()
      return loss
    }
    return { step, seen, cell, traces: () => traces }
  }
  const [eager, own] = [make(), make()]
  const compiled = compile(own.step, { dynamic: true })
  const inputs = batches.map((batch) => normal([4, batch, 2]) as Tensor)
  manualSeed(3)
  const expected = inputs.map((xs) => eager.step(xs))
  manualSeed(3)
  inputs.forEach((xs, i) => expectClose(compiled(xs), expected[i], 4))
  expectClose(own.seen, eager.seen, 4)
  expectClose(own.cell.weight, eager.cell.weight, 4)
  expect(own.traces()).toBe(3)
})

test('a function that is differentiated later', () => {
  const w = numbers(3).setRequiresGrad()
  let traces = 0
  const compiled = compile((x: Tensor) => {
    traces++
    return cond(
      x.sum().gt(0),
      () => x.mul(w).exp(),
      () => x.mul(w).square(),
    )
  })
  for (const batch of batches) {
    const x = numbers(batch, 3)
    w.grad = null
    compiled(x).sum().backward()
    const own = w.grad as Tensor | null
    w.grad = null
    const y = x.sum().item() > 0 ? x.mul(w).exp() : x.mul(w).square()
    y.sum().backward()
    expectClose(own, w.grad, 3)
  }
  expect(traces).toBe(3)
})

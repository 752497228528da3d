import { CotangentError, engineNames, jvp, setEngine, stack, tensor, type Tensor, vjp, vmap } from 'cotangent'
import { beforeEach, describe, expect, test } from 'vitest'
import { isFloat } from '../src/dtype.ts'
import { type OpEntry, type Sample, table } from '../src/op/table.ts'
import { describedIn, makeArguments, tensorsIn, withTensors } from './samples.ts'

beforeEach(() => setEngine('reference'))

const values = (x: Tensor): number[] => Array.from(x.dataSync(), Number)

function expectClose(actual: Tensor, expected: Tensor, what = ''): void {
  expect(actual.dtype, `${what} dtype`).toBe(expected.dtype)
  expect(actual.shape, `${what} shape`).toEqual(expected.shape)
  const [a, b] = [values(actual), values(expected)]
  b.forEach((v, i) => {
    const same = Object.is(a[i], v) || Math.abs(a[i]! - v) <= 1e-9 * Math.max(1, Math.abs(v))
    if (!same) expect.fail(`${what} element ${i}: ${a[i]}, expected ${v}`)
  })
}

/** An op on its float inputs, with the rest of a sample's arguments as they are. */
function callOf(op: OpEntry, sample: Sample) {
  const args = makeArguments(op.name, sample, { dtype: 'float64' })
  const described = describedIn(sample.args)
  const all = tensorsIn(args)
  const moves = all.map((x, i) => isFloat(x.dtype) && !described[i]!.constant)
  const f = (...xs: Tensor[]): Tensor[] => {
    const left = [...xs]
    return tensorsIn(
      op.call(
        ...withTensors(
          args,
          all.map((x, i) => (moves[i] ? left.shift()! : x)),
        ),
      ),
    )
  }
  return { f, inputs: all.filter((_, i) => moves[i]) }
}

/** Numbers that differ from element to element. */
const directionFor = (x: Tensor, seed: number): Tensor =>
  tensor(
    Float64Array.from({ length: x.size }, (_, i) => Math.sin(1.7 * i + seed) + 0.1),
    { shape: x.shape, dtype: 'float64' },
  )

const dot = (a: readonly Tensor[], b: readonly Tensor[]): number =>
  a.reduce((sum, x, i) => sum + (x.size === 0 ? 0 : x.mul(b[i]!).sum().item()), 0)

/** Their results have a shape that depends on values. */
const valueDependent = ['unique']

const deterministic = [...table.values()].filter((op) => !op.random)
const differentiable = deterministic.filter((op) => op.samples().some((sample) => sample.gradient !== 'none'))

describe('every op of the table', () => {
  test.each(differentiable)('$name: forward mode is the transpose of reverse mode', (op) => {
    op.samples().forEach((sample, i) => {
      if (sample.gradient === 'none') return
      const { f, inputs } = callOf(op, sample)
      const floats = (...xs: Tensor[]) => f(...xs).filter((y) => isFloat(y.dtype))
      if (floats(...inputs).length === 0 || inputs.every((x) => x.size === 0)) return
      const tangents = inputs.map(directionFor)
      const [value, moved] = jvp(floats, inputs, tangents)
      const [again, pullback] = vjp(floats, ...inputs)
      value.forEach((y, at) => expectClose(y, again[at]!, `sample ${i} value ${at}`))
      const cotangents = value.map((y, at) => directionFor(y, at + 5).cast(y.dtype))
      const [left, right] = [dot(cotangents, moved), dot(pullback(cotangents), tangents)]
      expect(Math.abs(left - right), `sample ${i} ${JSON.stringify(sample.args)}: ${left} and ${right}`).toBeLessThan(
        1e-6 * Math.max(1, Math.abs(left)),
      )
    })
  })

  test.each(differentiable)('$name: gradients of vmap, and vmap of gradients and tangents', (op) => {
    const sample = op.samples().find((each) => each.gradient !== 'none')!
    const { f, inputs } = callOf(op, sample)
    const floats = (...xs: Tensor[]) => f(...xs).filter((y) => isFloat(y.dtype))
    if (inputs.length === 0 || floats(...inputs).length === 0 || valueDependent.includes(op.name)) return
    const examples = [1, 0.97].map((scale) => inputs.map((x) => x.mul(scale)))
    const stacked = inputs.map((_, at) => stack(examples.map((xs) => xs[at]!)))
    const pull = (...xs: Tensor[]): Tensor[] => {
      const [value, pullback] = vjp(floats, ...xs)
      return pullback(value.map((y, at) => directionFor(y, at + 5).cast(y.dtype)))
    }
    const push = (...xs: Tensor[]): Tensor[] => jvp(floats, xs, xs.map(directionFor))[1]
    const shared = inputs.map((_, at) => at > 0)
    for (const [what, g] of Object.entries({ pull, push })) {
      const each = examples.map((xs) => g(...xs))
      const whole = vmap(g)(...stacked)
      whole.forEach((y, at) => expectClose(y, stack(each.map((ys) => ys[at]!)), `vmap of ${what}`))
    }
    const [value, pullback] = vjp(vmap(floats), ...stacked)
    const seeds = value.map((y, at) =>
      directionFor(y.select(0, 0), at + 5)
        .cast(y.dtype)
        .expand(y.shape),
    )
    const each = examples.map((xs) => pull(...xs))
    pullback(seeds).forEach((g, at) => expectClose(g, stack(each.map((gs) => gs[at]!)), 'gradient of vmap'))
    const moved = jvp(
      vmap(floats),
      stacked,
      stacked.map((x) => stack([0, 1].map(() => directionFor(x.select(0, 0), 0)))),
    )[1]
    if (inputs.length === 1) moved.forEach((t, at) => expectClose(t, stack(examples.map((xs) => push(...xs)[at]!)), 'tangent of vmap'))
    if (inputs.length === 1) return
    // With all but the first shared by the examples, their gradients are sums.
    const some = [stacked[0]!, ...inputs.slice(1)]
    const [, back] = vjp(vmap(floats, { inAxes: shared.map((s) => (s ? null : 0)) }), ...some)
    const own = examples.map((xs) => pull(xs[0]!, ...inputs.slice(1)))
    back(seeds).forEach((g, at) =>
      expectClose(g, shared[at] ? own[0]![at]!.add(own[1]![at]!) : stack(own.map((gs) => gs[at]!)), 'gradient of vmap with shared inputs'),
    )
  })

  test.each(engineNames())(
    'on %s vmap is a loop over the examples',
    (engine) => {
      setEngine(engine)
      for (const op of deterministic) {
        op.samples().forEach((sample, i) => {
          const { f, inputs } = callOf(op, sample)
          if (inputs.length === 0) return
          const examples = [1, 0.97, 0.94].map((scale) => inputs.map((x) => x.mul(scale)))
          const stacked = inputs.map((_, at) => stack(examples.map((xs) => xs[at]!)))
          const compare = (mapped: readonly boolean[]) => {
            const inAxes = mapped.map((m) => (m ? 0 : null))
            const whole = vmap(f, { inAxes })(...stacked.map((x, at) => (mapped[at] ? x : inputs[at]!)))
            const each = examples.map((xs) => f(...xs.map((x, at) => (mapped[at] ? x : inputs[at]!))))
            const what = `${op.name} sample ${i} ${JSON.stringify(sample.args)} ${mapped}`
            expect(whole.length, what).toBe(each[0]!.length)
            whole.forEach((y, at) => expectClose(y, stack(each.map((ys) => ys[at]!)), what))
          }
          try {
            compare(inputs.map(() => true))
            if (inputs.length > 1) compare(inputs.map((_, at) => at === 0))
            if (inputs.length > 1) compare(inputs.map((_, at) => at !== 0))
          } catch (error) {
            // The shape of the result depends on the values.
            if (!(error instanceof CotangentError && error.code === 'tracer-read')) throw error
            expect(valueDependent).toContain(op.name)
          }
        })
      }
    },
    120_000,
  )
})

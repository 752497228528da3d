import { compile, engineNames, manualSeed, setEngine, type Tensor } from 'cotangent'
import { afterEach, describe, test } from 'vitest'
import { isFloat } from '../src/dtype.ts'
import { type OpEntry, type Sample, table } from '../src/op/table.ts'
import { expectSame, type Outcome, outcomeOf } from './outcome.ts'
import { type Layout, layouts, makeArguments, tensorsIn, withTensors } from './samples.ts'

const engines = engineNames()
const ops = [...table.values()]
/** Ops whose result's shape depends on values, on all samples or some: a program cannot have them. */
const dataDependent = ['nonzero', 'maskedSelect', 'bincount', 'unique', 'at']

afterEach(() => {
  setEngine(engines[0]!)
})

/** What an op gives, then the gradients of its weighted sum by its float inputs: the whole in one function of tensors. */
function outcome(
  op: OpEntry,
  sample: Sample,
  layout: Layout,
  wrap: (f: (...xs: Tensor[]) => Tensor[]) => (...xs: Tensor[]) => Tensor[],
): Outcome {
  const args = makeArguments(op.name, sample, { layout })
  const f = wrap((...xs) => {
    const own = xs.map((x) => (isFloat(x.dtype) ? x.detach().setRequiresGrad() : x))
    const out = tensorsIn(op.call(...withTensors(args, own)))
    const roots = out.filter((y) => y.requiresGrad)
    if (roots.length === 0) return out
    const loss = roots.map((y) => y.mul(y.detach().mul(0.1).add(1)).sum()).reduce((a, b) => a.add(b))
    loss.backward()
    return [...out.map((y) => y.detach()), ...own.flatMap((x) => x.grad ?? [])]
  })
  return outcomeOf(() => {
    manualSeed(7)
    return f(...tensorsIn(args))
  })
}

describe.each(engines)('compiled ops on %s', (engine) => {
  test.each(ops)('$name: as eager, forward and backward', (op) => {
    setEngine(engine)
    op.samples().forEach((sample, i) => {
      for (const layout of i === 0 && engine === 'wasm' ? layouts : (['dense'] as const)) {
        const expected = outcome(op, sample, layout, (f) => f)
        const actual = outcome(op, sample, layout, compile)
        if (actual.error === 'tracer-read' && dataDependent.includes(op.name)) continue
        expectSame(actual, expected, `${layout} sample ${i} ${JSON.stringify(sample.args)}`)
      }
    })
  })
})

import { dtypes, engineNames, gradCheck, setEngine, type Tensor } from 'cotangent'
import { afterEach, describe, expect, test } from 'vitest'
import { isFloat } from '../src/dtype.ts'
import { type OpEntry, type Sample, table } from '../src/op/table.ts'
import { expectSame, type Outcome, outcomeOf } from './outcome.ts'
import { describedIn, layouts, makeArguments, type MakeOptions, tensorsIn, withTensors } from './samples.ts'

const engines = engineNames()
const ops = [...table.values()]
const deterministic = ops.filter((op) => !op.random)

afterEach(() => {
  setEngine(engines[0]!)
})

/** What an op gives on an engine: its results, then the gradients of their sum by its float inputs. */
function outcome(engine: string, op: OpEntry, sample: Sample, options: MakeOptions = {}): Outcome {
  setEngine(engine)
  const args = makeArguments(op.name, sample, options)
  const variables = tensorsIn(args).filter((x) => isFloat(x.dtype))
  for (const x of variables) x.setRequiresGrad()
  return outcomeOf(() => {
    const out = tensorsIn(op.call(...args))
    const roots = out.filter((y) => y.requiresGrad)
    const gradients: Tensor[] = []
    if (roots.length > 0) {
      roots
        .map((y) => y.mul(y.detach().mul(0.1).add(1)).sum())
        .reduce((a, b) => a.add(b))
        .backward()
      for (const x of variables) if (x.grad) gradients.push(x.grad)
    }
    return [...out, ...gradients]
  })
}

const title = (sample: Sample, i: number) => `sample ${i} ${JSON.stringify(sample.args)}`

describe.each(engines)('the op table on %s', (engine) => {
  test.each(deterministic)('$name: as the reference engine, and in every layout', (op) => {
    expect(op.samples().length, 'samples').toBeGreaterThan(0)
    op.samples().forEach((sample, i) => {
      const expected = outcome('reference', op, sample)
      expect(expected.error, title(sample, i)).toBeUndefined()
      for (const layout of layouts) {
        if (engine === 'reference' && layout === 'dense') continue
        const actual = outcome(engine, op, sample, { layout })
        // A view of elements that do not lie in order may be impossible.
        if (layout === 'dense' || actual.error !== 'unsupported') expectSame(actual, expected, `${layout} ${title(sample, i)}`)
      }
    })
  })

  test.each(deterministic)('$name: in every dtype that it takes', (op) => {
    op.samples()
      .slice(0, 2)
      .forEach((sample, i) => {
        for (const dtype of dtypes) {
          const expected = outcome('reference', op, sample, { dtype })
          expect([undefined, 'dtype-mismatch', 'invalid-argument', 'unsupported']).toContain(expected.error)
          if (engine !== 'reference') expectSame(outcome(engine, op, sample, { dtype }), expected, `${dtype} ${title(sample, i)}`)
        }
      })
  })

  test.each(ops.filter((op) => op.random))('$name: random, of the right dtype and shape', (op) => {
    op.samples().forEach((sample, i) => {
      const expected = outcome('reference', op, sample)
      const actual = outcome(engine, op, sample)
      expect(
        actual.results.map(({ dtype, shape }) => [dtype, shape]),
        title(sample, i),
      ).toEqual(expected.results.map(({ dtype, shape }) => [dtype, shape]))
    })
  })
})

const differentiable = deterministic.filter((op) => op.samples().some((sample) => sample.gradient !== 'none'))

test.each(differentiable)('$name: gradients agree with central differences', (op) => {
  setEngine('reference')
  op.samples().forEach((sample, i) => {
    if (sample.gradient === 'none') return
    const args = makeArguments(op.name, sample, { dtype: 'float64' })
    const described = describedIn(sample.args)
    const all = tensorsIn(args)
    const inputs = all.filter((_, at) => !described[at]!.constant)
    const f = (...xs: Tensor[]) => {
      const left = [...xs]
      const tensors = all.map((x, at) => (described[at]!.constant ? x : left.shift()!))
      return tensorsIn(op.call(...withTensors(args, tensors)))
    }
    // The gradient of a gradient costs an op's graph for every element, so few elements have to do.
    const order = sample.gradient === 'first-order' ? 1 : 2
    expect(gradCheck(f, inputs, { order, elements: order === 1 ? 12 : 5, rtol: 1e-5, atol: 1e-6 }), title(sample, i)).toEqual([])
  })
})

test('samples cover empty tensors', () => {
  const isEmpty = (op: OpEntry) => op.samples().some((s) => tensorsIn(makeArguments(op.name, s)).some((x) => x.size === 0))
  expect(deterministic.filter(isEmpty).length).toBeGreaterThan(deterministic.length / 2)
})

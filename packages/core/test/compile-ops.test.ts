import { compile, engineNames, setEngine } from 'cotangent'
import { afterEach, describe, test } from 'vitest'
import { table } from '../src/op/table.ts'
import { expectSame, outcomeOfOp } from './outcome.ts'
import { layouts } from './samples.ts'

const engines = engineNames()
const ops = [...table.values()]
/** Ops whose result's shape depends on values, on all samples or some: a program cannot have them. */
const dataDependent = ['nonzero', 'maskedSelect', 'bincount', 'unique', 'at']

afterEach(() => {
  setEngine(engines[0]!)
})

describe.each(engines)('compiled ops on %s', (engine) => {
  test.each(ops)('$name: as eager, forward and backward', (op) => {
    setEngine(engine)
    op.samples().forEach((sample, i) => {
      for (const layout of i === 0 && engine === 'wasm' ? layouts : (['dense'] as const)) {
        const expected = outcomeOfOp(op, sample, { layout })
        const actual = outcomeOfOp(op, sample, { layout }, compile)
        if (actual.error === 'tracer-read' && dataDependent.includes(op.name)) continue
        expectSame(actual, expected, `${layout} sample ${i} ${JSON.stringify(sample.args)}`)
      }
    })
  })
})

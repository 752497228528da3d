import { compile, type DType, setEngine } from 'cotangent'
import { afterEach, describe, test } from 'vitest'
import { type OpEntry, type Sample, table } from '../src/op/table.ts'
import { expectSame, outcomeOfOp } from './outcome.ts'

afterEach(() => {
  setEngine('wasm')
})

const ops = [...table.values()].filter((op) => !op.random)
/** Ops whose result's shape depends on values: a program cannot have them. */
const dataDependent = ['nonzero', 'maskedSelect', 'bincount', 'unique']

/** On a result that lies between two numbers of a dtype, engines may differ by their distance. */
describe.each(['bfloat16', 'float16'] as const)('%s', (dtype) => {
  const on = (engine: string, op: OpEntry, sample: Sample, wrap?: typeof compile) => {
    setEngine(engine)
    return outcomeOfOp(op, sample, { dtype: dtype as DType }, wrap as never)
  }

  test.each(ops)('$name: the Wasm engine gives what the reference gives, forward and backward, compiled too', (op) => {
    // Further samples are other shapes and options, which do not depend on the dtype.
    op.samples()
      .slice(0, 2)
      .forEach((sample, i) => {
        const what = `sample ${i} ${JSON.stringify(sample.args)}`
        const eager = on('wasm', op, sample)
        expectSame(eager, on('reference', op, sample), what)
        if (i === 0 && dtype === 'bfloat16' && !dataDependent.includes(op.name))
          expectSame(on('wasm', op, sample, compile), eager, `${what} compiled`)
      })
  })
})

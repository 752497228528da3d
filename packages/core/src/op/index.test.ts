import { expect, test } from 'vitest'
import * as op from './index.ts'
import { table } from './table.ts'

/** They make tensors out of JavaScript values, or write into one: nothing that the table's tests could run. */
const outsideTheTable = ['assign', 'full', 'ones', 'setAt', 'tensor', 'zeros']

test('ops are all that the files of ops export, and all ops are exported', () => {
  expect(Object.keys(op).sort()).toEqual([...table.keys(), ...outsideTheTable].sort())
})

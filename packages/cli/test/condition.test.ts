import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RunSummary } from '../src/board/protocol.ts'
import { type ConditionOp, conditionOps, formatCondition, meets, parseCondition } from '../ui/condition.ts'

const run: RunSummary = {
  id: 0,
  name: 'a',
  tags: [],
  started: null,
  updated: null,
  points: 0,
  graph: false,
  hparams: { lr: 0.001, optimizer: 'AdamW', nesterov: true },
  status: 'unknown',
  problems: {},
}

test.each<[key: string, op: ConditionOp, value: string, met: boolean]>([
  ['lr', '=', '1e-3', true],
  ['lr', '=', '0.01', false],
  ['lr', '!=', '0.01', true],
  ['lr', '<', '0.001', false],
  ['lr', '<=', '0.001', true],
  ['lr', '>', ' 0.0001 ', true],
  ['lr', '>=', 'x', false],
  ['optimizer', '=', 'adamw', true],
  ['optimizer', '!=', 'sgd', true],
  ['optimizer', '~', '^adam', true],
  ['optimizer', '~', 'sgd|rmsprop', false],
  ['optimizer', '<', '3', false],
  ['nesterov', '=', 'true', true],
  ['nesterov', '=', 'false', false],
  ['width', '=', '64', false],
  ['width', '!=', '64', true],
  ['width', '~', '.', false],
  // Half-written ones keep every run that has the hyperparameter, or all.
  ['optimizer', '~', '(', true],
  ['width', '=', ' ', true],
])('%s %s %s is %s', (key, op, value, met) => expect(meets(run, { key, op, value })).toBe(met))

test('a run without hyperparameters only differs', () => {
  const bare = { ...run, hparams: null }
  expect(conditionOps.filter((op) => meets(bare, { key: 'lr', op, value: '1' }))).toEqual(['!='])
})

test('conditions survive the address, whatever the names', () => {
  expect(formatCondition({ key: 'lr', op: '>=', value: '0.01' })).toBe('lr>=0.01')
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.constantFrom(...conditionOps), fc.string(), (key, op, value) => {
      expect(parseCondition(formatCondition({ key, op, value }))).toEqual({ key, op, value })
    }),
  )
  const tricky = { key: 'a<b', op: '<', value: '=1' } as const
  expect(parseCondition(formatCondition(tricky))).toEqual(tricky)
  for (const text of ['', 'lr', '=3']) expect(parseCondition(text)).toBeUndefined()
})

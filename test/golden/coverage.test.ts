import { expect, test } from 'vitest'
import 'cotangent'
import { table } from '../../packages/core/src/op/table.ts'
import { goldenFamilies, loadGolden } from './load.ts'

/** Ops without golden vectors, and why. */
const without: Record<string, string> = {
  fitTo: 'the adjoint of broadcasting; every gradient of a broadcasting op checks it',
  contiguous: 'changes the layout only',
  newFull: 'makes constants',
}

test('every op of the table has golden vectors or a reason for having none', () => {
  const covered = new Set(goldenFamilies().flatMap((family) => loadGolden(family).cases.map((c) => c.name)))
  const missing = [...table.values()].filter((op) => !op.random && !covered.has(op.name) && !(op.name in without)).map((op) => op.name)
  expect(missing).toEqual([])
})

test('every reason is still needed', () => {
  expect(Object.keys(without).filter((name) => !table.has(name))).toEqual([])
})

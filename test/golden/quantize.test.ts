import { table } from '../../packages/core/src/op/table.ts'
import { testGolden } from './load.ts'

testGolden('quantize', ({ name }) => {
  const op = table.get(name)
  if (!op) throw new TypeError(`the table has no op ${name}`)
  return op.call
})

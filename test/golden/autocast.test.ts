import { autocast } from 'cotangent'
import { table } from '../../packages/core/src/op/table.ts'
import { testGolden } from './load.ts'

testGolden('autocast', ({ name }) => {
  const { call } = table.get(name)!
  return (...args) => autocast(() => call(...args))
})

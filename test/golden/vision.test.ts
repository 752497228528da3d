import * as vision from 'cotangent/vision'
import { testGolden } from './load.ts'

testGolden('vision', ({ name }) => vision[name as keyof typeof vision] as unknown as (...args: never[]) => unknown)

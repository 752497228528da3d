import { layerOf } from './layer.ts'
import { testGolden } from './load.ts'

testGolden('nn', layerOf)

import { compile } from 'cotangent'
import { layerOf } from './layer.ts'
import { testGolden } from './load.ts'

// Every layer as one program, with its gradients through it.
testGolden('nn', (golden) => compile(layerOf(golden)))

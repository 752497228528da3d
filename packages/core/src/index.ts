import { ReferenceEngine } from './engine/reference/engine.ts'
import { registerEngine } from './engine/registry.ts'

registerEngine('reference', () => new ReferenceEngine())

export { backward, type BackwardOptions } from './autograd/backward.ts'
export { detectAnomaly } from './autograd/anomaly.ts'
export { type DType, dtypes, isDType } from './dtype.ts'
export { engineNames, registerEngine, setEngine } from './engine/registry.ts'
export { CotangentError, type ErrorCode } from './errors.ts'
export type { Shape } from './layout.ts'
export { enableGrad, noGrad } from './tensor/modes.ts'
export { Tensor } from './tensor/tensor.ts'
export * from './op/index.ts'
export { type GradOptions, grad, valueAndGrad } from './autograd/grad.ts'
export { checkpoint } from './autograd/checkpoint.ts'
export { keep, tidy } from './tensor/scope.ts'
export { defaultGenerator, Generator, type GeneratorState, manualSeed } from './tensor/generator.ts'
export { Graph, trace } from './graph/trace.ts'

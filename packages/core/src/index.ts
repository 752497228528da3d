import { ReferenceEngine } from './engine/reference/engine.ts'
import { referenceRoutine } from './engine/reference/routine.ts'
import { registerEngine } from './engine/registry.ts'
import { WasmEngine } from './engine/wasm/engine.ts'

registerEngine('wasm', () => new WasmEngine({ fallback: referenceRoutine }))
registerEngine('reference', () => new ReferenceEngine())

export { detectAnomaly } from './autograd/anomaly.ts'
export { backward, type BackwardOptions } from './autograd/backward.ts'
export { checkpoint } from './autograd/checkpoint.ts'
export { type GradOptions, grad, valueAndGrad } from './autograd/grad.ts'
export { type DType, dtypes, isDType } from './dtype.ts'
export { currentEngine, engineNamed, engineNames, registerEngine, setEngine } from './engine/registry.ts'
export type { Buffer, Engine, Executable, MemoryUse, Program } from './engine/engine.ts'
export { CotangentError, type ErrorCode } from './errors.ts'
export { Graph, trace } from './graph/trace.ts'
export type { Shape } from './layout.ts'
export * from './op/index.ts'
export { type PrintOptions, setPrintOptions } from './tensor/format.ts'
export { defaultGenerator, Generator, type GeneratorState, manualSeed } from './tensor/generator.ts'
export { enableGrad, noGrad } from './tensor/modes.ts'
export { keep, tidy } from './tensor/scope.ts'
export { Tensor } from './tensor/tensor.ts'

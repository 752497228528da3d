import { setNotice } from './notice.ts'

// oxlint-disable-next-line no-console -- said once, where something makes a program slower than it could be
setNotice((message) => console.warn(message))

export { assertGradients, gradCheck, type GradCheckOptions, type GradMismatch } from './autograd/grad-check.ts'
export { detectAnomaly } from './autograd/anomaly.ts'
export { backward, type BackwardOptions } from './autograd/backward.ts'
export { checkpoint } from './autograd/checkpoint.ts'
export { type GradOptions, grad, valueAndGrad } from './autograd/grad.ts'
export { hessian, jacobian, type JacobianOf, type JacobianOptions } from './transform/jacobian.ts'
export { jvp } from './transform/jvp.ts'
export { vjp } from './transform/vjp.ts'
export { type Axes, type Randomness, vmap, type VmapOptions } from './transform/vmap.ts'
export { type DType, dtypes, isDType } from './dtype.ts'
export { autotune } from './engine/autotune.ts'
export { currentEngine, registerEngine, setThreads } from './engine/registry.ts'
export { wasmFeatures, type WasmFeatures } from './engine/wasm/features.ts'
export { engineNamed, engineNames, registerRoutineBackend, setAutotune, setEngine } from './engines.ts'
export type { Buffer, Engine, Executable, MemoryUse, Program } from './engine/engine.ts'
export type { ObjectWatcher } from './engine/object-watcher.ts'
export type { AttachedBackend, BackendRoutine, BackendThreads, RoutineBackend } from './engine/routine-backend.ts'
export type { Operand, Routine, RoutineAttrs, RoutineName, WindowGeometry } from './engine/routine.ts'
export type { Kernel, Node } from './engine/kernel.ts'
export { CotangentError, type ErrorCode, type ErrorDetails } from './errors.ts'
export { compile, type Compiled, type CompileOptions } from './graph/compile.ts'
export { exportProgram, type ExportOptions } from './program/export.ts'
export { type LoadedProgram, loadProgram, type LoadProgramOptions, type ProgramGroup, type TensorSpec } from './program/loaded-program.ts'
export { cond } from './graph/control/cond.ts'
export { check, print } from './graph/control/print.ts'
export { type Loosely, scan, type ScanOptions } from './graph/control/scan.ts'
export { whileLoop, type WhileLoopOptions } from './graph/control/while-loop.ts'
export { drawGraph } from './graph/draw.ts'
export { explain, type MeasurableExplanation } from './graph/explain.ts'
export type { Explanation, FusionNote, OperationReport, Totals } from './graph/explanation.ts'
export {
  type Profile,
  type ProfileRow,
  type ProfileTableOptions,
  profile,
  recordScope,
  type Slice,
  type SliceKind,
} from './graph/profile.ts'
export type { Graph, GraphNode } from './graph/graph.ts'
export { type CheckpointParts, decodeCheckpoint, encodeCheckpoint, type Stateful } from './io/checkpoint.ts'
export { loadNpy, loadSafetensors, saveNpy, saveSafetensors } from './io/state.ts'
export type { Shape } from './layout.ts'
export * from './op/index.ts'
export { autocast, type AutocastOptions } from './tensor/autocast.ts'
export { type PrintOptions, setPrintOptions } from './tensor/format.ts'
export { defaultGenerator, Generator, type GeneratorState, manualSeed } from './tensor/generator.ts'
export { matmulPrecision, type MatmulPrecision, setMatmulPrecision } from './tensor/matmul-precision.ts'
export { enableGrad, noGrad } from './tensor/modes.ts'
export { keep, tidy } from './tensor/scope.ts'
export { Tensor } from './tensor/tensor.ts'
export * as nn from './nn/index.ts'
export * as optim from './optim/index.ts'

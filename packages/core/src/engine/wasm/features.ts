import { ModuleBuilder } from './assembler.ts'
import type { FunctionBuilder } from './function-builder.ts'

/** What this runtime's WebAssembly can do. */
export interface WasmFeatures {
  /** 128-bit SIMD. The engine needs it: Node 16.4, Chrome 91, Firefox 89, Safari 16.4 and later have it. */
  readonly simd: boolean
  /** Relaxed SIMD: fused multiply-add in one instruction. Node 20 (behind a flag that is set here), Chrome 114. */
  readonly relaxedSimd: boolean
  /** Shared memory and atomics; in a browser only with cross-origin isolation. */
  readonly threads: boolean
}

let detected: WasmFeatures | undefined

/** Finds out by validating tiny modules, once. */
export function wasmFeatures(): WasmFeatures {
  detected ??= detect()
  return detected
}

function detect(): WasmFeatures {
  unlockRelaxedSimd()
  return {
    simd: validates((f) => {
      f.splat('f32x4', 0)
      f.op('f32x4.neg')
      f.drop()
    }),
    relaxedSimd: validates((f) => {
      for (let i = 0; i < 3; i++) f.splat('f32x4', 0)
      f.op('f32x4.relaxed_madd')
      f.drop()
    }),
    threads: hasThreads(),
  }
}

interface NodeProcess {
  versions?: { v8?: string }
  getBuiltinModule?(name: 'node:v8'): { setFlagsFromString(flags: string): void }
}

/** Node 20's V8 has relaxed SIMD complete, but behind a flag that can be set at any time; matrix products gain a third. */
function unlockRelaxedSimd(): void {
  const process = (globalThis as { process?: NodeProcess }).process
  if (process?.versions?.v8?.startsWith('11.3.'))
    process.getBuiltinModule?.('node:v8').setFlagsFromString('--experimental-wasm-relaxed-simd')
}

function validates(body: (f: FunctionBuilder) => void, imports?: (m: ModuleBuilder) => void): boolean {
  const m = new ModuleBuilder()
  imports?.(m)
  body(m.function('probe'))
  return WebAssembly.validate(m.toBytes())
}

/** Without cross-origin isolation a browser validates atomics but has no SharedArrayBuffer to hand to workers. */
function hasThreads(): boolean {
  if (typeof SharedArrayBuffer === 'undefined') return false
  const isolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated
  if (isolated === false) return false
  return validates(
    (f) => {
      f.i32(0)
      f.mem('i32.atomic.load')
      f.drop()
    },
    (m) => {
      m.importMemory({ shared: true })
    },
  )
}

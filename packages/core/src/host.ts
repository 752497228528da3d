import type { WasmEngineOptions } from './engine/wasm/engine.ts'

/** What an engine makes use of besides its own code. */
export type HostOptions = Pick<WasmEngineOptions, 'backends' | 'tuning'>

/** What this host adds: nothing in browsers. In Node, `host.node.ts` is loaded instead. */
export const hostOptions = (_notice: (message: string) => void): HostOptions => ({})

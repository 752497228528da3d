import type { ConstantBuffer, Executable } from '../engine.ts'
import type { Kernel } from '../kernel.ts'
import type { WasmEngine } from './engine.ts'
import type { Epilogue } from './epilogue.ts'
import type { Heap } from './heap.ts'
import type { PreparedStep } from './linked-sequence.ts'
import type { PackedMatrix, PanelLayout } from './packed-operand.ts'

/** What makes programs of many steps fast. */
interface ProgramCode {
  link(engine: WasmEngine, steps: readonly PreparedStep[], constants: readonly ConstantBuffer[] | undefined): Executable
  /** Undefined where the code has to be a kernel of its own. */
  planEpilogue(kernel: Kernel): Epilogue | undefined
  packed(heap: Heap, block: number, layout: PanelLayout): PackedMatrix
}

let code: ProgramCode | undefined

export function useProgramCode(found: ProgramCode): void {
  code = found
}

/** Undefined in programs that have no means to make such programs. */
export const programCode = (): ProgramCode | undefined => code

import type { ConstantBuffer, Executable } from '../engine.ts'
import type { Kernel } from '../kernel.ts'
import type { blindExtrema } from './blind-extrema.ts'
import type { sweepColumns, sweepsColumns } from './column-sweep.ts'
import type { WasmEngine } from './engine.ts'
import type { Epilogue } from './epilogue.ts'
import type { Heap } from './heap.ts'
import type { keptValue } from './kept-value.ts'
import type { PreparedStep } from './linked-sequence.ts'
import type { PackedMatrix, PanelLayout } from './packed-operand.ts'
import type { isPipelined, pipelineRows } from './row-pipeline.ts'
import type { stagedKernel } from './staged-kernel.ts'
import type { sweptAxes } from './swept-axes.ts'

/** What makes programs of many steps fast, and kernels that go over rows several times or over short ones. */
interface ProgramCode {
  link(engine: WasmEngine, steps: readonly PreparedStep[], constants: readonly ConstantBuffer[] | undefined): Executable
  /** Undefined where the code has to be a kernel of its own. */
  planEpilogue(kernel: Kernel): Epilogue | undefined
  /** Emits what comes before rows that are pipelined (`KernelPlan.pipelined`); gives what emits a row. */
  pipelineRows: typeof pipelineRows
  isPipelined: typeof isPipelined
  sweptAxes: typeof sweptAxes
  blindExtrema: typeof blindExtrema
  keptValue: typeof keptValue
  stagedKernel: typeof stagedKernel
  sweepsColumns: typeof sweepsColumns
  sweepColumns: typeof sweepColumns
  packed(heap: Heap, block: number, layout: PanelLayout): PackedMatrix
}

let code: ProgramCode | undefined

export function useProgramCode(found: ProgramCode): void {
  code = found
}

/** Undefined in programs that have no means to make such programs. */
export const programCode = (): ProgramCode | undefined => code

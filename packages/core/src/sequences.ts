import type { Engine, Executable, Sequence } from './engine/engine.ts'
import { blindExtrema } from './engine/wasm/blind-extrema.ts'
import { sweepColumns, sweepsColumns } from './engine/wasm/column-sweep.ts'
import { planEpilogue } from './engine/wasm/epilogue.ts'
import { keptValue } from './engine/wasm/kept-value.ts'
import { LinkedSequence } from './engine/wasm/linked-sequence.ts'
import { PackedMatrix } from './engine/wasm/packed-operand.ts'
import { useProgramCode } from './engine/wasm/program-code.ts'
import { isPipelined, pipelineRows } from './engine/wasm/row-pipeline.ts'
import { stagedKernel } from './engine/wasm/staged-kernel.ts'
import { sweptAxes } from './engine/wasm/swept-axes.ts'
import { withByteProducts } from './routines.ts'

/* @__NO_SIDE_EFFECTS__ */
function linked(): (engine: Engine, sequence: Sequence) => Executable {
  useProgramCode({
    link: (engine, steps, constants) => new LinkedSequence(engine, steps, constants),
    planEpilogue,
    pipelineRows,
    isPipelined,
    sweptAxes,
    blindExtrema,
    keptValue,
    stagedKernel,
    sweepsColumns,
    sweepColumns,
    packed: (heap, block, layout) => new PackedMatrix(heap, block, layout),
  })
  return (engine, sequence) => engine.prepare(sequence)
}

/**
 * Makes the sequences of compiled programs ready, and brings along the code that makes those fast: bundlers leave it out of programs that
 * compile nothing. Where it is, ops of several steps use it, too.
 */
export const prepareSequence = withByteProducts(linked())

import type { Engine } from '../engine/engine.ts'
import { shareCommon } from './passes/common.ts'
import { foldConstants } from './passes/constants.ts'
import { skipCopies } from './passes/copies.ts'
import { removeDeadCode } from './passes/dead-code.ts'
import { fuseEpilogues } from './passes/epilogues.ts'
import { fuseChains, fuseNeighbours } from './passes/fuse.ts'
import { rewriteScalars } from './passes/rewrite.ts'
import { scheduleForMemory } from './passes/schedule.ts'
import { splitStages } from './passes/stages.ts'
import { scaleWeights } from './passes/weights.ts'
import type { Program } from './program.ts'
import { verify } from './verify.ts'

/** What passes may know besides the program. */
interface PassContext {
  /** Where the program is going to run. */
  readonly engine: Engine
  /** Whether captured tensors that the program does not change are constants. */
  readonly frozen: boolean
}

/** A rewriting of programs that leaves what they compute as it is. */
export interface Pass {
  readonly name: string
  readonly run: (program: Program, context: PassContext) => Program
}

/** What a program goes through, in this order. */
export const passes: readonly Pass[] = [
  { name: 'dead code', run: removeDeadCode },
  { name: 'common operations', run: shareCommon },
  { name: 'copies', run: skipCopies },
  { name: 'scalar rewriting', run: rewriteScalars },
  { name: 'weights', run: (program, { frozen }) => (frozen ? scaleWeights(program) : program) },
  { name: 'constants', run: (program, { engine, frozen }) => foldConstants(program, engine, { frozen }) },
  { name: 'stages', run: splitStages },
  { name: 'fuse chains', run: fuseChains },
  { name: 'fuse epilogues', run: fuseEpilogues },
  { name: 'fuse neighbours', run: fuseNeighbours },
  { name: 'scalar rewriting', run: rewriteScalars },
  { name: 'dead code', run: removeDeadCode },
  { name: 'schedule', run: scheduleForMemory },
]

/** @param onStage Sees the program as it comes, and as each pass leaves it. */
export function optimize(program: Program, context: PassContext, onStage?: (stage: string, program: Program) => void): Program {
  verify(program, 'lowering')
  onStage?.('lowering', program)
  for (const { name, run } of passes) {
    program = run(program, context)
    verify(program, name)
    onStage?.(name, program)
  }
  return program
}

import { shareCommon } from './passes/common.ts'
import { removeDeadCode } from './passes/dead-code.ts'
import { fuseEpilogues } from './passes/epilogues.ts'
import { fuseChains, fuseNeighbours } from './passes/fuse.ts'
import { rewriteScalars } from './passes/rewrite.ts'
import type { Program } from './program.ts'
import { verify } from './verify.ts'

/** A rewriting of programs that leaves what they compute as it is. */
export interface Pass {
  readonly name: string
  readonly run: (program: Program) => Program
}

/** What a program goes through, in this order. */
export const passes: readonly Pass[] = [
  { name: 'dead code', run: removeDeadCode },
  { name: 'common operations', run: shareCommon },
  { name: 'scalar rewriting', run: rewriteScalars },
  { name: 'fuse chains', run: fuseChains },
  { name: 'fuse epilogues', run: fuseEpilogues },
  { name: 'fuse neighbours', run: fuseNeighbours },
  { name: 'scalar rewriting', run: rewriteScalars },
  { name: 'dead code', run: removeDeadCode },
]

/** @param onStage Sees the program as it comes, and as each pass leaves it. */
export function optimize(program: Program, onStage?: (stage: string, program: Program) => void): Program {
  verify(program, 'lowering')
  onStage?.('lowering', program)
  for (const { name, run } of passes) {
    program = run(program)
    verify(program, name)
    onStage?.(name, program)
  }
  return program
}

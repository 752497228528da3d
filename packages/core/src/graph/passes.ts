import type { Program } from './program.ts'

export function optimize(program: Program): Program {
  return program
}

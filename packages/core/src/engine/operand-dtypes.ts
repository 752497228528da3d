import type { DType } from '../dtype.ts'
import type { Program } from './engine.ts'

/** The dtypes of a program's inputs, then of its outputs. */
export const operandDTypes = (program: Program): DType[] =>
  program.kind === 'kernel'
    ? [...program.inputs, ...program.outputs.map((o) => o.dtype)]
    : [...program.inputs, ...program.outputs].map((o) => o.dtype)

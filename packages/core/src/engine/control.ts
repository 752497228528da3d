import type { DType } from '../dtype.ts'
import type { Buffer, Engine } from '../engine/engine.ts'

/** Memory of a run, from an element on. */
export interface Region {
  readonly buffer: Buffer
  /** In elements. */
  readonly offset: number
}

/** An operand of a control: dense, from its place on. */
export interface ControlOperand {
  readonly dtype: DType
  readonly shape: readonly number[]
}

/**
 * What the host does between kernels and routines: it chooses a branch, goes round a loop, prints. Passes know nothing of it but
 * what it reads and writes.
 */
export interface Control {
  readonly kind: 'control'
  readonly name: string
  readonly inputs: readonly ControlOperand[]
  readonly outputs: readonly ControlOperand[]
  /** Whether it has to run even if nobody reads its outputs, in order with others of the kind. */
  readonly effect: boolean
  readonly run: (engine: Engine, inputs: readonly Region[], outputs: readonly Region[]) => void
}

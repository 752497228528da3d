import type { Control, Region } from '../engine/control.ts'
import type { ConstantBuffer, Engine, Executable, Step } from '../engine/engine.ts'
import { CotangentError } from '../errors.ts'
import { prepareSequence } from '../sequences.ts'

/** One operation over a program's buffers: what engines run, or what the host does between. */
export interface ProgramStep extends Omit<Step, 'program'> {
  readonly program: Step['program'] | Control
}

const isEngineStep = (step: ProgramStep): step is Step => step.program.kind !== 'control'

/**
 * Steps in order: what lies between two controls is one sequence of the engine.
 *
 * @param constants See `Sequence`.
 */
export function prepareSteps(engine: Engine, steps: readonly ProgramStep[], constants: readonly ConstantBuffer[]): Executable {
  const parts: Executable[] = []
  for (let first = 0; first < steps.length || parts.length === 0;) {
    const control = steps.findIndex((step, i) => i >= first && !isEngineStep(step))
    const end = control < 0 ? steps.length : control
    const sequence = prepareSequence(engine, { kind: 'sequence', steps: steps.slice(first, end).filter(isEngineStep), constants })
    if (end === steps.length && parts.length === 0) return sequence
    parts.push(startingAt(first, sequence))
    if (control >= 0) parts.push(prepareControl(engine, steps[control]!))
    first = end + 1
  }
  return {
    run(buffers, offsets, scalars, moved) {
      for (const part of parts) part.run(buffers, offsets, scalars, moved)
    },
  }
}

/** Errors tell the position among all steps. */
function startingAt(first: number, sequence: Executable): Executable {
  return {
    run(buffers, offsets, scalars, moved) {
      try {
        sequence.run(buffers, offsets, scalars, moved)
      } catch (error) {
        if (error instanceof CotangentError && error.step !== undefined) error.step += first
        throw error
      }
    },
  }
}

function prepareControl(engine: Engine, { program, operands }: ProgramStep): Executable {
  const control = program as Control
  const count = control.inputs.length
  return {
    run(buffers, offsets) {
      const regions = operands.map(({ buffer, offset }): Region => ({ buffer: buffers[buffer]!, offset: offsets[buffer]! + offset }))
      control.run(engine, regions.slice(0, count), regions.slice(count))
    },
  }
}

import { CotangentError } from '../errors.ts'
import type { Engine, Executable, Sequence } from './engine.ts'

/** A sequence as its steps one by one, for engines that have no better way. */
export function prepareSequence(engine: Engine, { steps }: Sequence): Executable {
  const prepared = steps.map((step) => ({ ...step, executable: engine.prepare(step.program) }))
  return {
    run(buffers, offsets, scalars) {
      prepared.forEach(({ executable, operands, scalars: params }, at) => {
        try {
          executable.run(
            operands.map((o) => buffers[o.buffer]!),
            operands.map((o) => offsets[o.buffer]! + o.offset),
            params.map((s) => scalars[s]!),
          )
        } catch (error) {
          throw failedAt(at, error)
        }
      })
    },
  }
}

/** The error, told which step of a sequence it comes from. */
export function failedAt(step: number, error: unknown): unknown {
  if (error instanceof CotangentError) error.step = step
  return error
}

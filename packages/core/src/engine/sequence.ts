import type { Engine, Executable, Sequence } from './engine.ts'

/** A sequence as its steps one by one, for engines that have no better way. */
export function prepareSequence(engine: Engine, { steps }: Sequence): Executable {
  const prepared = steps.map((step) => ({ ...step, executable: engine.prepare(step.program) }))
  return {
    run(buffers, offsets, scalars) {
      for (const { executable, operands, scalars: params } of prepared) {
        executable.run(
          operands.map((o) => buffers[o.buffer]!),
          operands.map((o) => offsets[o.buffer]! + o.offset),
          params.map((at) => scalars[at]!),
        )
      }
    },
  }
}

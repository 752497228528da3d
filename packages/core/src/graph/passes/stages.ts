import { stagesOf } from '../../engine/stages.ts'
import { isKernel } from '../fusion.ts'
import type { Value } from '../graph.ts'
import type { Operation, Program } from '../program.ts'

/** Kernels that go over long rows several times become one kernel a pass, so that what is beside them can be fused with any of these. */
export function splitStages(program: Program): Program {
  let id = Math.max(-1, ...program.operations.flatMap(({ outputs }) => outputs.map(({ value }) => value.id)))
  const newValue = (dtype: Value['dtype'], size: number, source: Value['source']): Value => ({ id: ++id, dtype, size, source })
  const split = (operation: Operation): Operation[] => {
    // Later kernels read what earlier ones write, which has to be whole values.
    const isWhole = operation.outputs.every(({ offset }) => offset === 0)
    const stages = isWhole && isKernel(operation) && stagesOf(operation.program)
    if (!stages) return [operation]
    const { inputs, outputs, numbers } = operation
    const temporaries = stages.temporaries.map(({ dtype, size }) => newValue(dtype, size, outputs[0]!.value.source))
    const places = [...inputs, ...outputs, ...temporaries.map((value) => ({ value, offset: 0 }))]
    return stages.steps.map(({ program, operands, scalars }) => {
      const own = operands.map(({ buffer }) => places[buffer]!)
      return {
        ...operation,
        program,
        inputs: own.slice(0, program.inputs.length),
        outputs: own.slice(program.inputs.length),
        numbers: scalars.map((i) => numbers[i]!),
      }
    })
  }
  return { ...program, operations: program.operations.flatMap(split) }
}

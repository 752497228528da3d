import { dtypeInfo, type TypedArray } from '../../dtype.ts'
import { sizeOf } from '../../layout.ts'
import { type Operand, type Routine, type RoutineName, withoutEpilogue } from '../routine.ts'
import type { Dense, RoutineMeaning } from './arithmetic.ts'
import { forEachIndex, runKernel } from './kernel.ts'
import { loadElement, type Num, storeElement } from './storage.ts'

/**
 * A routine on typed arrays that span whole buffers; `offsets` say at which of their elements an operand starts. Both list the inputs,
 * then the outputs. Inputs are read before any output is written, so operands may overlap.
 */
export type RunRoutine = (arrays: readonly TypedArray[], offsets: readonly number[], scalars: readonly number[]) => void

/** The routine by what routines of its name mean. */
export function interpret<N extends RoutineName>(routine: Routine<N>, meaning: RoutineMeaning<N>): RunRoutine {
  const { attrs, inputs, outputs, epilogue } = routine
  if (epilogue) {
    const plain = withoutEpilogue(routine)
    const run = interpret(plain, meaning)
    const { dtype, shape } = plain.outputs[0]!
    const own = plain.inputs.length
    return (arrays, offsets, scalars) => {
      const raw = new dtypeInfo[dtype].array(sizeOf(shape))
      run([...arrays.slice(0, own), raw], [...offsets.slice(0, own), 0], [])
      runKernel(epilogue, [raw, ...arrays.slice(own)], [0, ...offsets.slice(own)], scalars)
    }
  }
  return (arrays, offsets) => {
    const dense = inputs.map((operand, i) => readDense(operand, arrays[i]!, offsets[i]!))
    meaning(attrs, dense, outputs).forEach((values, o) => {
      const at = inputs.length + o
      values.forEach((value, i) => storeElement(arrays[at]!, outputs[o]!.dtype, offsets[at]! + i, value))
    })
  }
}

function readDense({ dtype, shape, strides }: Operand, array: TypedArray, offset: number): Dense {
  const values: Num[] = []
  const index = shape.map(() => 0)
  forEachIndex(shape, index, 0, () => {
    values.push(
      loadElement(
        array,
        dtype,
        strides.reduce((at, stride, axis) => at + stride * index[axis]!, offset),
      ),
    )
  })
  return { dtype, shape, values }
}

import { dtypeInfo, type TypedArray } from '../../dtype.ts'
import { sizeOf } from '../../layout.ts'
import { type Operand, type Routine, type RoutineName, withoutEpilogue } from '../routine.ts'
import { cumulative, scatter } from './along-axis.ts'
import type { Dense, RoutineMeaning } from './arithmetic.ts'
import { attention, attentionGrad } from './attention.ts'
import { conv, convGradInput, convGradWeight } from './conv.ts'
import { forEachIndex, runKernel } from './kernel.ts'
import { matmul } from './matmul.ts'
import { fold, maxPool, maxPoolGrad } from './pool.ts'
import { recurrent, recurrentGrad } from './recurrent.ts'
import { sort } from './sort.ts'
import { loadElement, type Num, storeElement } from './storage.ts'

/** What each routine means, on dense values. */
const meanings = {
  matmul,
  conv,
  convGradInput,
  convGradWeight,
  maxPool,
  maxPoolGrad,
  fold,
  sort,
  scatter,
  cumulative,
  recurrent,
  recurrentGrad,
  attention,
  attentionGrad,
} satisfies { [N in RoutineName]: RoutineMeaning<N> }

/**
 * The routine as a function. `arrays` span whole buffers and `offsets` say at which of their elements an operand starts;
 * both list the inputs, then the outputs. Inputs are read before any output is written, so operands may overlap.
 */
export function referenceRoutine(
  program: Routine,
): (arrays: readonly TypedArray[], offsets: readonly number[], scalars: readonly number[]) => void {
  const { name, attrs, inputs, outputs, epilogue } = program
  if (epilogue) {
    const plain = withoutEpilogue(program)
    const run = referenceRoutine(plain)
    const { dtype, shape } = plain.outputs[0]!
    const own = plain.inputs.length
    return (arrays, offsets, scalars) => {
      const raw = new dtypeInfo[dtype].array(sizeOf(shape))
      run([...arrays.slice(0, own), raw], [...offsets.slice(0, own), 0], [])
      runKernel(epilogue, [raw, ...arrays.slice(own)], [0, ...offsets.slice(own)], scalars)
    }
  }
  const meaning = meanings[name] as RoutineMeaning<RoutineName>
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

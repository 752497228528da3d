import type { Operand, Routine } from 'cotangent'
import { cells, dataTypes, type NativeDescription } from './binding.ts'
import { lastElement, overlaps, rowMajor, size, tidy } from './layout.ts'

export type RecurrentRoutine = Routine<'recurrent'> | Routine<'recurrentGrad'>

/** A recurrent layer for the addon, and its multiply-adds; undefined where its operands are not float32, or lie otherwise than it reads them. */
export function describeRecurrent(
  routine: RecurrentRoutine,
): { readonly work: number; describe(threads: number): NativeDescription } | undefined {
  const { name, attrs } = routine
  const gradient = name === 'recurrentGrad'
  const operands = [...routine.inputs, ...routine.outputs].map(tidy)
  if (operands.some(({ dtype, shape }) => dtype !== 'float32' || shape.includes(0))) return undefined
  const [share, weights] = gradient
    ? [routine.inputs.length, routine.inputs.findIndex(({ shape }, i) => i > 0 && shape.length === 2)]
    : [0, 1]
  const given = operands.map(({ dtype, shape, strides }, word) => ({
    type: dataTypes[dtype]!,
    dims: shape,
    strides,
    wanted: undefined,
    word,
  }))
  if (operands.some(({ strides }) => strides.some((s) => s < 0)) || overlaps(given[weights]!)) return undefined
  if (operands.some((o, i) => i !== weights && (i !== share || gradient) && !isDense(o))) return undefined
  const { shape, strides } = operands[share]!
  if (strides[3] !== 1 || operands.some((o) => lastElement(o.shape, o.strides) >= 2 ** 31)) return undefined
  return {
    work: size(shape) * shape[3]!,
    describe: (threads) => ({
      recurrent: { cell: cells[attrs.cell], gradient, reverse: attrs.reverse, operands: given, inputs: routine.inputs.length, threads },
    }),
  }
}

const isDense = ({ shape, strides }: Operand): boolean => rowMajor(shape).every((s, axis) => s === strides[axis])

import type { Operand, Routine } from 'cotangent'
import { matrixTypes, type NativeDescription } from './binding.ts'
import { lastElement, rowMajor, size, tidy } from './layout.ts'

export type AttentionRoutine = Routine<'attention'> | Routine<'attentionGrad'>

/** Scores of a head, for each number of a query, from which on it pays to keep them out of memory: their products are made a second time for the gradient. */
const worthTiles = 256
const leastSize = 64

/** Attention for the addon's own code, and its multiply-adds; undefined where it has none. `small`: products and kernels are as fast. */
export function describeAttention(
  routine: AttentionRoutine,
): { readonly work: number; readonly vector: false; readonly small: boolean; describe(threads: number): NativeDescription } | undefined {
  const { name, attrs } = routine
  const [inputs, outputs] = [routine.inputs, routine.outputs].map((list) => list.map(tidy)) as [Operand[], Operand[]]
  const backward = name === 'attentionGrad'
  const [q, k, v] = inputs.slice(backward ? 1 : 0) as [Operand, Operand, Operand]
  const mask = inputs[backward ? 6 : 3]
  const all = [...inputs, ...outputs]
  if (all.some(({ dtype, shape }) => matrixTypes[dtype] === undefined || shape.includes(0))) return undefined
  if (all.some(({ strides }) => strides.some((s) => s < 0)) || all.some((o) => lastElement(o.shape, o.strides) >= 2 ** 31)) return undefined
  const batch = q.shape.slice(0, -2)
  const [queries, keys, width] = [q.shape.at(-2)!, k.shape.at(-2)!, v.shape.at(-1)!]
  const logSums = backward ? inputs[5]! : outputs[1]!
  const rows = rowMajor(logSums.shape)
  // The code reads and writes rows of log-sums as they lie.
  if (logSums.strides.some((s, axis) => s !== rows[axis])) return undefined
  const matrix = (o: Operand) => ({ type: matrixTypes[o.dtype]!, strides: o === logSums ? [...o.strides, 1] : o.strides })
  const operands = backward
    ? [...inputs.slice(0, 6).map(matrix), mask && matrix(mask), ...outputs.map(matrix)]
    : [...inputs.slice(0, 3).map(matrix), mask && matrix(mask), ...outputs.map(matrix)]
  const each = queries * keys * (backward ? 3 * q.shape.at(-1)! + 2 * width : q.shape.at(-1)! + width)
  return {
    work: (size(batch) * each) / (attrs.causal ? 2 : 1),
    vector: false,
    small: queries * keys < worthTiles * Math.max(leastSize, q.shape.at(-1)!),
    describe: (threads) => ({
      attention: {
        backward,
        causal: attrs.causal,
        scale: attrs.scale,
        batch,
        sizes: [queries, keys, q.shape.at(-1)!, width],
        operands,
        threads,
      },
    }),
  }
}

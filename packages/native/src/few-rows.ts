import type { Operand, Routine } from 'cotangent'
import type { NativeFewRows } from './binding.ts'
import { lastElement, rowsOf, tidy } from './layout.ts'

/** Rows from which on oneDNN's products are as fast. */
const mostRows = 8

/** Numbers of the matrix below which other code is as fast: one row in emitted code, which starts sooner, and several in oneDNN, from the cache. */
const leastMatrix = { one: 2 ** 16, several: 2 ** 18 } as const

/** Numbers of the matrix that are worth a thread of their own. */
const matrixPerThread = 2 ** 16

/**
 * A product of float32 numbers for the addon's own code, where a few rows are multiplied with one matrix; undefined for others. Each number of the
 * matrix is read once, so the speed of memory is the limit. `small`: other code is as fast.
 */
export function describeFewRows(routine: Routine): { readonly small: boolean; describe(threads: number): NativeFewRows } | undefined {
  if (routine.name !== 'matmul' || routine.epilogue) return undefined
  const operands = [...routine.inputs, ...routine.outputs].map(tidy)
  if (operands.some(({ dtype, shape, strides }) => dtype !== 'float32' || shape.includes(0) || strides.some((s) => s < 0))) return undefined
  if (operands.some(({ shape, strides }) => lastElement(shape, strides) >= 2 ** 31)) return undefined
  const [a, b] = operands as [Operand, Operand]
  const y = operands.at(-1)!
  const bias = operands.length > 3 ? operands[2] : undefined
  const [depth, columns] = [a.shape.at(-1)!, y.shape.at(-1)!]
  const [results, given] = [rowsOf(y), rowsOf(a)]
  // The batch of the second operand is the same matrix over and over.
  if (!results || !given || b.shape.slice(0, -2).some((n, axis) => n > 1 && b.strides[axis] !== 0)) return undefined
  const [bRow, bColumn] = b.strides.slice(-2) as [number, number]
  const described = (matrix: { row: number; column: number }, rest: Omit<NativeFewRows['fewRows'], 'step' | 'turned' | 'threads'>) => {
    const [, rows, across] = rest.sizes
    const turned = matrix.row === 1 && matrix.column >= rows && matrix.column !== 1
    if (!turned && !(matrix.column === 1 && matrix.row >= across)) return undefined
    return {
      small: rows * across < leastMatrix[rest.sizes[0] === 1 ? 'one' : 'several'],
      describe: (threads: number) => ({
        fewRows: {
          ...rest,
          step: turned ? matrix.column : matrix.row,
          turned,
          threads: Math.max(1, Math.min(threads, Math.floor((rows * across) / matrixPerThread))),
        },
      }),
    }
  }
  if (columns === 1 && given.count > mostRows && !bias && (results.step === 1 || results.count === 1)) {
    // A column is a row, seen the other way.
    return described(
      { row: a.strides.at(-1)!, column: given.step },
      { sizes: [1, depth, given.count], x: [0, bRow], y: 0, words: { x: 1, matrix: 0 }, bias: false },
    )
  }
  if (given.count > mostRows || (bias && bias.strides.at(-1) !== 1 && columns > 1)) return undefined
  return described(
    { row: bRow, column: bColumn },
    {
      sizes: [given.count, depth, columns],
      x: [given.step, a.strides.at(-1)!],
      y: results.step,
      words: { x: 0, matrix: 1 },
      bias: bias !== undefined,
    },
  )
}

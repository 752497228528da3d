import { type Operand, type RecurrentAttrs, type RecurrentCell, recurrentCells, type Routine, routine } from '../src/engine/routine.ts'
import { rowMajor } from '../src/layout.ts'
import { dense, small } from './engine.ts'

export interface RecurrentCase {
  readonly cell: RecurrentCell
  readonly time?: number
  readonly batch?: number
  readonly size?: number
  readonly reverse?: boolean
  readonly bias?: boolean
  /** Whether what the gradient needs is an output. */
  readonly keeps?: boolean
  readonly dtype?: Operand['dtype']
  /** Shares as a product over batch-major inputs leaves them, weights transposed. */
  readonly strided?: boolean
}

const permuted = (dtype: Operand['dtype'], shape: readonly number[], order: readonly number[]): Operand => {
  const steps = rowMajor(order.map((axis) => shape[axis]!))
  return { dtype, shape, strides: shape.map((_, axis) => steps[order.indexOf(axis)]!) }
}

/** A recurrent layer. */
export function layerOf(given: RecurrentCase): Routine<'recurrent'> {
  const { cell, time = 4, batch = 3, size = 5, reverse = false, bias = true, keeps = true, dtype = 'float32', strided = false } = given
  const { gates, states, kept } = recurrentCells[cell]
  const share = [time, batch, gates, size]
  const weights = [size, gates * size]
  const each = <T>(value: T): T[] => Array.from({ length: states }, () => value)
  return routine(
    'recurrent',
    { cell, reverse },
    [
      strided ? permuted(dtype, share, [1, 0, 2, 3]) : dense(dtype, share),
      strided ? permuted(dtype, weights, [1, 0]) : dense(dtype, weights),
      ...each(dense(dtype, [batch, size])),
      ...(bias ? [dense(dtype, [gates * size])] : []),
    ],
    [...each(dense(dtype, [time + 1, batch, size])), ...(keeps && kept > 0 ? [dense(dtype, [time, batch, kept, size])] : [])],
  )
}

/** Its gradient. */
export function layerGradientOf(given: RecurrentCase): Routine<'recurrentGrad'> {
  const layer = layerOf({ ...given, keeps: true })
  const { cell } = given
  const { states } = recurrentCells[cell]
  const [share, weights, first] = layer.inputs as [Operand, Operand, Operand]
  const all = layer.outputs.slice(0, states)
  const made = dense(share.dtype, share.shape)
  return routine(
    'recurrentGrad',
    layer.attrs as RecurrentAttrs,
    [...all, weights, ...layer.outputs],
    [made, ...all.map(() => first), ...(cell === 'gru' ? [made] : [])],
  )
}

/** Numbers between -1 and 1 for each operand, matrices divided by the root of their height, so that sums stay as large. */
export const valuesFor = ({ inputs }: Routine): number[][] =>
  inputs.map(({ shape }, i) => {
    const largest = 9 * (shape.length === 2 ? Math.sqrt(shape[0]!) : 1)
    return small(
      17 * i,
      shape.reduce((n, size) => n * size, 1),
    ).map((x) => x / largest)
  })

export const cells = Object.keys(recurrentCells) as RecurrentCell[]

/** The largest difference between two lists of lists; NaN and infinities have to be the same. */
export function differenceOf(a: readonly (readonly unknown[])[], b: readonly (readonly unknown[])[]): number {
  if (a.length !== b.length || a.some((list, i) => list.length !== b[i]!.length)) return Number.POSITIVE_INFINITY
  const apart = (x: number, y: number): number =>
    Object.is(x, y) || x === y ? 0 : Number.isFinite(x - y) ? Math.abs(x - y) : Number.POSITIVE_INFINITY
  return Math.max(0, ...a.flatMap((list, i) => list.map((x, j) => apart(Number(x), Number(b[i]![j])))))
}

import type { Kernel } from '../kernel.ts'
import type { KernelPlan } from './kernel-plan.ts'

/** Vectors of a row from which on its own overhead no longer counts. */
const LONG_ROW = 64
/** Rows that are worth being taken together. */
const ROWS = 8

/**
 * The last of the axes of rows, those that make up some rows at least, where rows are short and elementwise: they are walked by loops within
 * a task, which cost a row a few instructions where going from task to task costs dozens.
 */
export function sweptAxes(
  { nodes, parallel, reduce }: Kernel,
  { lanes, vectorAxis, tile }: Pick<KernelPlan, 'lanes' | 'vectorAxis' | 'tile'>,
): readonly number[] | undefined {
  // There may be reductions over no axis, of rows that are one element.
  if (reduce.length || nodes.some(({ op }) => op === 'reduce') || tile !== undefined || parallel[vectorAxis]! > LONG_ROW * lanes)
    return undefined
  const outer = [...parallel.keys()].filter((axis) => axis !== vectorAxis)
  let rows = 1
  const first = outer.findLastIndex((axis) => (rows *= parallel[axis]!) >= ROWS)
  return first < 0 ? undefined : outer.slice(first)
}

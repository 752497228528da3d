import type { Operand } from 'cotangent'

export function rowMajor(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1)
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!
  return strides
}

/** Strides of axes of size 1 mean nothing; here they are what a dense operand has. */
export function tidy(operand: Operand): Operand {
  const dense = rowMajor(operand.shape)
  return { ...operand, strides: operand.strides.map((s, axis) => (operand.shape[axis] === 1 ? dense[axis]! : s)) }
}

/** Where the last element lies, counted from the first. */
export const lastElement = (shape: readonly number[], strides: readonly number[]) =>
  shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 0)

export const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1)

/** Elements that lie on one another, which oneDNN can't describe. */
export function overlaps({ dims, strides }: { readonly dims: readonly number[]; readonly strides: readonly number[] }): boolean {
  const axes = dims.map((size, axis) => ({ size, stride: strides[axis]! })).filter((axis) => axis.size > 1)
  axes.sort((p, q) => p.stride - q.stride)
  let reach = 1
  for (const { size, stride } of axes) {
    if (stride < reach) return true
    reach = stride * (size - 1) + reach
  }
  return false
}

interface Rows {
  readonly count: number
  readonly step: number
}

/** All axes but the last as one; undefined where they are not one apart. */
export function rowsOf({ shape, strides }: Operand): Rows | undefined {
  let rows: Rows = { count: 1, step: 0 }
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    if (shape[axis] === 1) continue
    if (rows.count === 1) rows = { count: shape[axis]!, step: strides[axis]! }
    else if (strides[axis] === rows.count * rows.step) rows = { count: shape[axis]! * rows.count, step: rows.step }
    else return undefined
  }
  return rows
}

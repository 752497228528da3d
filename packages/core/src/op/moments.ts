import type { KernelBuilder, Value } from '../engine/kernel.ts'
import { isLong } from '../engine/stages.ts'
import { rowSize } from './rows.ts'
import { squareOf, zero } from './scalar-math.ts'

/** A row's mean, and its sum of squares of what elements differ from it by. */
interface Moments {
  readonly mean: Value
  readonly squares: Value
}

/**
 * Rows that stay in the cache are passed over twice, which loses no digits where the mean is large. Longer ones once, with sums
 * of differences from a number close to the mean (Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance").
 */
export function momentsOf(k: KernelBuilder, x: Value): Moments {
  const count = k.like(x, rowSize(k))
  const pivot = isLong({ nodes: k.nodes, parallel: k.parallel, reduce: k.reduceAxes }) ? pivotOf(k, x) : undefined
  if (pivot === undefined) {
    const mean = k.div(k.reduce('sum', x), count)
    return { mean, squares: k.reduce('sum', squareOf(k, k.sub(x, mean))) }
  }
  const difference = k.sub(x, pivot)
  const total = k.reduce('sum', difference)
  const offset = k.div(total, count)
  const squares = k.sub(k.reduce('sum', squareOf(k, difference)), k.mul(total, offset))
  return { mean: k.add(pivot, offset), squares: k.max(squares, zero(k, squares)) }
}

/**
 * The median of three elements of the row: one that is far from all others, such as padding, costs no digits. Undefined where
 * elements are not simply loaded.
 */
function pivotOf(k: KernelBuilder, x: Value): Value | undefined {
  const along = k.reduceAxes.findIndex((extent) => extent > 1)
  const found = [0, 1, k.reduceAxes[along]! - 1].map((position) => elementAt(k, x, k.parallel.length + along, position))
  const [a, b, c] = found
  if (a === undefined || b === undefined || c === undefined) return undefined
  const median = k.max(k.min(a, b), k.min(k.max(a, b), c))
  // An infinite one would make a NaN of every difference, and of the mean.
  return k.select(k.lt(k.abs(median), k.like(median, Number.POSITIVE_INFINITY)), median, zero(k, median))
}

/** The row's element at a position along one of its axes, and at the start of all others. */
function elementAt(k: KernelBuilder, x: Value, axis: number, position: number): Value | undefined {
  const node = k.nodes[x]!
  if (node.op === 'cast') {
    const whole = elementAt(k, node.args[0] as Value, axis, position)
    return whole === undefined ? undefined : k.cast(whole, node.type)
  }
  if (node.op !== 'load' || node.input < 0) return undefined
  const perRow = node.strides.map((stride, at) => (at < k.parallel.length ? stride : 0))
  return k.load(node.input, perRow, node.offset + position * node.strides[axis]!)
}

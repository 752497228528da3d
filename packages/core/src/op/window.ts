import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** One number for all spatial axes, or one an axis. */
export type PerAxis = number | readonly number[]

export function perAxis(op: string, name: string, value: PerAxis, axes: number, least: number): number[] {
  const list = typeof value === 'number' ? new Array<number>(axes).fill(value) : [...value]
  if (list.length !== axes || list.some((n) => !Number.isInteger(n) || n < least)) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `${name} is ${JSON.stringify(value)}`,
      hint: `Give one integer of at least ${least}, or ${axes} of them.`,
    })
  }
  return list
}

/** Elements of a window up to which code that names each of them is short enough. */
export const MOST_TAPS = 16

/** All positions in a space, in row-major order. */
export function placesIn(space: Shape): number[][] {
  return space.reduce<number[][]>((all, n) => all.flatMap((place) => Array.from({ length: n }, (_, i) => [...place, i])), [[]])
}

/** How many windows fit on an axis of (padded) size `n`. */
export function windowCount(n: number, kernel: number, stride: number, dilation: number, ceil = false): number {
  const room = (n - dilation * (kernel - 1) - 1) / stride
  return (ceil ? Math.ceil(room) : Math.floor(room)) + 1
}

export function checkRank(op: string, x: Tensor, rank: number, form: string): void {
  if (x.rank !== rank)
    throw new CotangentError('shape-mismatch', { op, message: `expected ${form}`, shapes: [x.shape], hint: `Give it ${rank} axes.` })
}

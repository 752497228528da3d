import type { WindowGeometry } from '../routine.ts'
import { forEachIndex } from './kernel.ts'

/**
 * Visits every element under a sliding window: `tap` is the place in the kernel, `position` the place in the spatial volume
 * that it reads, all three counted row-major. Taps that lie in the padding are left out.
 */
export function forEachTap(
  { kernel, stride, padding, dilation }: WindowGeometry,
  windows: readonly number[],
  spatial: readonly number[],
  visit: (window: number, tap: number, position: number) => void,
): void {
  const rank = kernel.length
  const index = new Array<number>(2 * rank).fill(0)
  forEachIndex([...windows, ...kernel], index, 0, () => {
    let window = 0
    let tap = 0
    let position = 0
    for (let axis = 0; axis < rank; axis++) {
      const w = index[axis]!
      const k = index[rank + axis]!
      const at = w * stride[axis]! + k * dilation[axis]! - padding[axis]![0]
      if (at < 0 || at >= spatial[axis]!) return
      window = window * windows[axis]! + w
      tap = tap * kernel[axis]! + k
      position = position * spatial[axis]! + at
    }
    visit(window, tap, position)
  })
}

/** `[batch, ...spatial, channels]` taken apart; `volume` is the number of spatial positions. */
export function channelsLast(shape: readonly number[]): { batch: number; spatial: readonly number[]; volume: number; channels: number } {
  const spatial = shape.slice(1, -1)
  return { batch: shape[0]!, spatial, volume: spatial.reduce((a, b) => a * b, 1), channels: shape.at(-1)! }
}

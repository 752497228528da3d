import type { Operand, WindowGeometry } from '../routine.ts'
import { type LaneType, lanesOf } from './lanes.ts'
import type { RoutinePlan } from './matmul-plan.ts'
import type { RecipeRule } from './routine-code.ts'
import { WindowSum } from './window-combination.ts'
import { type AxisTable, emitWindowGather, planGather } from './window-gather.ts'

/**
 * Sums of overlapping windows: `x [batch, ...windows, ...kernel, channels]` (at most three spatial axes, channels contiguous)
 * to dense `y [batch, ...spatial, channels]`. Pointers: x, y.
 */
function planFold(geometry: WindowGeometry, x: Operand, y: Operand, type: LaneType): RoutinePlan {
  const { size } = lanesOf(type, false)
  const rank = geometry.kernel.length
  const axes = geometry.kernel.map((kernel, axis): AxisTable => {
    const [stride, dilation, before] = [geometry.stride[axis]!, geometry.dilation[axis]!, geometry.padding[axis]![0]]
    const [windows, window, tap] = [x.shape[axis + 1]!, x.strides[axis + 1]! * size, x.strides[axis + 1 + rank]! * size]
    // Of all taps, those that reach a pixel are `every` apart; each is in the window `back` before the last one's.
    const divisor = greatestCommonDivisor(stride, dilation)
    const [every, back] = [stride / divisor, dilation / divisor]
    const entries = Array.from({ length: y.shape[axis + 1]! }, (_, position) => {
      let [first, count] = [0, 0]
      for (let k = 0; k < kernel; k++) {
        const start = position + before - k * dilation
        if (start < 0) break
        if (start % stride !== 0 || start / stride >= windows) continue
        if (count === 0) first = k
        count++
      }
      return { offset: count ? first * tap + ((position + before - first * dilation) / stride) * window : 0, count, place: 0 }
    })
    return { step: every * tap - back * window, place: 0, entries }
  })
  return planGather({ axes, x, y, type })
}

export const foldRecipe: RecipeRule<'fold'> = ({ attrs }, type, demand) => ({
  demands: [demand('lastContiguous')],
  results: [type],
  job: ([x], [y]) => ({
    plan: planFold(attrs, x!, y!, type),
    module: { key: `fold ${type}`, emit: ({ shared }) => emitWindowGather(WindowSum, type, shared) },
  }),
})

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

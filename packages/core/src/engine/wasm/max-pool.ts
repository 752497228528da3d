import { dtypeInfo, type DType, isFloat } from '../../dtype.ts'
import type { Operand, WindowGeometry } from '../routine.ts'
import { type LaneType, lanesOf } from './lanes.ts'
import type { RoutinePlan } from './matmul-plan.ts'
import type { RecipeRule } from './routine-code.ts'
import { WindowMaximum } from './window-combination.ts'
import { type AxisTable, emitWindowGather, planGather } from './window-gather.ts'

/**
 * Maxima of windows: `x [batch, ...spatial, channels]` (at most three spatial axes, channels contiguous) to dense `y` and its
 * positions. `lowest` is the maximum of nothing. Pointers: x, y, positions.
 */
function planMaxPool(geometry: WindowGeometry, x: Operand, y: Operand, type: LaneType, lowest: DType): RoutinePlan {
  const { size } = lanesOf(type, false)
  const rank = geometry.kernel.length
  const axes = geometry.kernel.map((kernel, axis): AxisTable => {
    const [stride, dilation, before] = [geometry.stride[axis]!, geometry.dilation[axis]!, geometry.padding[axis]![0]]
    const extent = x.shape[axis + 1]!
    const bytes = x.strides[axis + 1]! * size
    const volume = x.shape.slice(axis + 2, rank + 1).reduce((a, b) => a * b, 1)
    const entries = Array.from({ length: y.shape[axis + 1]! }, (_, o) => {
      const start = o * stride - before
      const first = Math.max(0, Math.ceil(-start / dilation))
      const count = Math.max(0, Math.min(kernel, Math.ceil((extent - start) / dilation)) - first)
      const at = count ? start + first * dilation : 0
      return { offset: at * bytes, count, place: at * volume }
    })
    return { step: dilation * bytes, place: dilation * volume, entries }
  })
  return planGather({ axes, x, y, type, lowest: lowestWords(lowest, type) })
}

export const maxPoolRecipe: RecipeRule<'maxPool'> = ({ attrs, outputs }, type, demand) => ({
  demands: [demand('lastContiguous')],
  results: [type, 'int32'],
  job: ([x], [y]) => ({
    plan: planMaxPool(attrs, x!, y!, type, outputs[0]!.dtype),
    module: { key: `maxPool ${type}`, emit: ({ shared }) => emitWindowGather(WindowMaximum, type, shared) },
  }),
})

/** The least value of a dtype in the memory of a lane. */
function lowestWords(dtype: DType, type: LaneType): [low: number, high: number] {
  const value = isFloat(dtype) ? Number.NEGATIVE_INFINITY : dtypeInfo[dtype].min
  const cell = new dtypeInfo[type].array(1)
  if (cell instanceof BigInt64Array) cell[0] = BigInt(value)
  else cell[0] = value
  const [low, high = 0] = new Int32Array(cell.buffer.byteLength >= 4 ? cell.buffer : new ArrayBuffer(4))
  return [low!, high]
}

import { dtypeInfo, type DType, isFloat } from '../../dtype.ts'
import type { Operand, WindowGeometry } from '../routine.ts'
import { ModuleBuilder } from './assembler.ts'
import type { FunctionBuilder, Local } from './function-builder.ts'
import { assign, define, push } from './i32-expression.ts'
import { type Lanes, type LaneType, lanesOf } from './lanes.ts'
import type { RoutinePlan } from './matmul-plan.ts'
import type { PlainOp } from './opcodes.ts'
import type { RecipeRule } from './routine-code.ts'
import { ArgumentWords, routineFunction } from './routine-entry.ts'
import { emitStoreLanes } from './store-lanes.ts'

interface WindowGatherOptions {
  type: LaneType
  combine: 'max' | 'sum'
  shared: boolean
}

/** Of each axis: bytes and positions from one tap to the next, where its table lies, and how many output pixels it has. */
const words = /* @__PURE__ */ new ArgumentWords([
  'source',
  'output',
  'positions',
  'sourceN',
  'channels',
  'lowest',
  'lowestHigh',
  'stepD',
  'placeD',
  'tableD',
  'sizeD',
  'stepH',
  'placeH',
  'tableH',
  'sizeH',
  'stepW',
  'placeW',
  'tableW',
  'sizeW',
])

/** An entry of a table: source bytes of the first tap, number of taps, position of the first tap. */
const entryBytes = { offset: 0, count: 4, place: 8, all: 12 } as const
/** Vectors of channels that are combined together. */
const UNROLL = 4

/**
 * Emits the module of reductions over windows of a channels-last source: each output pixel combines the source pixels of its
 * taps, which are evenly spaced on each axis, as the plan's tables say. `max` (of which the first NaN is one) also writes the
 * position of the first maximum. A task is an output pixel.
 */
function emitWindowGather({ type, combine, shared }: WindowGatherOptions): Uint8Array<ArrayBuffer> {
  const lanes = lanesOf(type, false)
  const m = new ModuleBuilder()
  m.importMemory({ shared })
  const storeLanes = emitStoreLanes(m, lanes)
  const { f, begin, end, args } = routineFunction(m)
  const word = (name: Parameters<typeof words.at>[0]) => words.load(args, name)

  const channels = define(f, word('channels'))
  const pixelBytes = define(f, ['*', channels, lanes.size])
  const output = define(f, ['+', word('output'), ['*', begin, pixelBytes]])
  const positions = define(f, ['+', word('positions'), ['*', begin, ['*', channels, 4]]])
  const [sizeH, sizeW] = [define(f, word('sizeH')), define(f, word('sizeW'))]
  const task = define(f, begin)
  const axes = (['D', 'H', 'W'] as const).map((axis) => ({
    step: define(f, word(`step${axis}`)),
    place: define(f, word(`place${axis}`)),
    count: f.local('i32'),
    left: f.local('i32'),
    at: f.local('i32'),
    atPlace: f.local('i32'),
  }))
  const [from, place, entry, left, line, linePlace, rest, channelsLeft] = Array.from({ length: 8 }, () => f.local('i32')) as [
    Local<'i32'>,
    Local<'i32'>,
    Local<'i32'>,
    Local<'i32'>,
    Local<'i32'>,
    Local<'i32'>,
    Local<'i32'>,
    Local<'i32'>,
  ]
  const best = f.locals('v128', UNROLL)
  const where = combine === 'max' ? f.locals('v128', UNROLL) : []
  const [value, here, mask] = [f.local('v128'), f.local('v128'), f.local('v128')]

  const splatPlace = (of: Local<'i32'>) => {
    f.get(of)
    if (lanes.count === 2) f.op('i64.extend_i32_s')
    f.op(lanes.count === 2 ? 'i64x2.splat' : 'i32x4.splat')
    f.set(here)
  }

  const visit = (at: Local<'i32'>, vectors: number) => {
    for (let u = 0; u < vectors; u++) {
      const b = best[u]!
      f.get(at)
      f.mem('v128.load', 16 * u)
      if (combine === 'sum') {
        f.get(b)
        f.op(lanes.add)
        f.set(b)
        continue
      }
      f.set(value)
      pushIsGreater(f, lanes, value, b)
      f.set(mask)
      for (const [candidate, kept] of [
        [value, b],
        [here, where[u]!],
      ] as const) {
        f.get(candidate)
        f.get(kept)
        f.get(mask)
        f.op('v128.bitselect')
        f.set(kept)
      }
    }
  }

  /** The loops over the taps of axis `a` and those inside, from the pixel at `at`. */
  const eachTap = (a: number, at: Local<'i32'>, atPlace: Local<'i32'>, vectors: number): void => {
    const axis = axes[a]
    if (!axis) {
      if (combine === 'max') splatPlace(atPlace)
      visit(at, vectors)
      return
    }
    assign(f, axis.at, at)
    if (combine === 'max') assign(f, axis.atPlace, atPlace)
    assign(f, axis.left, axis.count)
    f.while(
      () => f.get(axis.left),
      () => {
        eachTap(a + 1, axis.at, axis.atPlace, vectors)
        assign(f, axis.at, ['+', axis.at, axis.step])
        if (combine === 'max') assign(f, axis.atPlace, ['+', axis.atPlace, axis.place])
        f.increment(axis.left, -1)
      },
    )
  }

  const startMax = (vectors: number) => {
    // The first tap is where the maximum starts: a maximum of -Infinity has a position too.
    push(f, ['*', ['*', axes[0]!.count, axes[1]!.count], axes[2]!.count])
    f.if(
      () => {
        splatPlace(place)
        for (let u = 0; u < vectors; u++) {
          f.get(from)
          f.mem('v128.load', 16 * u)
          f.set(best[u]!)
          f.get(here)
          f.set(where[u]!)
        }
      },
      () => {
        for (let u = 0; u < vectors; u++) {
          f.get(args)
          f.mem(lanes.loadSplat, 4 * words.at('lowest'))
          f.set(best[u]!)
          f.splat('i32x4', -1)
          f.set(where[u]!)
        }
      },
    )
  }

  const block = (vectors: number) => {
    if (combine === 'max') startMax(vectors)
    else {
      for (let u = 0; u < vectors; u++) {
        f.splat('i32x4', 0)
        f.set(best[u]!)
      }
    }
    eachTap(0, from, place, vectors)
  }

  const advance = (vectors: number) => {
    const elements = vectors * lanes.count
    f.increment(from, vectors * 16)
    f.increment(channelsLeft, -elements)
  }

  const storeBlock = () => {
    for (let u = 0; u < UNROLL; u++) {
      f.get(output)
      f.get(best[u]!)
      f.mem('v128.store', 16 * u)
      if (combine === 'max') storePlaces(f, lanes, positions, where[u]!, u * lanes.count * 4)
    }
    f.increment(output, UNROLL * 16)
    if (combine === 'max') f.increment(positions, UNROLL * lanes.count * 4)
  }

  const storeRest = () => {
    f.get(output)
    f.get(best[0]!)
    f.get(channelsLeft)
    f.call(storeLanes)
    const stored = define(f, ['min', channelsLeft, lanes.count])
    assign(f, output, ['+', output, ['*', stored, lanes.size]])
    if (combine === 'max') {
      if (lanes.count === 4) {
        f.get(positions)
        f.get(where[0]!)
        f.get(channelsLeft)
        f.call(storeLanes)
      } else {
        push(f, ['>=', channelsLeft, 2])
        f.if(
          () => storePlaces(f, lanes, positions, where[0]!, 0),
          () => {
            f.get(positions)
            f.get(where[0]!)
            f.memLane('v128.store32_lane', 0)
          },
        )
      }
      assign(f, positions, ['+', positions, ['*', stored, 4]])
    }
    f.release(stored)
  }

  const pixel = () => {
    assign(f, from, ['+', line, ['load', entry, entryBytes.offset]])
    assign(f, axes[2]!.count, ['load', entry, entryBytes.count])
    if (combine === 'max') assign(f, place, ['+', linePlace, ['load', entry, entryBytes.place]])
    assign(f, channelsLeft, channels)
    f.while(
      () => push(f, ['>=', channelsLeft, UNROLL * lanes.count]),
      () => {
        block(UNROLL)
        storeBlock()
        advance(UNROLL)
      },
    )
    f.while(
      () => push(f, ['>', channelsLeft, 0]),
      () => {
        block(1)
        storeRest()
        advance(1)
      },
    )
  }

  f.while(
    () => push(f, ['<', task, end]),
    () => {
      // A stretch of one line.
      assign(f, entry, ['%', task, sizeW])
      assign(f, left, ['min', ['-', end, task], ['-', sizeW, entry]])
      assign(f, rest, ['/', task, sizeW])
      assign(f, task, ['+', task, left])
      assign(f, entry, ['+', ['+', args, word('tableW')], ['*', entry, entryBytes.all]])
      assign(f, line, word('source'))
      assign(f, linePlace, 0)
      const outer = define(f, ['%', rest, sizeH])
      assign(f, rest, ['/', rest, sizeH])
      for (const [a, table, size] of [
        [1, 'tableH', undefined],
        [0, 'tableD', word('sizeD')],
      ] as const) {
        if (size) {
          assign(f, outer, ['%', rest, size])
          assign(f, rest, ['/', rest, size])
        }
        assign(f, outer, ['+', ['+', args, word(table)], ['*', outer, entryBytes.all]])
        assign(f, line, ['+', line, ['load', outer, entryBytes.offset]])
        assign(f, linePlace, ['+', linePlace, ['load', outer, entryBytes.place]])
        assign(f, axes[a]!.count, ['load', outer, entryBytes.count])
      }
      assign(f, line, ['+', line, ['*', rest, word('sourceN')]])
      f.release(outer)
      f.while(
        () => f.get(left),
        () => {
          pixel()
          f.increment(entry, entryBytes.all)
          f.increment(left, -1)
        },
      )
    },
  )
  return m.toBytes()
}

/** Pushes the mask of lanes in which `value` takes the place of `best`: it is greater, or the first NaN. */
function pushIsGreater(f: FunctionBuilder, lanes: Lanes, value: Local<'v128'>, best: Local<'v128'>): void {
  if (lanes.shape === 'i32x4' || lanes.shape === 'i64x2') {
    f.get(value)
    f.get(best)
    f.op(`${lanes.shape}.gt_s`)
    return
  }
  f.get(best)
  f.get(best)
  f.op(`${lanes.shape}.eq` as PlainOp)
  f.get(value)
  f.get(best)
  f.op(`${lanes.shape}.le` as PlainOp)
  f.op('v128.andnot')
}

/** Stores a whole vector of positions as int32. */
function storePlaces(f: FunctionBuilder, lanes: Lanes, to: Local<'i32'>, places: Local<'v128'>, offset: number): void {
  f.get(to)
  f.get(places)
  if (lanes.count === 4) {
    f.mem('v128.store', offset)
  } else {
    f.get(places)
    f.shuffle32(0, 2, 0, 2)
    f.memLane('v128.store64_lane', 0, offset)
  }
}

/** An axis of the plan: its taps' distance, and where the taps of each output pixel start. */
interface AxisTable {
  step: number
  place: number
  entries: { offset: number; count: number; place: number }[]
}

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
  return planGather(axes, x, y, type, lowestWords(lowest, type))
}

export const maxPoolRecipe: RecipeRule<'maxPool'> = ({ attrs, outputs }, type, demand) => ({
  demands: [demand('lastContiguous')],
  results: [type, 'int32'],
  job: ([x], [y]) => ({
    plan: planMaxPool(attrs, x!, y!, type, outputs[0]!.dtype),
    module: { key: `maxPool ${type}`, emit: ({ shared }) => emitWindowGather({ type, combine: 'max', shared }) },
  }),
})

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
  return planGather(axes, x, y, type, [0, 0])
}

export const foldRecipe: RecipeRule<'fold'> = ({ attrs }, type, demand) => ({
  demands: [demand('lastContiguous')],
  results: [type],
  job: ([x], [y]) => ({
    plan: planFold(attrs, x!, y!, type),
    module: { key: `fold ${type}`, emit: ({ shared }) => emitWindowGather({ type, combine: 'sum', shared }) },
  }),
})

function planGather(
  axes: readonly AxisTable[],
  x: Operand,
  y: Operand,
  type: LaneType,
  [low, high]: readonly [number, number],
): RoutinePlan {
  const one: AxisTable = { step: 0, place: 0, entries: [{ offset: 0, count: 1, place: 0 }] }
  const [d, h, w] = [one, one, one, ...axes].slice(-3) as [AxisTable, AxisTable, AxisTable]
  const tail: number[] = []
  const axisWords = ({ step, place, entries }: AxisTable) => {
    const table = 4 * (words.count + tail.length)
    for (const entry of entries) tail.push(entry.offset, entry.count, entry.place)
    return [step, place, table, entries.length] as const
  }
  const [stepD, placeD, tableD, sizeD] = axisWords(d)
  const [stepH, placeH, tableH, sizeH] = axisWords(h)
  const [stepW, placeW, tableW, sizeW] = axisWords(w)
  const channels = y.shape.at(-1)!
  const tasks = y.shape.slice(0, -1).reduce((a, b) => a * b, 1)
  const taps = [d, h, w].reduce((product, { entries }) => product * Math.max(1, ...entries.map((e) => e.count)), 1)
  return {
    words: words.withValues(
      {
        sourceN: x.strides[0]! * lanesOf(type, false).size,
        channels,
        lowest: low,
        lowestHigh: high,
        stepD,
        placeD,
        tableD,
        sizeD,
        stepH,
        placeH,
        tableH,
        sizeH,
        stepW,
        placeW,
        tableW,
        sizeW,
      },
      tail,
    ),
    pointers: [words.at('source'), words.at('output'), words.at('positions')],
    tasks,
    scratchBytes: 0,
    work: 2 * tasks * channels * (taps + 2),
  }
}

/** The least value of a dtype in the memory of a lane. */
function lowestWords(dtype: DType, type: LaneType): [low: number, high: number] {
  const value = isFloat(dtype) ? Number.NEGATIVE_INFINITY : dtypeInfo[dtype].min
  const cell = new dtypeInfo[type].array(1)
  if (cell instanceof BigInt64Array) cell[0] = BigInt(value)
  else cell[0] = value
  const [low, high = 0] = new Int32Array(cell.buffer.byteLength >= 4 ? cell.buffer : new ArrayBuffer(4))
  return [low!, high]
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

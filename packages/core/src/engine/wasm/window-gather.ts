import type { Operand } from '../routine.ts'
import type { Local } from './function-builder.ts'
import { assign, define, type I32, loopWhile } from './i32-expression.ts'
import { type LaneType, lanesOf } from './lanes.ts'
import type { RoutinePlan } from './matmul-plan.ts'
import { ArgumentWords, routineModule } from './routine-entry.ts'
import { emitStoreLanes } from './store-lanes.ts'
import type { GatherContext, WindowCombination } from './window-combination.ts'

/** Of each axis: bytes and positions from one tap to the next, where its table lies, and how many output pixels it has. */
export const gatherWords = /* @__PURE__ */ new ArgumentWords([
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
export const UNROLL = 4

/** Code of one axis: from tap to tap, and the loop's variables. */
interface AxisCode {
  readonly step: Local<'i32'>
  readonly placeStep: Local<'i32'>
  /** How many taps see a pixel. */
  readonly count: Local<'i32'>
  readonly left: Local<'i32'>
  readonly at: Local<'i32'>
  readonly atPlace: Local<'i32'>
}

/**
 * Emits the module of reductions over windows of a channels-last source: each output pixel combines the source pixels of its
 * taps, which are evenly spaced on each axis, as the plan's tables say. A task is an output pixel.
 */
export function emitWindowGather(
  Combination: new (context: GatherContext) => WindowCombination,
  type: LaneType,
  shared: boolean,
): Uint8Array<ArrayBuffer> {
  const { m, lanes, f, begin, end, args } = routineModule(type, shared)
  const storeLanes = emitStoreLanes(m, lanes)
  const word = gatherWords.from(args)

  const channels = define(f, word('channels'))
  const combination = new Combination({ f, lanes, storeLanes, args, before: define(f, ['*', begin, channels]) })
  const { wantsPlaces } = combination
  const [sizeH, sizeW] = gatherWords.define(f, args, ['sizeH', 'sizeW'])
  const axisCode = (axis: 'D' | 'H' | 'W'): AxisCode => ({
    step: define(f, word(`step${axis}`)),
    placeStep: define(f, word(`place${axis}`)),
    count: f.local('i32'),
    left: f.local('i32'),
    at: f.local('i32'),
    atPlace: f.local('i32'),
  })
  const [axisD, axisH, axisW] = [axisCode('D'), axisCode('H'), axisCode('W')]
  const axes = [axisD, axisH, axisW]
  const pixels: I32 = ['*', ['*', axisD.count, axisH.count], axisW.count]
  const [from, place, entry, left, line, linePlace, rest, channelsLeft] = f.locals('i32', 8)

  /** The loops over the taps of axis `a` and those inside, from the pixel at `at`. */
  const eachTap = (a: number, at: Local<'i32'>, atPlace: Local<'i32'>, vectors: number): void => {
    const axis = axes[a]
    if (!axis) {
      combination.moveTo(atPlace)
      combination.visit(at, vectors)
      return
    }
    assign(f, axis.at, at)
    if (wantsPlaces) assign(f, axis.atPlace, atPlace)
    assign(f, axis.left, axis.count)
    loopWhile(f, axis.left, () => {
      eachTap(a + 1, axis.at, axis.atPlace, vectors)
      assign(f, axis.at, ['+', axis.at, axis.step])
      if (wantsPlaces) assign(f, axis.atPlace, ['+', axis.atPlace, axis.placeStep])
      f.increment(axis.left, -1)
    })
  }

  /** Runs over channels while there are at least as many vectors of them. */
  const overChannels = (vectors: number, least: number, store: () => void) => {
    loopWhile(f, ['>=', channelsLeft, least], () => {
      combination.start({ from, place, pixels }, vectors)
      eachTap(0, from, place, vectors)
      store()
      f.increment(from, vectors * 16)
      f.increment(channelsLeft, -vectors * lanes.count)
    })
  }

  const pixel = () => {
    assign(f, from, ['+', line, ['load', entry, entryBytes.offset]])
    assign(f, axisW.count, ['load', entry, entryBytes.count])
    if (wantsPlaces) assign(f, place, ['+', linePlace, ['load', entry, entryBytes.place]])
    assign(f, channelsLeft, channels)
    overChannels(UNROLL, UNROLL * lanes.count, () => combination.storeBlock())
    overChannels(1, 1, () => combination.storeRest(channelsLeft))
  }

  /** Splits the number of a line into its positions along H, D and the batch: `line` is where its windows' first taps are, without W. */
  const startLine = (task: Local<'i32'>) => {
    assign(f, rest, ['/', task, sizeW])
    assign(f, line, word('source'))
    assign(f, linePlace, 0)
    const at = f.local('i32')
    for (const [axis, table, size] of [
      [axisH, 'tableH', sizeH],
      [axisD, 'tableD', word('sizeD')],
    ] as const) {
      assign(f, at, ['+', ['+', args, word(table)], ['*', ['%', rest, size], entryBytes.all]])
      assign(f, rest, ['/', rest, size])
      assign(f, line, ['+', line, ['load', at, entryBytes.offset]])
      assign(f, linePlace, ['+', linePlace, ['load', at, entryBytes.place]])
      assign(f, axis.count, ['load', at, entryBytes.count])
    }
    assign(f, line, ['+', line, ['*', rest, word('sourceN')]])
    f.release(at)
  }

  /** The pixels of a stretch of one line: up to the end of the line, or of the tasks. */
  const stretch = (task: Local<'i32'>) => {
    assign(f, entry, ['%', task, sizeW])
    assign(f, left, ['min', ['-', end, task], ['-', sizeW, entry]])
    assign(f, task, ['+', task, left])
    assign(f, entry, ['+', ['+', args, word('tableW')], ['*', entry, entryBytes.all]])
    loopWhile(f, left, () => {
      pixel()
      f.increment(entry, entryBytes.all)
      f.increment(left, -1)
    })
  }

  const task = define(f, begin)
  loopWhile(f, ['<', task, end], () => {
    startLine(task)
    stretch(task)
  })
  return m.toBytes()
}

/** An axis of the plan: its taps' distance, and where the taps of each output pixel start. */
export interface AxisTable {
  step: number
  place: number
  entries: { offset: number; count: number; place: number }[]
}

interface GatherProblem {
  /** At most three. */
  readonly axes: readonly AxisTable[]
  readonly x: Operand
  /** Dense. */
  readonly y: Operand
  readonly type: LaneType
  /** What a window gives that sees nothing, as the two words of a lane, where that is not zero. */
  readonly lowest?: readonly [low: number, high: number]
}

/** The arguments of `emitWindowGather`'s code. Pointers: x, y, positions. */
export function planGather({ axes, x, y, type, lowest: [low, high] = [0, 0] }: GatherProblem): RoutinePlan {
  const one: AxisTable = { step: 0, place: 0, entries: [{ offset: 0, count: 1, place: 0 }] }
  const [d, h, w] = [one, one, one, ...axes].slice(-3) as [AxisTable, AxisTable, AxisTable]
  const tail: number[] = []
  const axisWords = ({ step, place, entries }: AxisTable) => {
    const table = 4 * (gatherWords.count + tail.length)
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
    words: gatherWords.withValues(
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
    pointers: [gatherWords.at('source'), gatherWords.at('output'), gatherWords.at('positions')],
    tasks,
    scratchBytes: 0,
    work: 2 * tasks * channels * (taps + 2),
  }
}

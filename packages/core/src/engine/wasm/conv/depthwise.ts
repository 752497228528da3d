import type { Local } from '../function-builder.ts'
import { addBias } from '../gemm-kernel.ts'
import { assign, define, type I32, loopWhile, push, when } from '../i32-expression.ts'
import { addVector, assignVector, clearVectors, loaded, multiplyAdd } from '../lanes.ts'
import { type ProductOptions, startProduct } from '../product-module.ts'
import { routineFunction } from '../routine-entry.ts'
import { DEPTHWISE_VECTORS } from './weights-plan.ts'
import { decodeRow, pushInside, pushInterior, toSource } from './window-position.ts'
import { phaseWords, tapWords, windowWords } from './window-words.ts'

/** Neighbouring pixels that share the loads of the weights, and vectors of channels of such a tile: the fastest of those measured. */
const TILE_PIXELS = 3
const TILE_CHANNELS = 2

/**
 * Emits the module of depthwise convolutions, forward and gradient of the input (one input and one output channel a group):
 * each output pixel lists the taps that see a pixel, then runs over the channels. The list is in the scratch memory.
 */
export function emitConvDepthwise(options: ProductOptions): Uint8Array<ArrayBuffer> {
  const { m, lanes, storeLanes, finish } = startProduct(options)
  const { f, begin, end, args, scratch: list } = routineFunction(m)
  const word = windowWords.from(args)
  const task = define(f, begin)
  const [channels, accumulate] = windowWords.define(f, args, ['columns', 'accumulate'])
  const bias = options.bias ? { bias: define(f, word('bias')), biasColumn: define(f, word('biasColumn')) } : undefined
  const [row, rowEnd, batch, tap, tapEnd] = f.locals('i32', 5)
  const position = [f.local('i32'), f.local('i32'), f.local('i32')] as const
  const [source, output, listEnd, entry, left, offset] = f.locals('i32', 6)
  const [wPointer, column, inTile, w] = f.locals('i32', 4)
  const xPointers = f.locals('i32', TILE_PIXELS)
  const xStep = define(f, ['*', word('stepW'), word('sourceW')])
  const sums = f.locals('v128', Math.max(DEPTHWISE_VECTORS, TILE_PIXELS * TILE_CHANNELS))
  const weight = f.local('v128')

  /** Products of the tap at `entry` with `pixels` neighbouring pixels and `vectors` vectors of channels, added to the sums. */
  const addTap = (pixels: number, vectors: number) => {
    xPointers.slice(0, pixels).forEach((x, i) => {
      assign(f, x, i === 0 ? ['+', ['load', entry, 0], offset] : ['+', xPointers[i - 1]!, xStep])
    })
    assign(f, wPointer, ['+', ['load', entry, 4], offset])
    for (let v = 0; v < vectors; v++) {
      assignVector(f, weight, loaded(f, wPointer, 16 * v))
      for (let i = 0; i < pixels; i++) multiplyAdd(f, lanes, sums[i * vectors + v]!, loaded(f, xPointers[i]!, 16 * v), weight)
    }
  }

  /** Finishes a vector of sums and stores it: number `v` of the channels at hand, of the so manyth pixel. */
  const storeSum = (sum: Local<'v128'>, phase: Local<'i32'>, at: { pixel: number; v: number; whole: boolean }) => {
    const { pixel, v, whole } = at
    const to: I32 = ['+', ['+', output, offset], ['*', phaseWords.load(phase, 'outputW'), pixel]]
    when(f, accumulate, () => {
      addVector(f, lanes, sum, () => {
        push(f, to)
        f.mem('v128.load', 16 * v)
      })
    })
    if (bias) addBias(f, lanes, bias, ['+', column, v * lanes.count], [sum])
    push(f, to)
    f.get(sum)
    if (whole) {
      f.mem('v128.store', 16 * v)
    } else {
      f.get(left)
      f.call(storeLanes)
    }
  }

  /** The taps of the list, over `pixels` neighbouring pixels and `vectors` vectors of channels. */
  const accumulateTaps = (phase: Local<'i32'>, pixels: number, vectors: number) => {
    const used = sums.slice(0, pixels * vectors)
    clearVectors(f, lanes, used)
    assign(f, entry, list)
    loopWhile(f, ['!=', entry, listEnd], () => {
      addTap(pixels, vectors)
      f.increment(entry, 8)
    })
    used.forEach((sum, i) => storeSum(sum, phase, { pixel: Math.floor(i / vectors), v: i % vectors, whole: vectors > 1 }))
    f.increment(left, -vectors * lanes.count)
    f.increment(column, vectors * lanes.count)
    f.increment(offset, vectors * 16)
  }

  const overChannels = (phase: Local<'i32'>, pixels: number, most: number) => {
    assign(f, left, channels)
    assign(f, offset, 0)
    assign(f, column, 0)
    for (const vectors of [most, 1]) {
      loopWhile(f, ['>=', left, vectors === 1 ? 1 : vectors * lanes.count], () => accumulateTaps(phase, pixels, vectors))
    }
    if (finish) {
      const pixel = phaseWords.load(phase, 'outputW')
      finish.call(f, {
        block: ['+', args, word('epilogue')],
        source: output,
        sourceRow: pixel,
        c: output,
        cRow: pixel,
        column: 0,
        rows: pixels,
        columns: channels,
      })
    }
  }

  /** Lists where x and w lie for each tap that sees a pixel. */
  const listTaps = (phase: Local<'i32'>) => {
    assign(f, listEnd, list)
    assign(f, tap, ['+', args, phaseWords.load(phase, 'taps')])
    assign(f, tapEnd, ['+', tap, ['*', phaseWords.load(phase, 'tapCount'), 4 * tapWords.count]])
    loopWhile(f, ['!=', tap, tapEnd], () => {
      pushInside(f, args, position, tap)
      f.if(() => {
        const store = (value: I32, at: number) => {
          f.get(listEnd)
          push(f, value)
          f.mem('i32.store', at)
        }
        store(['+', source, tapWords.load(tap, 'delta')], 0)
        store(['+', word('weights'), tapWords.load(tap, 'weights')], 4)
        f.increment(listEnd, 8)
      })
      f.increment(tap, 4 * tapWords.count)
    })
  }

  /** Decodes `row`: where its pixel is written, and at what place it is. */
  const pointAtOutput = (phase: Local<'i32'>) => {
    assign(f, batch, row)
    decodeRow(f, phase, batch, position)
    assign(f, output, [
      '+',
      [
        '+',
        ['+', word('output'), phaseWords.load(phase, 'outputOffset')],
        ['+', ['*', batch, phaseWords.load(phase, 'outputN')], ['*', position[0], phaseWords.load(phase, 'outputD')]],
      ],
      ['+', ['*', position[1], phaseWords.load(phase, 'outputH')], ['*', position[2], phaseWords.load(phase, 'outputW')]],
    ])
  }

  /** Finds the first pixel that is read, and whether each pixel of a tile is there and sees every tap. */
  const pointAtSource = (phase: Local<'i32'>) => {
    push(f, ['&', ['<=', ['+', position[2], TILE_PIXELS], phaseWords.load(phase, 'rowsW')], ['<=', ['+', row, TILE_PIXELS], rowEnd]])
    f.set(inTile)
    toSource(f, args, phase, batch, position)
    push(f, word('source'))
    f.op('i32.add')
    f.set(source)
    // The last pixel first, so that `position` ends as the first one's.
    assign(f, w, position[2])
    assign(f, position[2], ['+', w, ['*', word('stepW'), TILE_PIXELS - 1]])
    for (const start of [position[2], w]) {
      assign(f, position[2], start)
      pushInterior(f, args, phase, { d: position[0], h: position[1], w: position[2] })
      f.get(inTile)
      f.op('i32.and')
      f.set(inTile)
    }
  }

  /** Runs from `row` on: a tile of pixels where all of them see every tap, else one. Moves `row` on. */
  const runRows = (phase: Local<'i32'>) => {
    pointAtOutput(phase)
    pointAtSource(phase)
    listTaps(phase)
    when(
      f,
      inTile,
      () => {
        overChannels(phase, TILE_PIXELS, TILE_CHANNELS)
        f.increment(row, TILE_PIXELS)
      },
      () => {
        overChannels(phase, 1, DEPTHWISE_VECTORS)
        f.increment(row, 1)
      },
    )
  }

  loopWhile(f, ['<', task, end], () => {
    const phase = define(f, ['+', ['+', args, 4 * windowWords.count], ['*', ['/', task, word('rowBlocks')], 4 * phaseWords.count]])
    assign(f, row, ['*', ['%', task, word('rowBlocks')], word('rowBlock')])
    assign(f, rowEnd, ['min', ['+', row, word('rowBlock')], phaseWords.load(phase, 'rows')])
    loopWhile(f, ['<', row, rowEnd], () => runRows(phase))
    f.release(phase)
    f.increment(task, 1)
  })
  return m.toBytes()
}

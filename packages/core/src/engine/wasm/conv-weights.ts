import { CotangentError } from '../../errors.ts'
import type { ModuleBuilder } from './assembler.ts'
import {
  type ConvPlan,
  type ConvProblem,
  packedScratch,
  productBlocks,
  requireContiguousChannels,
  ROW_CHUNK,
  withThreeAxes,
} from './conv-plan.ts'
import type { FunctionBuilder, Local } from './function-builder.ts'
import { blockedProduct, eachTaskBlock, taskBlock } from './gemm-blocks.ts'
import { emitTiles, TILE_ROWS, tileColumns } from './gemm-kernel.ts'
import { emitPack } from './gemm-pack.ts'
import { assign, define, type I32, push } from './i32-expression.ts'
import { type Lanes, lanesOf } from './lanes.ts'
import { NamedFunction } from './named-function.ts'
import { type ProductOptions, startProduct } from './product-module.ts'
import { ArgumentWords, routineFunction } from './routine-entry.ts'

/**
 * Words of the arguments of the modules `weights` and `depthwiseWeights`; the taps follow. `pixel`: bytes between pixels of dy; `rowStride`:
 * between rows of dw, which are (tap, input channel) pairs. `epilogue`: where its block is, in bytes from the first word.
 */
export const weightsWords = /* @__PURE__ */ new ArgumentWords([
  'x',
  'dy',
  'dw',
  'xN',
  'xD',
  'xH',
  'xW',
  'depth',
  'height',
  'pixels',
  'outD',
  'outH',
  'outW',
  'stepD',
  'stepH',
  'stepW',
  'pixel',
  'channels',
  'rows',
  'columns',
  'rowStride',
  'groups',
  'xGroup',
  'outGroup',
  'kBlock',
  'rowChunk',
  'rowBlock',
  'rowBlocks',
  'columnBlock',
  'columnBlocks',
  'packedB',
  'packedA',
  'accumulate',
  'epilogue',
])

/** Words of a tap: where it looks, relative to the window's start without padding, and the outputs [low, high) along W that see a pixel. */
export const weightTapWords = /* @__PURE__ */ new ArgumentWords(['d', 'h', 'w', 'low', 'high'])

/** Channels of one task of the depthwise gradient, in vectors. */
export const DEPTHWISE_VECTORS = 4

/** Gradient with respect to the weights from x and y's. Pointers: x, gradient of y, gradient of w. */
export function planConvGradWeight(problem: ConvProblem): ConvPlan {
  const { type, x, y, groups, geometry, accumulate = false, threads = 1 } = withThreeAxes(problem)
  const { size, count } = lanesOf(type, false)
  const [kernel, stride, before, dilation] = [geometry.kernel, geometry.stride, geometry.before, geometry.dilation]
  requireContiguousChannels(x)
  requireDense(y)
  const channels = x.shape[4]! / groups
  const columns = y.shape[4]! / groups
  const depthwise = channels === 1 && columns === 1 && groups > 1
  const tapCount = kernel[0] * kernel[1] * kernel[2]
  const m = tapCount * channels
  const pixels = y.shape[0]! * y.shape[1]! * y.shape[2]! * y.shape[3]!
  const blocks = depthwise
    ? { rowBlock: 1, rowBlocks: Math.ceil(groups / (DEPTHWISE_VECTORS * count)), columnBlock: 1, columnBlocks: 1, kBlock: 1 }
    : productBlocks(type, m, columns, pixels, Math.ceil(threads / groups), 256)
  const scratch = depthwise
    ? { packedB: 0, packedA: 0, bytes: 0 }
    : packedScratch(type, blocks.columnBlock, blocks.kBlock, Math.min(m, ROW_CHUNK))

  const taps: number[] = []
  for (let d = 0; d < kernel[0]; d++) {
    for (let h = 0; h < kernel[1]; h++) {
      for (let v = 0; v < kernel[2]; v++) {
        const offset = v * dilation[2] - before[2]
        const low = Math.max(0, Math.ceil(-offset / stride[2]))
        const high = Math.max(0, Math.min(y.shape[3]!, Math.floor((x.shape[3]! - 1 - offset) / stride[2]) + 1))
        taps.push(d * dilation[0] - before[0], h * dilation[1] - before[1], offset, low, high)
      }
    }
  }
  const words = weightsWords.withValues(
    {
      xN: x.strides[0]! * size,
      xD: x.strides[1]! * size,
      xH: x.strides[2]! * size,
      xW: x.strides[3]! * size,
      depth: x.shape[1]!,
      height: x.shape[2]!,
      pixels,
      outD: y.shape[1]!,
      outH: y.shape[2]!,
      outW: y.shape[3]!,
      stepD: stride[0],
      stepH: stride[1],
      stepW: stride[2],
      pixel: y.shape[4]! * size,
      channels,
      rows: m,
      columns: depthwise ? groups : columns,
      rowStride: y.shape[4]! * size,
      groups: depthwise ? 1 : groups,
      xGroup: channels * size,
      outGroup: columns * size,
      ...blocks,
      rowChunk: ROW_CHUNK,
      packedB: scratch.packedB,
      packedA: scratch.packedA,
      accumulate: accumulate ? 1 : 0,
    },
    taps,
  )
  return {
    module: depthwise ? 'depthwiseWeights' : 'weights',
    words,
    pointers: [weightsWords.at('x'), weightsWords.at('dy'), weightsWords.at('dw')],
    epilogue: { word: weightsWords.at('epilogue'), unfinished: depthwise || blocks.kBlock < pixels },
    tasks: (depthwise ? 1 : groups) * blocks.rowBlocks * blocks.columnBlocks,
    scratchBytes: scratch.bytes,
    work: pixels * m * columns * groups,
  }
}

function requireDense({ shape, strides }: { shape: readonly number[]; strides: readonly number[] }): void {
  let step = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis]! > 1 && strides[axis] !== step) {
      throw new CotangentError('engine-failure', { op: 'convGradWeight', message: 'the gradient of y is not dense', shapes: [shape] })
    }
    step *= shape[axis]!
  }
}

/** A stretch of outputs [low, high) of one line that see a pixel of x through a tap, within the stretch [start, end). */
interface Stretch {
  readonly start: Local<'i32'>
  readonly end: Local<'i32'>
  readonly low: Local<'i32'>
  readonly high: Local<'i32'>
  /** Address of the pixel of x that output `low` sees, relative to x. */
  readonly xOffset: I32
}

/** Walks over `count` output pixels from `pixel` on, line by line. Both locals are used up. */
export function eachStretch(
  f: FunctionBuilder,
  args: Local<'i32'>,
  tap: Local<'i32'>,
  pixel: Local<'i32'>,
  count: Local<'i32'>,
  body: (stretch: Stretch) => void,
): void {
  const word = (name: Parameters<typeof weightsWords.at>[0]) => weightsWords.load(args, name)
  const [n, d, h, start, end, low, high] = f.locals('i32', 7)
  const [xD, xH] = [f.local('i32'), f.local('i32')]
  // Lines are walked in order, so only the first pixel's number is divided.
  for (const [position, size] of [
    [start, 'outW'],
    [h, 'outH'],
    [d, 'outD'],
  ] as const) {
    assign(f, position, ['%', pixel, word(size)])
    assign(f, pixel, ['/', pixel, word(size)])
  }
  assign(f, n, pixel)
  f.while(
    () => push(f, ['>', count, 0]),
    () => {
      assign(f, end, ['min', ['+', start, count], word('outW')])
      assign(f, count, ['-', count, ['-', end, start]])
      assign(f, xD, ['+', ['*', d, word('stepD')], weightTapWords.load(tap, 'd')])
      assign(f, xH, ['+', ['*', h, word('stepH')], weightTapWords.load(tap, 'h')])
      assign(f, low, start)
      assign(f, high, start)
      push(f, ['&', ['<u', xD, word('depth')], ['<u', xH, word('height')]])
      f.if(() => {
        assign(f, low, ['max', start, ['min', end, weightTapWords.load(tap, 'low')]])
        assign(f, high, ['max', low, ['min', end, weightTapWords.load(tap, 'high')]])
      })
      const xOffset: I32 = [
        '+',
        ['+', ['*', n, word('xN')], ['*', xD, word('xD')]],
        ['+', ['*', xH, word('xH')], ['*', ['+', ['*', low, word('stepW')], weightTapWords.load(tap, 'w')], word('xW')]],
      ]
      body({ start, end, low, high, xOffset })
      assign(f, start, 0)
      f.increment(h, 1)
      push(f, ['==', h, word('outH')])
      f.if(() => {
        assign(f, h, 0)
        f.increment(d, 1)
        push(f, ['==', d, word('outD')])
        f.if(() => {
          assign(f, d, 0)
          f.increment(n, 1)
        })
      })
    },
  )
  f.release(n, d, h, start, end, low, high, xD, xH)
}

/** Writes what a tap sees from `count` outputs, from the number `pixel` on, zero outside of x. */
type PackPixels = NamedFunction<'args' | 'x' | 'destination' | 'tap' | 'pixel' | 'count'>

/** Emits `PackPixels`. `vector`: a panel's four rows are neighbouring channels; else one row of a panel is written. */
function emitPackPixels(m: ModuleBuilder, lanes: Lanes, vector: boolean): PackPixels {
  const name = vector ? 'packPixelVectors' : 'packPixels'
  const pack: PackPixels = new NamedFunction(m, name, ['args', 'x', 'destination', 'tap', 'pixel', 'count'])
  const { f, params } = pack
  const { args, x, destination, tap, pixel, count } = params
  const step = define(f, ['*', weightsWords.load(args, 'stepW'), weightsWords.load(args, 'xW')])
  const [from, stop] = [f.local('i32'), f.local('i32')]
  const stepBytes = TILE_ROWS * lanes.size
  const parts = vector ? TILE_ROWS / lanes.count : 1

  const write = (pixels: I32, value: (part: number) => void, advance: () => void) => {
    assign(f, stop, ['+', destination, ['*', pixels, stepBytes]])
    const walk = (copies: number) => {
      const last = copies === 1 ? stop : define(f, ['-', stop, (copies - 1) * stepBytes])
      f.while(
        () => push(f, ['<u', destination, last]),
        () => {
          for (let copy = 0; copy < copies; copy++) {
            for (let part = 0; part < parts; part++) {
              f.get(destination)
              value(part)
              f.mem(vector ? 'v128.store' : lanes.storeScalar, copy * stepBytes + 16 * part)
            }
            advance()
          }
          f.increment(destination, copies * stepBytes)
        },
      )
      if (last !== stop) f.release(last)
    }
    walk(4)
    walk(1)
  }
  const zero = () => {
    if (vector) f.splat(lanes.shape, 0)
    else if (lanes.scalar === 'i64') f.i64(0)
    else f[lanes.scalar](0)
  }

  eachStretch(f, args, tap, pixel, count, ({ start, end, low, high, xOffset }) => {
    assign(f, from, ['+', x, xOffset])
    write(['-', low, start], zero, () => {})
    write(
      ['-', high, low],
      (part) => {
        f.get(from)
        f.mem(vector ? 'v128.load' : lanes.loadScalar, 16 * part)
      },
      () => assign(f, from, ['+', from, step]),
    )
    write(['-', end, high], zero, () => {})
  })
  return pack
}

/**
 * Emits the module of the gradient of the weights: a matrix product of the (tap, input channel) rows of the unfolded x,
 * gathered panel by panel, with dy. Sums run over all pixels.
 */
export function emitConvWeights(options: ProductOptions): Uint8Array<ArrayBuffer> {
  const module = startProduct(options)
  const { m, lanes, finish } = module
  const tiles = emitTiles(module, false, true)
  const packB = emitPack(m, lanes, tileColumns(lanes))
  const packVectors = emitPackPixels(m, lanes, true)
  const packScalars = emitPackPixels(m, lanes, false)

  const { f, begin, end, args, scratch } = routineFunction(m)
  const word = (name: Parameters<typeof weightsWords.at>[0]) => weightsWords.load(args, name)
  const [channels, rowStride, pixel] = [define(f, word('channels')), define(f, word('rowStride')), define(f, word('pixel'))]
  const packedB = define(f, ['+', scratch, word('packedB')])
  const packedA = define(f, ['+', scratch, word('packedA')])
  const [x, dy, dw] = f.locals('i32', 3)
  const block = taskBlock(f)
  const { row: firstRow, rows, column, columns } = block
  const place = finish && { epilogue: define(f, ['+', args, word('epilogue')]), outColumn: f.local('i32') }

  const product = () =>
    blockedProduct(f, lanes, {
      k: word('pixels'),
      kBlock: word('kBlock'),
      rows,
      accumulate: word('accumulate'),
      pushRowCount: ({ row }) => push(f, ['min', word('rowChunk'), ['-', rows, row]]),
      packB({ kStart, kCount, bPanel }) {
        const source: I32 = ['+', dy, ['*', kStart, pixel]]
        packB.call(f, { source, rowStride: lanes.size, kStride: pixel, destination: packedB, panel: bPanel, rows: columns, k: kCount })
      },
      multiply(block) {
        const row = define(f, ['+', firstRow, block.row])
        const rowEnd = define(f, ['+', row, block.rowCount])
        const panel = define(f, packedA)
        const packRow = (pack: PackPixels, offset: I32) =>
          pack.call(f, {
            args,
            x: ['+', x, ['*', ['%', row, channels], lanes.size]],
            destination: ['+', panel, offset],
            tap: ['+', ['+', args, 4 * weightsWords.count], ['*', ['/', row, channels], 4 * weightTapWords.count]],
            pixel: block.kStart,
            count: block.kCount,
          })
        push(f, ['%', channels, TILE_ROWS])
        f.if(
          () => {
            const inPanel = define(f, 0)
            f.for(row, rowEnd, 1, () => {
              packRow(packScalars, ['*', inPanel, lanes.size])
              f.increment(inPanel, 1)
              push(f, ['==', inPanel, TILE_ROWS])
              f.if(() => {
                assign(f, inPanel, 0)
                assign(f, panel, ['+', panel, block.aPanel])
              })
            })
            f.release(inPanel)
          },
          () => {
            f.for(row, rowEnd, TILE_ROWS, () => {
              packRow(packVectors, 0)
              assign(f, panel, ['+', panel, block.aPanel])
            })
          },
        )
        f.release(row, rowEnd, panel)
        const { rowCount, kCount, aPanel, bPanel, accumulate, last } = block
        tiles.call(f, {
          a: packedA,
          aRow: aPanel,
          aK: 0,
          b: packedB,
          bPanel,
          bK: 0,
          c: ['+', dw, ['*', ['+', firstRow, block.row], rowStride]],
          cRow: rowStride,
          rows: rowCount,
          columns,
          k: kCount,
          accumulate,
          last,
          tile: scratch,
          ...place,
        })
      },
    })

  eachTaskBlock(f, {
    begin,
    end,
    block,
    word,
    sizes: () => [word('rows'), word('columns')],
    body(group) {
      assign(f, x, ['+', word('x'), ['*', group, word('xGroup')]])
      const outOffset: I32 = ['+', ['*', group, word('outGroup')], ['*', column, lanes.size]]
      assign(f, dy, ['+', word('dy'), outOffset])
      assign(f, dw, ['+', word('dw'), outOffset])
      if (place) assign(f, place.outColumn, outOffset)
      product()
    },
  })
  return m.toBytes()
}

import type { ModuleBuilder } from '../assembler.ts'
import { blockedProduct, eachTaskBlock, taskBlock } from '../gemm-blocks.ts'
import { emitTiles, TILE_ROWS, tileColumns } from '../gemm-kernel.ts'
import { emitPack } from '../gemm-pack.ts'
import { assign, define, type I32, loopWhile, push, when } from '../i32-expression.ts'
import type { Lanes } from '../lanes.ts'
import { NamedFunction } from '../named-function.ts'
import { type ProductOptions, startProduct } from '../product-module.ts'
import { routineFunction } from '../routine-entry.ts'
import { eachStretch } from './stretch.ts'
import { weightsWords, weightTapWords } from './weights-plan.ts'

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
      loopWhile(f, ['<u', destination, last], () => {
        for (let copy = 0; copy < copies; copy++) {
          for (let part = 0; part < parts; part++) {
            f.get(destination)
            value(part)
            f.mem(vector ? 'v128.store' : lanes.storeScalar, copy * stepBytes + 16 * part)
          }
          advance()
        }
        f.increment(destination, copies * stepBytes)
      })
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
  const word = weightsWords.from(args)
  const [channels, rowStride, pixel] = weightsWords.define(f, args, ['channels', 'rowStride', 'pixel'])
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
        when(
          f,
          ['%', channels, TILE_ROWS],
          () => {
            const inPanel = define(f, 0)
            f.for(row, rowEnd, 1, () => {
              packRow(packScalars, ['*', inPanel, lanes.size])
              f.increment(inPanel, 1)
              when(f, ['==', inPanel, TILE_ROWS], () => {
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

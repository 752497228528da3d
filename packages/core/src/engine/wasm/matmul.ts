import { byteCode } from './byte-code.ts'
import type { Local } from './function-builder.ts'
import { type Block, blockedProduct, eachTaskBlock, taskBlock } from './gemm-blocks.ts'
import { emitTiles, TILE_ROWS, tileColumns } from './gemm-kernel.ts'
import { pairsCode } from './gemm-pack-bytes.ts'
import { emitGatherVector, emitPack, type HalfType } from './gemm-pack.ts'
import { emitRowTimesColumns, emitRowTimesRows } from './gemv.ts'
import { assign, define, type I32, loopWhile, push, when } from './i32-expression.ts'
import { argumentWords, modes } from './matmul-plan.ts'
import { type ProductModule, type ProductOptions, startProduct } from './product-module.ts'
import { moveToBatch, routineFunction } from './routine-entry.ts'

/**
 * Emits the module of matrix products C = A B (+ C), batched, for operands of any strides: it computes the tasks [begin, end) of
 * the plan whose words lie at `arguments` (see `planMatmul`). Operands may be read up to 64 bytes beyond their end; only C's own
 * elements are written.
 *
 * Blocking after Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008).
 */
export function emitMatmul(options: ProductOptions): Uint8Array<ArrayBuffer> {
  const module = startProduct(options)
  const { m, lanes, finish } = module
  const { bias: withBias = false, bytes } = options
  const { tilesPacked, tilesDirect, packA, packB, gatherVector, rowTimesRows, rowTimesColumns } = emitParts(module, options)
  const width = tileColumns(lanes)

  const { f, begin, end, args, scratch } = routineFunction(m)
  const word = argumentWords.from(args)
  const [mode, aRow, aK, bColumn, bK, cRow] = argumentWords.define(f, args, ['mode', 'aRow', 'aK', 'bColumn', 'bK', 'cRow'])
  const [k, accumulate] = [define(f, bytes ? pairsCode(word('k')) : word('k')), define(f, word('accumulate'))]
  const bias = withBias ? { bias: f.local('i32'), biasColumn: define(f, word('biasColumn')) } : undefined
  const place = finish && { epilogue: define(f, ['+', args, word('epilogue')]), outColumn: f.local('i32') }
  const [a, b, c] = f.locals('i32', 3)
  const block = taskBlock(f)
  const { row, rows, column, columns } = block

  /** Elements of k before step `start`, and of `count` steps from there on. */
  const before = (start: Local<'i32'>): I32 => (bytes ? ['*', start, 2] : start)
  const within = (start: Local<'i32'>, count: Local<'i32'>): I32 =>
    bytes ? ['min', ['*', count, 2], ['-', word('k'), ['*', start, 2]]] : count

  const direct = () => {
    const bPanel = width * lanes.size
    tilesDirect.call(f, { a, aRow, aK, b, bPanel, bK, c, cRow, rows, columns, k, accumulate, last: 1, tile: scratch, ...bias, ...place })
  }

  const eachRow = (body: () => void) => {
    loopWhile(f, ['>', rows, 0], () => {
      body()
      if (place) {
        finish.call(f, { block: place.epilogue, source: c, sourceRow: 0, c, cRow: 0, column: place.outColumn, rows: 1, columns })
      }
      f.increment(rows, -1)
      assign(f, a, ['+', a, aRow])
      assign(f, c, ['+', c, cRow])
    })
  }

  const byRows = () => {
    rowTimesRows.call(f, { x: a, xStride: aK, b, bRow: bK, c, n: columns, k: word('k'), accumulate, ...bias })
  }

  const byColumns = () => {
    const x = define(f, a)
    // Bytes are contiguous in this mode.
    when(f, bytes ? 0 : ['!=', aK, lanes.size], () => {
      assign(f, x, scratch)
      gatherVector.call(f, { source: a, stride: aK, destination: x, count: k })
    })
    rowTimesColumns.call(f, { x, b, bColumn, c, n: columns, k: word('k'), accumulate, ...bias })
    f.release(x)
  }

  const packPanelsOfB = (packedB: Local<'i32'>, { kStart, kCount, bPanel }: Block) => {
    const source: I32 = ['+', b, ['*', before(kStart), bK]]
    packB.call(f, {
      source,
      rowStride: bColumn,
      kStride: bK,
      destination: packedB,
      panel: bPanel,
      rows: columns,
      k: within(kStart, kCount),
    })
  }

  /** Multiplies a block whose B is in panels; A is packed first, or read where it lies. */
  const multiplyBlock = (packedA: Local<'i32'>, packedB: Local<'i32'>, block: Block) => {
    const { kStart, kCount, rowCount, aPanel, bPanel } = block
    const source: I32 = ['+', ['+', a, ['*', block.row, aRow]], ['*', before(kStart), aK]]
    const cBlock: I32 = ['+', c, ['*', block.row, cRow]]
    const sums = { c: cBlock, cRow, rows: rowCount, columns, k: kCount, accumulate: block.accumulate, last: block.last }
    const part = { ...sums, tile: scratch, ...bias, ...place }
    when(
      f,
      ['==', mode, modes.packed],
      () => {
        const inBlock = within(kStart, kCount)
        packA.call(f, { source, rowStride: aRow, kStride: aK, destination: packedA, panel: aPanel, rows: rowCount, k: inBlock })
        tilesPacked.call(f, { a: packedA, aRow: aPanel, aK: 0, b: packedB, bPanel, bK: 0, ...part })
      },
      () => tilesDirect.call(f, { a: source, aRow, aK, b: packedB, bPanel, bK: width * lanes.size, ...part }),
    )
  }

  const blocked = () => {
    const packedB = define(f, ['+', scratch, word('packedB')])
    const panels = define(f, word('panels'))
    const packedA = define(f, ['+', scratch, word('packedA')])
    blockedProduct(f, lanes, {
      k,
      kBlock: word('kBlock'),
      rows,
      accumulate,
      pushRowCount: ({ row }) => push(f, ['min', word('rowChunk'), ['-', rows, row]]),
      packB(block) {
        const ofBlock: I32 = ['*', ['/', block.kStart, word('kBlock')], word('panelsBlock')]
        when(
          f,
          panels,
          () => assign(f, packedB, ['+', ['+', panels, ofBlock], ['*', ['/', column, width], block.bPanel]]),
          () => packPanelsOfB(packedB, block),
        )
      },
      multiply: (block) => multiplyBlock(packedA, packedB, block),
    })
  }

  eachTaskBlock(f, {
    begin,
    end,
    block,
    word,
    sizes: () => [word('m'), word('n')],
    body(batch) {
      assign(f, a, ['+', word('a'), ['*', row, aRow]])
      assign(f, b, ['+', word('b'), ['*', column, bColumn]])
      assign(f, c, ['+', ['+', word('c'), ['*', row, cRow]], ['*', column, lanes.size]])
      if (bias) assign(f, bias.bias, ['+', word('bias'), ['*', column, bias.biasColumn]])
      if (place) assign(f, place.outColumn, ['*', column, lanes.size])
      moveToBatch(f, { first: ['+', args, 4 * argumentWords.count], rank: word('batchRank') }, batch, [a, b, c])
      f.block((done) => {
        for (const [code, body] of [
          [modes.direct, direct],
          [modes.rows, () => eachRow(byRows)],
          [modes.columns, () => eachRow(byColumns)],
        ] as const) {
          when(f, ['==', mode, code], () => {
            body()
            f.br(done)
          })
        }
        blocked()
      })
    },
  })
  return m.toBytes()
}

/** Emits what the routine calls. */
function emitParts(module: ProductModule, { bias = false, halves = {}, bytes }: ProductOptions) {
  const { m, lanes, context } = module
  const width = tileColumns(lanes)
  const tiles = { tilesPacked: emitTiles(module, bias, true), tilesDirect: emitTiles(module, bias, false) }
  const code = byteCode()
  if (bytes && code) {
    return {
      ...tiles,
      packA: code.pack(m, lanes, TILE_ROWS, bytes.a),
      packB: code.pack(m, lanes, width, bytes.b),
      gatherVector: emitGatherVector(m, lanes),
      rowTimesRows: code.rowTimesRows(module, bias, bytes),
      rowTimesColumns: code.rowTimesColumns(module, bias, bytes),
    }
  }
  const halfOf = (dtype: HalfType | undefined) => dtype && { dtype, context }
  const packA = emitPack(m, lanes, TILE_ROWS, halfOf(halves.a))
  return {
    ...tiles,
    packA,
    packB: width === TILE_ROWS ? packA : emitPack(m, lanes, width, halfOf(halves.b)),
    gatherVector: emitGatherVector(m, lanes),
    rowTimesRows: emitRowTimesRows(module, bias),
    rowTimesColumns: emitRowTimesColumns(module, bias),
  }
}

import { ModuleBuilder } from './assembler.ts'
import type { FunctionBuilder, Local } from './function-builder.ts'
import { blockedProduct } from './gemm-blocks.ts'
import { type Epilogue, emitStoreLanes, emitTiles, noEpilogue, TILE_ROWS, tileColumns } from './gemm-kernel.ts'
import { emitGatherVector, emitPack } from './gemm-pack.ts'
import { emitRowTimesColumns, emitRowTimesRows } from './gemv.ts'
import { assign, define, type I32, push } from './i32-expression.ts'
import { type LaneType, lanesOf } from './lanes.ts'
import { argumentWords, modes } from './matmul-plan.ts'
import { exportLaunch } from './routine-entry.ts'

export interface MatmulOptions {
  type: LaneType
  /** Fuse multiply-add where the runtime can. */
  relaxed: boolean
  epilogue?: Epilogue
  /** Whether the memory is shared; the module has to agree with it. */
  shared: boolean
}

/**
 * Emits the module of matrix products C = A B (+ C), batched, for operands of any strides. It imports `env.memory` and
 * exports `run(arguments, begin, end, scratch)`, which computes the tasks [begin, end) of the plan whose words lie at
 * `arguments` (see `planMatmul`). Threads that run tasks at once need scratch memory of their own. Operands may be read up
 * to 64 bytes beyond their end; only C's own elements are written.
 *
 * Blocking after Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008).
 */
export function emitMatmul({ type, relaxed, epilogue = noEpilogue, shared }: MatmulOptions): Uint8Array<ArrayBuffer> {
  const lanes = lanesOf(type, relaxed)
  const m = new ModuleBuilder()
  m.importMemory({ shared })
  const storeLanes = emitStoreLanes(m, lanes)
  const tilesPacked = emitTiles(m, lanes, epilogue, storeLanes, true)
  const tilesDirect = emitTiles(m, lanes, epilogue, storeLanes, false)
  const width = tileColumns(lanes)
  const packA = emitPack(m, lanes, TILE_ROWS)
  const packB = width === TILE_ROWS ? packA : emitPack(m, lanes, width)
  const gatherVector = emitGatherVector(m, lanes)
  const rowTimesRows = emitRowTimesRows(m, lanes, epilogue, storeLanes)
  const rowTimesColumns = emitRowTimesColumns(m, lanes, epilogue, storeLanes)

  const f = m.function('run', { export: true })
  const [args, begin, end, scratch] = [f.param('i32'), f.param('i32'), f.param('i32'), f.param('i32')]
  const word = (name: keyof typeof argumentWords): I32 => ['load', args, 4 * argumentWords[name]]
  const [mode, aRow, aK, bColumn, bK, cRow] = [
    define(f, word('mode')),
    define(f, word('aRow')),
    define(f, word('aK')),
    define(f, word('bColumn')),
    define(f, word('bK')),
    define(f, word('cRow')),
  ]
  const [k, accumulate, rowBlocks, columnBlocks] = [
    define(f, word('k')),
    define(f, word('accumulate')),
    define(f, word('rowBlocks')),
    define(f, word('columnBlocks')),
  ]
  const operands = Array.from({ length: epilogue.operands }, (_, i) => {
    const at = 4 * (argumentWords.operands + 3 * i)
    return { at, pointer: f.local('i32'), rowStride: define(f, ['load', args, at + 4]), columnStride: define(f, ['load', args, at + 8]) }
  })
  const pushOperands = (row?: Local<'i32'>) => {
    for (const { pointer, rowStride, columnStride } of operands) {
      push(f, row ? ['+', pointer, ['*', row, rowStride]] : pointer)
      f.get(rowStride)
      f.get(columnStride)
    }
  }
  const [a, b, c, rows, columns] = f.locals('i32', 5)
  const task = define(f, begin)

  const pushAll = (...values: readonly I32[]) => {
    for (const value of values) push(f, value)
  }

  const direct = () => {
    pushAll(a, aRow, aK, b, width * lanes.size, bK, c, cRow, rows, columns, k, accumulate, 1, scratch)
    pushOperands()
    f.call(tilesDirect)
  }

  const eachRow = (body: () => void) => {
    f.while(
      () => push(f, ['>', rows, 0]),
      () => {
        body()
        f.increment(rows, -1)
        assign(f, a, ['+', a, aRow])
        assign(f, c, ['+', c, cRow])
        for (const { pointer, rowStride } of operands) assign(f, pointer, ['+', pointer, rowStride])
      },
    )
  }

  const byRows = () => {
    pushAll(a, aK, b, bK, c, columns, k, accumulate)
    pushOperands()
    f.call(rowTimesRows)
  }

  const byColumns = () => {
    const x = define(f, a)
    push(f, ['!=', aK, lanes.size])
    f.if(() => {
      assign(f, x, scratch)
      pushAll(a, aK, x, k)
      f.call(gatherVector)
    })
    pushAll(x, b, bColumn, c, columns, k, accumulate)
    pushOperands()
    f.call(rowTimesColumns)
    f.release(x)
  }

  const blocked = () => {
    const packedB = define(f, ['+', scratch, word('packedB')])
    const packedA = define(f, ['+', scratch, word('packedA')])
    blockedProduct(f, lanes, {
      k,
      kBlock: word('kBlock'),
      rows,
      accumulate,
      pushRowCount: ({ row }) => push(f, ['min', word('rowChunk'), ['-', rows, row]]),
      packB({ kStart, kCount, bPanel }) {
        pushAll(['+', b, ['*', kStart, bK]], bColumn, bK, packedB, bPanel, columns, kCount)
        f.call(packB)
      },
      multiply(block) {
        const source: I32 = ['+', ['+', a, ['*', block.row, aRow]], ['*', block.kStart, aK]]
        const pushRest = () => {
          pushAll(['+', c, ['*', block.row, cRow]], cRow, block.rowCount, columns, block.kCount, block.accumulate, block.last, scratch)
          pushOperands(block.row)
        }
        push(f, ['==', mode, modes.packed])
        f.if(
          () => {
            pushAll(source, aRow, aK, packedA, block.aPanel, block.rowCount, block.kCount)
            f.call(packA)
            pushAll(packedA, block.aPanel, 0, packedB, block.bPanel, 0)
            pushRest()
            f.call(tilesPacked)
          },
          () => {
            pushAll(source, aRow, aK, packedB, block.bPanel, width * lanes.size)
            pushRest()
            f.call(tilesDirect)
          },
        )
      },
    })
  }

  f.while(
    () => push(f, ['<', task, end]),
    () => {
      // Neighbouring tasks of one column block are run as one block, which then packs B once.
      const rowBlock = define(f, ['%', task, rowBlocks])
      const rest = define(f, ['/', task, rowBlocks])
      const count = define(f, ['min', ['-', end, task], ['-', rowBlocks, rowBlock]])
      const row = define(f, ['*', rowBlock, word('rowBlock')])
      const column = define(f, ['*', ['%', rest, columnBlocks], word('columnBlock')])
      assign(f, rest, ['/', rest, columnBlocks])
      assign(f, rows, ['-', ['min', word('m'), ['*', ['+', rowBlock, count], word('rowBlock')]], row])
      assign(f, columns, ['min', ['-', word('n'), column], word('columnBlock')])
      assign(f, a, ['+', word('a'), ['*', row, aRow]])
      assign(f, b, ['+', word('b'), ['*', column, bColumn]])
      assign(f, c, ['+', ['+', word('c'), ['*', row, cRow]], ['*', column, lanes.size]])
      for (const { at, pointer, rowStride, columnStride } of operands) {
        assign(f, pointer, ['+', ['+', ['load', args, at], ['*', row, rowStride]], ['*', column, columnStride]])
      }
      addBatchOffsets(f, args, rest, [a, b, c, ...operands.map((operand) => operand.pointer)])
      assign(f, task, ['+', task, count])
      f.release(rowBlock, rest, count, row, column)
      f.block((done) => {
        for (const [code, body] of [
          [modes.direct, direct],
          [modes.rows, () => eachRow(byRows)],
          [modes.columns, () => eachRow(byColumns)],
        ] as const) {
          push(f, ['==', mode, code])
          f.if(() => {
            body()
            f.br(done)
          })
        }
        blocked()
      })
    },
  )
  exportLaunch(m, f)
  return m.toBytes()
}

/** Decodes a batch index over the batch axes listed in the arguments, last axis fastest, and moves the pointers. */
function addBatchOffsets(f: FunctionBuilder, args: Local<'i32'>, batch: Local<'i32'>, pointers: readonly Local<'i32'>[]): void {
  const axisBytes = 4 * (1 + pointers.length)
  const axes = define(f, ['load', args, 4 * argumentWords.batchRank])
  // The table starts behind the operands: `pointers` holds a, b and c besides them.
  const firstAxis = 4 * (argumentWords.operands + 3 * (pointers.length - 3))
  const axis = define(f, ['+', args, ['*', axes, axisBytes]])
  const index = f.local('i32')
  f.while(
    () => push(f, ['>', axes, 0]),
    () => {
      f.increment(axis, -axisBytes)
      const size: I32 = ['load', axis, firstAxis]
      assign(f, index, ['%', batch, size])
      assign(f, batch, ['/', batch, size])
      pointers.forEach((pointer, i) => assign(f, pointer, ['+', pointer, ['*', index, ['load', axis, firstAxis + 4 * (i + 1)]]]))
      f.increment(axes, -1)
    },
  )
  f.release(axes, axis, index)
}

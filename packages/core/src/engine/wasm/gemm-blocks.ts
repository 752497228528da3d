import type { FunctionBuilder, Local } from './function-builder.ts'
import { TILE_ROWS, tileColumns } from './gemm-kernel.ts'
import { panelBytesCode } from './gemm-pack.ts'
import { assign, define, type I32, loopWhile, push } from './i32-expression.ts'
import type { Lanes } from './lanes.ts'

/** The part of a blocked product that is at hand inside the loops. */
export interface Block {
  /** First k of the block and how many there are. */
  readonly kStart: Local<'i32'>
  readonly kCount: Local<'i32'>
  /** First row of the chunk, counted from the first row of the product, and how many there are. */
  readonly row: Local<'i32'>
  readonly rowCount: Local<'i32'>
  /** Bytes between packed panels. */
  readonly aPanel: Local<'i32'>
  readonly bPanel: Local<'i32'>
  /** Whether C holds earlier sums, and whether these are its last. */
  readonly accumulate: Local<'i32'>
  readonly last: Local<'i32'>
}

interface BlockedProduct {
  k: I32
  kBlock: I32
  rows: Local<'i32'>
  accumulate: I32
  /** Pushes how many rows the chunk that starts at `block.row` should have, at least one. */
  pushRowCount(block: Block): void
  /** Packs the block's k of B; runs once for each k block. */
  packB(block: Block): void
  /** Multiplies the chunk; runs for each chunk of rows of each k block. */
  multiply(block: Block): void
}

/** The loops around the tiles: blocks of k, and within them chunks of rows. Runs once where k is 0, so that C is set. */
export function blockedProduct(f: FunctionBuilder, lanes: Lanes, product: BlockedProduct): void {
  const { k, kBlock, rows } = product
  const block: Block = {
    kStart: define(f, 0),
    kCount: f.local('i32'),
    row: f.local('i32'),
    rowCount: f.local('i32'),
    aPanel: f.local('i32'),
    bPanel: f.local('i32'),
    accumulate: define(f, product.accumulate),
    last: f.local('i32'),
  }
  f.loop((again) => {
    assign(f, block.kCount, ['min', kBlock, ['-', k, block.kStart]])
    assign(f, block.last, ['==', ['+', block.kStart, block.kCount], k])
    assign(f, block.aPanel, panelBytesCode(lanes, TILE_ROWS, block.kCount))
    assign(f, block.bPanel, panelBytesCode(lanes, tileColumns(lanes), block.kCount))
    product.packB(block)
    assign(f, block.row, 0)
    loopWhile(f, ['<', block.row, rows], () => {
      product.pushRowCount(block)
      f.set(block.rowCount)
      product.multiply(block)
      assign(f, block.row, ['+', block.row, block.rowCount])
    })
    assign(f, block.kStart, ['+', block.kStart, block.kCount])
    assign(f, block.accumulate, 1)
    push(f, ['<', block.kStart, k])
    f.brIf(again)
  })
  f.release(...Object.values(block))
}

/** The part of a result that a stretch of tasks computes: rows and columns from the first ones on. */
interface TaskBlock {
  readonly row: Local<'i32'>
  readonly rows: Local<'i32'>
  readonly column: Local<'i32'>
  readonly columns: Local<'i32'>
}

export const taskBlock = (f: FunctionBuilder): TaskBlock => ({
  row: f.local('i32'),
  rows: f.local('i32'),
  column: f.local('i32'),
  columns: f.local('i32'),
})

interface TaskRange {
  /** The first task, moved on to the end, and the end. */
  readonly begin: Local<'i32'>
  readonly end: Local<'i32'>
  readonly block: TaskBlock
  word(name: 'rowBlock' | 'rowBlocks' | 'columnBlock' | 'columnBlocks'): I32
  /** How many rows and columns there are in all of the matrix of the number `matrix`, which may be used up. */
  sizes(matrix: Local<'i32'>): readonly [rows: I32, columns: I32]
  /** Computes the block. */
  body(matrix: Local<'i32'>): void
}

/** The loop over a range of tasks: blocks of rows, within blocks of columns, within matrices. */
export function eachTaskBlock(f: FunctionBuilder, { begin, end, block, word, sizes, body }: TaskRange): void {
  const { row, rows, column, columns } = block
  const [count, matrix] = [f.local('i32'), f.local('i32')]
  const rowBlocks = define(f, word('rowBlocks'))
  loopWhile(f, ['<', begin, end], () => {
    // Neighbouring tasks of one column block are run as one block, which then packs B once.
    assign(f, row, ['%', begin, rowBlocks])
    assign(f, matrix, ['/', begin, rowBlocks])
    assign(f, count, ['min', ['-', end, begin], ['-', rowBlocks, row]])
    assign(f, begin, ['+', begin, count])
    assign(f, column, ['*', ['%', matrix, word('columnBlocks')], word('columnBlock')])
    assign(f, matrix, ['/', matrix, word('columnBlocks')])
    const [allRows, allColumns] = sizes(matrix)
    assign(f, rows, ['min', allRows, ['*', ['+', row, count], word('rowBlock')]])
    assign(f, row, ['*', row, word('rowBlock')])
    assign(f, rows, ['-', rows, row])
    assign(f, columns, ['min', ['-', allColumns, column], word('columnBlock')])
    body(matrix)
  })
  f.release(count, matrix, rowBlocks)
}

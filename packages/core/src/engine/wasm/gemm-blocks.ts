import type { FunctionBuilder, Local } from './function-builder.ts'
import { TILE_ROWS, tileColumns } from './gemm-kernel.ts'
import { panelBytesCode } from './gemm-pack.ts'
import { assign, define, type I32, push } from './i32-expression.ts'
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

export interface BlockedProduct {
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
    f.while(
      () => push(f, ['<', block.row, rows]),
      () => {
        product.pushRowCount(block)
        f.set(block.rowCount)
        product.multiply(block)
        assign(f, block.row, ['+', block.row, block.rowCount])
      },
    )
    assign(f, block.kStart, ['+', block.kStart, block.kCount])
    assign(f, block.accumulate, 1)
    push(f, ['<', block.kStart, k])
    f.brIf(again)
  })
  f.release(...Object.values(block))
}

import { TILE_ROWS, TILE_SCRATCH, tileColumns } from '../gemm-kernel.ts'
import { panelBytes } from '../gemm-pack.ts'
import { type LaneType, lanesOf } from '../lanes.ts'
import { blockSize, roundUp } from '../matmul-plan.ts'

/** Rows that are packed and multiplied at a time. */
export const ROW_CHUNK = 128
/** What of a block's width and depth stays in the caches. */
const COLUMN_BYTES = 2048
const K_BYTES = 1536

interface Product {
  readonly type: LaneType
  readonly m: number
  readonly n: number
  readonly k: number
  /** How many blocks there should be at least, for as many threads. */
  readonly wanted: number
  /** Rows of a block; default `ROW_CHUNK`. */
  readonly chunk?: number
}

/** Cuts a product of which both operands get packed. */
export function productBlocks({ type, m, n, k, wanted, chunk = ROW_CHUNK }: Product) {
  const lanes = lanesOf(type, false)
  const width = tileColumns(lanes)
  let columnBlocks = Math.max(1, Math.ceil((n * lanes.size) / COLUMN_BYTES))
  let rowBlock = chunk
  if (columnBlocks * Math.ceil(m / rowBlock) < wanted) {
    if (n >= m) columnBlocks = Math.max(columnBlocks, Math.min(wanted, Math.ceil(n / width)))
    else rowBlock = Math.max(TILE_ROWS, Math.min(rowBlock, roundUp(Math.ceil(m / wanted), TILE_ROWS)))
  } else if (wanted > 1 && columnBlocks === 1 && m < 4 * wanted * rowBlock) {
    // So few blocks that one of them may leave threads idle: equal ones, as many for each thread.
    rowBlock = roundUp(Math.ceil(m / roundUp(Math.ceil(m / rowBlock), wanted)), TILE_ROWS)
  }
  const columnBlock = Math.max(width, roundUp(Math.ceil(n / columnBlocks), width))
  return {
    rowBlock,
    rowBlocks: Math.ceil(m / rowBlock),
    columnBlock,
    columnBlocks: Math.ceil(n / columnBlock),
    kBlock: blockSize(k, K_BYTES / lanes.size, 4),
  }
}

/** Where the packed blocks lie in scratch memory, and where it ends. */
export function packedScratch(type: LaneType, columnBlock: number, kBlock: number, rows: number) {
  const lanes = lanesOf(type, false)
  const width = tileColumns(lanes)
  const packedB = TILE_SCRATCH
  const packedA = packedB + (columnBlock / width) * panelBytes(lanes, width, kBlock)
  const bytes = packedA + Math.ceil(Math.max(rows, 1) / TILE_ROWS) * panelBytes(lanes, TILE_ROWS, kBlock)
  return { packedB, packedA, bytes: roundUp(bytes, 16) }
}

import { TILE_ROWS, TILE_SCRATCH, tileColumns } from './gemm-kernel.ts'
import { type ByteOperands, pairsOf } from './gemm-pack-bytes.ts'
import { type HalfType, panelBytes } from './gemm-pack.ts'
import { type LaneType, lanesOf } from './lanes.ts'
import { blockOfPanelsBytes, KEPT_ROWS, type PanelLayout } from './packed-operand.ts'
import { ArgumentWords } from './routine-entry.ts'

/** How a block of C is computed. */
export const modes = {
  /** A and B in packed panels. */
  packed: 0,
  /** B in packed panels, A where it is. */
  packedB: 1,
  /** Both where they are; B's rows are contiguous. */
  direct: 2,
  /** Row vectors times a B with contiguous rows. */
  rows: 3,
  /** Row vectors times a B with contiguous columns. */
  columns: 4,
} as const
export type MatmulMode = keyof typeof modes

/**
 * The 32-bit words that `run` reads; the batch axes' follow. `epilogue`: where its block is, in bytes from the first word. `panels`: where all
 * of B is in panels, or 0: nowhere, so that it is packed, see `PanelLayout`; `panelsBlock`: bytes of the panels of one block of k.
 */
export const argumentWords = /* @__PURE__ */ new ArgumentWords([
  'mode',
  'm',
  'n',
  'k',
  'a',
  'aRow',
  'aK',
  'b',
  'bColumn',
  'bK',
  'c',
  'cRow',
  'accumulate',
  'rowBlock',
  'rowBlocks',
  'columnBlock',
  'columnBlocks',
  'kBlock',
  'rowChunk',
  'packedA',
  'packedB',
  'batchRank',
  'bias',
  'biasColumn',
  'epilogue',
  'panels',
  'panelsBlock',
])

interface MatmulOperand {
  row: number
  column: number
  /** Its dtype, where that is not the product's. */
  half?: HalfType | undefined
}

export interface MatmulProblem {
  type: LaneType
  m: number
  n: number
  k: number
  /** Strides in elements, as all strides here: A [m, k], B [k, n], C [m, n] with contiguous rows. */
  a: MatmulOperand
  b: MatmulOperand
  c: { row: number }
  /** The operands' dtypes in an int32 product of bytes. */
  bytes?: ByteOperands | undefined
  /** Batch axes, last fastest. */
  batch?: readonly { size: number; a: number; b: number; c: number }[]
  /** Whether a vector is added to every row, and its stride, 0 or 1. */
  bias?: { column: number } | undefined
  /** Add to C instead of overwriting it. */
  accumulate?: boolean
  /** How many threads the tasks will be shared by. */
  threads?: number
  /** How to compute it, one of `modesFor`; default what is fastest by rules. */
  mode?: MatmulMode | undefined
}

/** A problem made ready: everything that `run` needs but the pointers. */
export interface RoutinePlan {
  /** Arguments of `run`; the words at `pointers` are zero, to be filled with byte addresses. */
  readonly words: Int32Array
  /** Where the pointers go: the inputs, with a bias the last of them, then the output. */
  readonly pointers: readonly number[]
  /** Where params go, two words each. */
  readonly params?: number
  /**
   * For routines whose code can hold an epilogue: which word says where its block is, and whether the result's memory holds
   * unfinished sums meanwhile, so that no operand of the epilogue may lie there.
   */
  readonly epilogue?: { readonly word: number; readonly unfinished: boolean }
  /** An operand that the code may be given packed, and which of the pointers is its own. */
  readonly packed?: { readonly pointer: number; readonly layout: PanelLayout }
  /** Tasks in all. Neighbouring tasks share work, so give each thread one contiguous range. */
  readonly tasks: number
  /** Bytes of scratch memory that each thread needs. */
  readonly scratchBytes: number
  /** Multiply-adds in all. */
  readonly work: number
}

/** Bytes of a row of the packed block of B, bytes of k in a packed panel, rows of the packed block of A (for 4-byte elements). */
const COLUMN_BYTES = 2048
const K_BYTES = 1536
const ROW_CHUNK = 128

/** Chooses how to compute a matrix product and in which pieces. */
export function planMatmul(problem: MatmulProblem): RoutinePlan {
  const { type, k, threads = 1, accumulate = false, batch = [], bias } = problem
  const lanes = lanesOf(type, false)
  let { m, n, a, b } = problem
  const narrow = a.half !== undefined || b.half !== undefined || problem.bytes !== undefined
  // A column of results is a row of the transposed product.
  const swapped = !narrow && n === 1 && m > 1 && problem.c.row === 1
  if (swapped) {
    ;[m, n] = [n, m]
    ;[a, b] = [
      { row: b.column, column: b.row },
      { row: a.column, column: a.row },
    ]
  }
  const mode = problem.mode ?? (narrow ? modeOfNarrow(problem) : chooseMode(m, n, k, a, b))
  const [aSize, bSize] = [a, b].map(({ half }) => (problem.bytes ? 1 : half ? 2 : lanes.size)) as [number, number]
  const batches = batch.reduce((product, axis) => product * axis.size, 1)

  const width = tileColumns(lanes)
  const steps = problem.bytes ? pairsOf(k) : k
  const kBlock = blockSize(steps, K_BYTES / lanes.size, 4)
  const maxColumns =
    mode === 'packed' || mode === 'packedB' ? COLUMN_BYTES / lanes.size : mode === 'rows' ? 2 * COLUMN_BYTES : Number.POSITIVE_INFINITY
  let columnBlocks = Math.max(1, Math.ceil(n / maxColumns))
  let rowBlock = mode === 'rows' || mode === 'columns' ? 1 : ROW_CHUNK
  const wanted = Math.ceil(threads / Math.max(1, batches))
  if (columnBlocks * Math.ceil(m / rowBlock) < wanted || (mode === 'packed' && columnBlocks < wanted)) {
    // Every column block reads all of A, every row block all of B: cut the longer side.
    if (n >= m) columnBlocks = Math.max(columnBlocks, Math.min(wanted, Math.ceil(n / width)))
    else rowBlock = Math.min(rowBlock, roundUp(Math.ceil(m / wanted), TILE_ROWS))
  }
  const columnBlock = Math.max(width, roundUp(Math.ceil(n / columnBlocks), width))
  columnBlocks = Math.ceil(n / columnBlock)
  const rowBlocks = Math.ceil(m / rowBlock)

  const packedBBytes = mode === 'packed' || mode === 'packedB' ? (columnBlock / width) * panelBytes(lanes, width, kBlock) : 0
  const packedABytes =
    mode === 'packed' ? (roundUp(Math.min(m, ROW_CHUNK), TILE_ROWS) / TILE_ROWS) * panelBytes(lanes, TILE_ROWS, kBlock) : 0
  const vectorBytes = mode === 'columns' && a.column !== 1 ? k * lanes.size : 0

  const w = argumentWords
  const usesPanels = mode === 'packed' || mode === 'packedB'
  const layout: PanelLayout | undefined =
    usesPanels && !narrow && !swapped && type !== 'int64' && m <= KEPT_ROWS && k > 0 && n > 0 && batch.every((axis) => axis.b === 0)
      ? { type, k, n, row: b.row, column: b.column, width, kBlock, word: w.at('panels') }
      : undefined
  const words = w.withValues(
    {
      mode: modes[mode],
      m,
      n,
      k,
      aRow: a.row * aSize,
      aK: a.column * aSize,
      bColumn: b.column * bSize,
      bK: b.row * bSize,
      cRow: problem.c.row * lanes.size,
      accumulate: accumulate ? 1 : 0,
      rowBlock,
      rowBlocks,
      columnBlock,
      columnBlocks,
      kBlock,
      rowChunk: ROW_CHUNK,
      packedB: TILE_SCRATCH,
      packedA: TILE_SCRATCH + packedBBytes,
      batchRank: batch.length,
      // A column of results has one element of bias.
      biasColumn: bias && !swapped ? bias.column * lanes.size : 0,
      panelsBlock: layout ? blockOfPanelsBytes(layout) : 0,
    },
    batch.flatMap((axis) => {
      const [first, second] = swapped ? [axis.b, axis.a] : [axis.a, axis.b]
      return [axis.size, first * aSize, second * bSize, axis.c * lanes.size]
    }),
  )
  return {
    words,
    ...(layout && { packed: { pointer: 1, layout } }),
    pointers: [w.at(swapped ? 'b' : 'a'), w.at(swapped ? 'a' : 'b'), ...(bias ? [w.at('bias')] : []), w.at('c')],
    epilogue: { word: w.at('epilogue'), unfinished: mode === 'rows' || mode === 'columns' || (mode !== 'direct' && kBlock < steps) },
    tasks: batches * rowBlocks * columnBlocks,
    scratchBytes: TILE_SCRATCH + packedBBytes + packedABytes + vectorBytes,
    work: batches * m * n * k,
  }
}

/**
 * The thresholds are measured: up to 64 Ki elements B stays in the second-level cache and needs no packing, unless its rows
 * are so far apart that they compete for the same cache lines.
 */
function chooseMode(m: number, n: number, k: number, a: { column: number }, b: { row: number; column: number }): MatmulMode {
  if (b.column === 1) {
    if (m === 1) return 'rows'
    if (n * k <= (m <= 16 || (m <= 64 && b.row <= 256) ? 65536 : 8192)) return 'direct'
    if (m <= 4) return 'rows'
  } else if (b.row === 1 && m <= 4) {
    return 'columns'
  }
  return n <= 32 && a.column === 1 ? 'packedB' : 'packed'
}

/** Operands that become wider do so in panels, but for bytes of a single row, where that would be most of the work. */
function modeOfNarrow({ m, a, b, bytes }: MatmulProblem): MatmulMode {
  if (!bytes || m !== 1) return 'packed'
  if (b.column === 1) return 'rows'
  return b.row === 1 && a.column === 1 ? 'columns' : 'packed'
}

/** Rows from which on a product is never computed row by row. */
const MANY_ROWS = 16

/** The modes in which a problem can be computed, as far as one of them may be the fastest. */
export function modesFor({ m, n, a, b }: MatmulProblem): readonly MatmulMode[] {
  // A column of results has one mode.
  if (n === 1) return []
  const found: MatmulMode[] = a.column === 1 ? ['packed', 'packedB'] : ['packed']
  if (b.column === 1) found.push('direct')
  if (m < MANY_ROWS && b.column === 1) found.push('rows')
  if (m < MANY_ROWS && b.row === 1) found.push('columns')
  return found
}

/** Cuts `size` into equal blocks of at most `limit`, in multiples of `step`. */
export function blockSize(size: number, limit: number, step: number): number {
  const blocks = Math.max(1, Math.ceil(size / limit))
  return Math.max(step, roundUp(Math.ceil(size / blocks), step))
}

export function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step
}

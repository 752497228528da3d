import { CotangentError } from '../../errors.ts'
import { TILE_ROWS, TILE_SCRATCH, tileColumns } from './gemm-kernel.ts'
import { type ByteOperands, pairsOf } from './gemm-pack-bytes.ts'
import { panelBytes } from './gemm-pack.ts'
import { type LaneType, lanesOf } from './lanes.ts'
import { blockSize, type RoutinePlan, roundUp } from './matmul-plan.ts'

export interface Strided {
  readonly shape: readonly number[]
  /** In elements. */
  readonly strides: readonly number[]
}

/**
 * A convolution over one to three spatial axes: `x [batch, ...spatial, channelsIn]`, `w [...kernel, channelsIn / groups,
 * channelsOut]`, `y [batch, ...spatial, channelsOut]`. The result has to be dense; what is read may have any strides, but the
 * channels of x and y have to be contiguous, and in the gradient of the weights all of y.
 */
export interface ConvProblem {
  type: LaneType
  x: Strided
  w: Strided
  y: Strided
  stride: readonly number[]
  padding: readonly (readonly [before: number, after: number])[]
  dilation: readonly number[]
  groups: number
  /** Of the convolution: whether a vector is added to every pixel, and its stride, 0 or 1. */
  bias?: { column: number } | undefined
  accumulate?: boolean
  /** The dtypes of x (or the gradient of y) and w in an int32 convolution of bytes, other than depthwise. */
  bytes?: ByteOperands | undefined
  /** How many threads the tasks will be shared by. */
  threads?: number
}

/** Which module runs a plan. */
export type ConvModule = 'windows' | 'depthwise' | 'weights' | 'depthwiseWeights'

export interface ConvPlan extends RoutinePlan {
  readonly module: ConvModule
}

/** Words of the arguments of the modules `windows` and `depthwise`; from `list` on, phases and taps. */
export const windowWords = {
  source: 0,
  weights: 1,
  output: 2,
  sourceN: 3,
  sourceD: 4,
  sourceH: 5,
  sourceW: 6,
  depth: 7,
  height: 8,
  width: 9,
  channels: 10,
  weightChannel: 11,
  weightColumn: 12,
  columns: 13,
  groups: 14,
  sourceGroup: 15,
  weightGroup: 16,
  outputGroup: 17,
  kBlock: 18,
  rowChunk: 19,
  rowBlock: 20,
  rowBlocks: 21,
  columnBlock: 22,
  columnBlocks: 23,
  packedB: 24,
  packedA: 25,
  zeros: 26,
  stepD: 27,
  stepH: 28,
  stepW: 29,
  accumulate: 30,
  phases: 31,
  bias: 32,
  biasColumn: 33,
  /** Where the epilogue's block is, in bytes from the first word. */
  epilogue: 34,
  /** Channels of a group of bytes; `channels` counts pairs of them then. */
  bytes: 35,
  list: 36,
} as const

/** Words of a phase. Rows run over [batch, D, H, W]; `start` is the source position of row 0, `out` strides are of rows. */
export const phaseWords = {
  rows: 0,
  rowsD: 1,
  rowsH: 2,
  rowsW: 3,
  startD: 4,
  startH: 5,
  startW: 6,
  outputOffset: 7,
  outputN: 8,
  outputD: 9,
  outputH: 10,
  outputW: 11,
  /** Rows whose outputs are `outputW` apart: all of them where the output is dense. */
  line: 12,
  taps: 13,
  tapCount: 14,
  /** The least and the largest position of a tap along each axis. */
  lowD: 15,
  highD: 16,
  lowH: 17,
  highH: 18,
  lowW: 19,
  highW: 20,
} as const
export const PHASE_WORDS = 21

/** Words of a tap: its source position relative to the row's, the same in bytes, and the offset of its weights. */
export const tapWords = { d: 0, h: 1, w: 2, delta: 3, weights: 4 } as const
export const TAP_WORDS = 5

type Triple = [number, number, number]

interface Axis {
  taps: { offset: number; kernel: number }[]
  rows: number
  start: number
  /** First output of the phase and distance of its outputs. */
  first: number
  every: number
}

export interface ConvGeometry {
  kernel: Triple
  stride: Triple
  before: Triple
  dilation: Triple
}

/** The same problem over three spatial axes: missing ones have size and kernel 1. */
export function withThreeAxes(problem: ConvProblem): ConvProblem & { geometry: ConvGeometry } {
  const missing = 5 - problem.x.shape.length
  const ones = new Array<number>(missing).fill(1)
  const zeros = new Array<number>(missing).fill(0)
  const spread = ({ shape, strides }: Strided, at: number): Strided => ({
    shape: [...shape.slice(0, at), ...ones, ...shape.slice(at)],
    strides: [...strides.slice(0, at), ...zeros, ...strides.slice(at)],
  })
  const [x, w, y] = [spread(problem.x, 1), spread(problem.w, 0), spread(problem.y, 1)]
  const geometry = {
    kernel: w.shape.slice(0, 3) as Triple,
    stride: [...ones, ...problem.stride] as Triple,
    before: [...zeros, ...problem.padding.map(([before]) => before)] as Triple,
    dilation: [...ones, ...problem.dilation] as Triple,
  }
  return { ...problem, x, w, y, geometry }
}

/** Convolution: y from x and w. Pointers: x, w, the bias, y. */
export function planConv(problem: ConvProblem): ConvPlan {
  const { geometry, x, w, y, ...rest } = withThreeAxes(problem)
  const { kernel, stride, before, dilation } = geometry
  const axes = [0, 1, 2].map((axis): Axis[] => [
    {
      taps: Array.from({ length: kernel[axis]! }, (_, i) => ({ offset: i * dilation[axis]!, kernel: i })),
      rows: y.shape[axis + 1]!,
      start: -before[axis]!,
      first: 0,
      every: 1,
    },
  ])
  return planWindows({ ...rest, source: x, w, output: y, axes, step: stride, channelAxis: 3, columnAxis: 4 })
}

/**
 * Gradient with respect to x from y's and w: every input pixel gathers from the outputs that saw it. With a stride, the pixels
 * of each residue (phase) see the same taps. Pointers: gradient of y, w, gradient of x.
 */
export function planConvGradInput(problem: ConvProblem): ConvPlan {
  const { geometry, x, w, y, ...rest } = withThreeAxes(problem)
  const { kernel, stride, before, dilation } = geometry
  const axes = [0, 1, 2].map((axis): Axis[] => {
    const [size, s] = [x.shape[axis + 1]!, stride[axis]!]
    const phases = Math.max(1, Math.min(s, size))
    return Array.from({ length: phases }, (_, phase) => ({
      taps: Array.from({ length: kernel[axis]! }, (_, i) => ({
        offset: (phase + before[axis]! - i * dilation[axis]!) / s,
        kernel: i,
      })).filter(({ offset }) => Number.isInteger(offset)),
      rows: Math.ceil((size - phase) / s),
      start: 0,
      first: phase,
      every: phases,
    }))
  })
  return planWindows({ ...rest, source: y, w, output: x, axes, step: [1, 1, 1], channelAxis: 4, columnAxis: 3 })
}

/** Every choice of one item from each of three lists, last fastest. */
function product3<T>([first, second, third]: readonly (readonly T[])[]): [T, T, T][] {
  return first!.flatMap((a) => second!.flatMap((b) => third!.map((c): [T, T, T] => [a, b, c])))
}

interface Windows {
  type: LaneType
  source: Strided
  w: Strided
  output: Strided
  axes: Axis[][]
  step: Triple
  /** Axis of the weights that is summed over, and the one that remains. */
  channelAxis: 3 | 4
  columnAxis: 3 | 4
  groups: number
  bias?: { column: number } | undefined
  accumulate?: boolean
  bytes?: ByteOperands | undefined
  threads?: number
}

function planWindows(problem: Windows): ConvPlan {
  const { type, source, w, output, axes, step, channelAxis, columnAxis, groups, bias, accumulate = false, threads = 1 } = problem
  const lanes = lanesOf(type, false)
  const size = lanes.size
  const elementSize = problem.bytes ? 1 : size
  requireContiguousChannels(source)
  const empty = source.shape[4] === 0
  const channels = empty ? 1 : source.shape[4]! / groups
  const columns = output.shape[4]! / groups
  const depthwise = channels === 1 && columns === 1 && groups > 1
  const batch = output.shape[0]!

  const outputStrides = output.strides.map((stride) => stride * size)
  const phases = product3(axes).map(([d, h, v]) => ({
    rows: batch * d.rows * h.rows * v.rows,
    axes: [d, h, v] as const,
    taps: empty
      ? []
      : product3([d.taps, h.taps, v.taps]).map((tap) => ({
          offsets: tap.map(({ offset }) => offset),
          weights: tap.reduce((sum, { kernel }, i) => sum + kernel * w.strides[i]!, 0) * elementSize,
        })),
  }))
  const sourceStrides = source.strides.map((stride) => stride * elementSize)
  const firstPhase = windowWords.list
  const firstTap = firstPhase + phases.length * PHASE_WORDS
  const all = new Int32Array(firstTap + phases.reduce((sum, { taps }) => sum + taps.length * TAP_WORDS, 0))
  let tapAt = firstTap
  phases.forEach(({ rows, axes: [d, h, v], taps }, i) => {
    const set = (name: keyof typeof phaseWords, value: number) => {
      all[firstPhase + i * PHASE_WORDS + phaseWords[name]] = value
    }
    set('rows', rows)
    set('rowsD', d.rows)
    set('rowsH', h.rows)
    set('rowsW', v.rows)
    set('startD', d.start)
    set('startH', h.start)
    set('startW', v.start)
    set('outputOffset', d.first * outputStrides[1]! + h.first * outputStrides[2]! + v.first * outputStrides[3]!)
    set('outputN', outputStrides[0]!)
    set('outputD', outputStrides[1]! * d.every)
    set('outputH', outputStrides[2]! * h.every)
    set('outputW', outputStrides[3]! * v.every)
    set('line', phases.length === 1 ? rows : v.rows)
    set('taps', 4 * tapAt)
    set('tapCount', taps.length)
    for (const [axis, low, high] of [
      [0, 'lowD', 'highD'],
      [1, 'lowH', 'highH'],
      [2, 'lowW', 'highW'],
    ] as const) {
      set(low, Math.min(...taps.map(({ offsets }) => offsets[axis])))
      set(high, Math.max(...taps.map(({ offsets }) => offsets[axis])))
    }
    for (const { offsets, weights } of taps) {
      const delta = offsets.reduce((sum, offset, axis) => sum + offset * sourceStrides[axis + 1]!, 0)
      all.set([...offsets, delta, weights], tapAt)
      tapAt += TAP_WORDS
    }
  })

  const maxRows = Math.max(0, ...phases.map(({ rows }) => rows))
  const steps = problem.bytes ? pairsOf(channels) : channels
  const maxK = steps * Math.max(0, ...phases.map(({ taps }) => taps.length))
  const blocks = depthwise
    ? {
        rowBlock: DEPTHWISE_ROWS,
        rowBlocks: Math.ceil(maxRows / DEPTHWISE_ROWS),
        columnBlock: groups,
        columnBlocks: Math.min(1, groups),
        kBlock: 1,
      }
    : productBlocks(type, maxRows, columns, maxK, Math.ceil(threads / Math.max(1, groups * phases.length)))
  const batches = depthwise ? phases.length : phases.length * groups
  const scratch = depthwise
    ? { packedB: 0, packedA: 0, bytes: 8 * (maxK + 1) }
    : packedScratch(type, blocks.columnBlock, blocks.kBlock, Math.min(maxRows, ROW_CHUNK))

  const set = (name: keyof typeof windowWords, value: number) => {
    all[windowWords[name]] = value
  }
  set('sourceN', sourceStrides[0]!)
  set('sourceD', sourceStrides[1]!)
  set('sourceH', sourceStrides[2]!)
  set('sourceW', sourceStrides[3]!)
  set('depth', source.shape[1]!)
  set('height', source.shape[2]!)
  set('width', source.shape[3]!)
  set('channels', steps)
  set('bytes', channels)
  set('weightChannel', w.strides[channelAxis]! * elementSize)
  set('weightColumn', w.strides[columnAxis]! * elementSize)
  set('columns', depthwise ? groups : columns)
  set('groups', depthwise ? 1 : groups)
  set('sourceGroup', channels * elementSize)
  // Groups cut the last axis of the weights, the output channels of the convolution.
  const outputChannels = channelAxis === 3 ? columns : channels
  set('weightGroup', outputChannels * w.strides[4]! * elementSize)
  set('outputGroup', columns * size)
  set('kBlock', blocks.kBlock)
  set('rowChunk', ROW_CHUNK)
  set('rowBlock', blocks.rowBlock)
  set('rowBlocks', blocks.rowBlocks)
  set('columnBlock', blocks.columnBlock)
  set('columnBlocks', blocks.columnBlocks)
  set('packedB', scratch.packedB)
  set('packedA', scratch.packedA)
  set('zeros', scratch.bytes)
  set('stepD', step[0])
  set('stepH', step[1])
  set('stepW', step[2])
  set('accumulate', accumulate ? 1 : 0)
  set('phases', phases.length)
  set('biasColumn', (bias?.column ?? 0) * size)
  return {
    module: depthwise ? 'depthwise' : 'windows',
    words: all,
    pointers: [windowWords.source, windowWords.weights, ...(bias ? [windowWords.bias] : []), windowWords.output],
    epilogue: { word: windowWords.epilogue, unfinished: depthwise || blocks.kBlock < maxK },
    tasks: batches * blocks.rowBlocks * blocks.columnBlocks,
    scratchBytes: scratch.bytes + (depthwise ? 0 : roundUp(channels * size, 16) + 64),
    work: phases.reduce((sum, { rows, taps }) => sum + rows * taps.length, 0) * channels * columns * groups,
  }
}

export const ROW_CHUNK = 128
const DEPTHWISE_ROWS = 32
const COLUMN_BYTES = 2048
const K_BYTES = 1536

/** Cuts a product of which both operands get packed. */
export function productBlocks(type: LaneType, m: number, n: number, k: number, wanted: number, chunk = ROW_CHUNK) {
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

export function requireContiguousChannels({ shape, strides }: Strided): void {
  if (shape.at(-1)! > 1 && strides.at(-1) !== 1) {
    throw new CotangentError('engine-failure', { op: 'conv', message: 'the channels of an operand are not contiguous', shapes: [shape] })
  }
}

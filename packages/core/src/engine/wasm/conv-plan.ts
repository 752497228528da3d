import { CotangentError } from '../../errors.ts'
import { TILE_ROWS, TILE_SCRATCH, tileColumns } from './gemm-kernel.ts'
import { type ByteOperands, pairsOf } from './gemm-pack-bytes.ts'
import { panelBytes } from './gemm-pack.ts'
import { type LaneType, lanesOf } from './lanes.ts'
import { blockSize, type RoutinePlan, roundUp } from './matmul-plan.ts'
import { ArgumentWords } from './routine-entry.ts'

interface Strided {
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

/**
 * Words of the arguments of the modules `windows` and `depthwise`; phases and taps follow. `epilogue`: where its block is, in bytes from the
 * first word. `bytes`: channels of a group of bytes; `channels` counts pairs of them then.
 */
export const windowWords = /* @__PURE__ */ new ArgumentWords([
  'source',
  'weights',
  'output',
  'sourceN',
  'sourceD',
  'sourceH',
  'sourceW',
  'depth',
  'height',
  'width',
  'channels',
  'weightChannel',
  'weightColumn',
  'columns',
  'groups',
  'sourceGroup',
  'weightGroup',
  'outputGroup',
  'kBlock',
  'rowChunk',
  'rowBlock',
  'rowBlocks',
  'columnBlock',
  'columnBlocks',
  'packedB',
  'packedA',
  'zeros',
  'stepD',
  'stepH',
  'stepW',
  'accumulate',
  'phases',
  'bias',
  'biasColumn',
  'epilogue',
  'bytes',
])

/**
 * Words of a phase. Rows run over [batch, D, H, W]; `start` is the source position of row 0, `output` strides are of rows. `line`: rows whose
 * outputs are `outputW` apart, all of them where the output is dense. `low` and `high`: the least and the largest position of a tap.
 */
export const phaseWords = /* @__PURE__ */ new ArgumentWords([
  'rows',
  'rowsD',
  'rowsH',
  'rowsW',
  'startD',
  'startH',
  'startW',
  'outputOffset',
  'outputN',
  'outputD',
  'outputH',
  'outputW',
  'line',
  'taps',
  'tapCount',
  'lowD',
  'highD',
  'lowH',
  'highH',
  'lowW',
  'highW',
])

/** Words of a tap: its source position relative to the row's, the same in bytes, and the offset of its weights. */
export const tapWords = /* @__PURE__ */ new ArgumentWords(['d', 'h', 'w', 'delta', 'weights'])

type Triple = [number, number, number]

interface Axis {
  taps: { offset: number; kernel: number }[]
  rows: number
  start: number
  /** First output of the phase and distance of its outputs. */
  first: number
  every: number
}

interface ConvGeometry {
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
  const firstTap = windowWords.count + phases.length * phaseWords.count
  const tapList: number[] = []
  const phaseList = phases.flatMap(({ rows, axes: [d, h, v], taps }) => {
    const first = firstTap + tapList.length
    for (const { offsets, weights } of taps) {
      const delta = offsets.reduce((sum, offset, axis) => sum + offset * sourceStrides[axis + 1]!, 0)
      tapList.push(...offsets, delta, weights)
    }
    const low = (axis: number) => Math.min(...taps.map(({ offsets }) => offsets[axis]!))
    const high = (axis: number) => Math.max(...taps.map(({ offsets }) => offsets[axis]!))
    return [
      ...phaseWords.withValues({
        rows,
        rowsD: d.rows,
        rowsH: h.rows,
        rowsW: v.rows,
        startD: d.start,
        startH: h.start,
        startW: v.start,
        outputOffset: d.first * outputStrides[1]! + h.first * outputStrides[2]! + v.first * outputStrides[3]!,
        outputN: outputStrides[0]!,
        outputD: outputStrides[1]! * d.every,
        outputH: outputStrides[2]! * h.every,
        outputW: outputStrides[3]! * v.every,
        line: phases.length === 1 ? rows : v.rows,
        taps: 4 * first,
        tapCount: taps.length,
        lowD: low(0),
        highD: high(0),
        lowH: low(1),
        highH: high(1),
        lowW: low(2),
        highW: high(2),
      }),
    ]
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

  // Groups cut the last axis of the weights, the output channels of the convolution.
  const outputChannels = channelAxis === 3 ? columns : channels
  const words = windowWords.withValues(
    {
      sourceN: sourceStrides[0]!,
      sourceD: sourceStrides[1]!,
      sourceH: sourceStrides[2]!,
      sourceW: sourceStrides[3]!,
      depth: source.shape[1]!,
      height: source.shape[2]!,
      width: source.shape[3]!,
      channels: steps,
      bytes: channels,
      weightChannel: w.strides[channelAxis]! * elementSize,
      weightColumn: w.strides[columnAxis]! * elementSize,
      columns: depthwise ? groups : columns,
      groups: depthwise ? 1 : groups,
      sourceGroup: channels * elementSize,
      weightGroup: outputChannels * w.strides[4]! * elementSize,
      outputGroup: columns * size,
      ...blocks,
      rowChunk: ROW_CHUNK,
      packedB: scratch.packedB,
      packedA: scratch.packedA,
      zeros: scratch.bytes,
      stepD: step[0],
      stepH: step[1],
      stepW: step[2],
      accumulate: accumulate ? 1 : 0,
      phases: phases.length,
      biasColumn: (bias?.column ?? 0) * size,
    },
    [...phaseList, ...tapList],
  )
  const at = (name: 'source' | 'weights' | 'bias' | 'output') => windowWords.at(name)
  return {
    module: depthwise ? 'depthwise' : 'windows',
    words,
    pointers: [at('source'), at('weights'), ...(bias ? [at('bias')] : []), at('output')],
    epilogue: { word: windowWords.at('epilogue'), unfinished: depthwise || blocks.kBlock < maxK },
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

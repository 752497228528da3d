import { type ByteOperands, pairsOf } from '../gemm-pack-bytes.ts'
import { type LaneType, lanesOf } from '../lanes.ts'
import { roundUp } from '../matmul-plan.ts'
import { packedScratch, productBlocks, ROW_CHUNK } from './blocks.ts'
import { type ConvPlan, type ConvProblem, requireContiguousChannels, type Strided, type Triple, withThreeAxes } from './problem.ts'
import { type Axis, phaseArguments, phasesOf } from './window-phases.ts'
import { windowWords } from './window-words.ts'

/** Output pixels of a task of a depthwise convolution. */
const DEPTHWISE_ROWS = 32

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
  const phases = phasesOf(axes, { batch: output.shape[0]!, blind: empty })
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
    : productBlocks({ type, m: maxRows, n: columns, k: maxK, wanted: Math.ceil(threads / Math.max(1, groups * phases.length)) })
  const batches = depthwise ? phases.length : phases.length * groups
  const scratch = depthwise
    ? { packedB: 0, packedA: 0, bytes: 8 * (maxK + 1) }
    : packedScratch(type, blocks.columnBlock, blocks.kBlock, Math.min(maxRows, ROW_CHUNK))

  // Groups cut the last axis of the weights, the output channels of the convolution.
  const outputChannels = channelAxis === 3 ? columns : channels
  const words = windowWords.withValues(
    {
      sourceN: source.strides[0]! * elementSize,
      sourceD: source.strides[1]! * elementSize,
      sourceH: source.strides[2]! * elementSize,
      sourceW: source.strides[3]! * elementSize,
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
    phaseArguments(phases, {
      source: source.strides.map((stride) => stride * elementSize),
      weights: w.strides.map((stride) => stride * elementSize),
      output: output.strides.map((stride) => stride * size),
    }),
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

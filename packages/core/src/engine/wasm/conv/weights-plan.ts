import { CotangentError } from '../../../errors.ts'
import { lanesOf } from '../lanes.ts'
import { ArgumentWords } from '../routine-entry.ts'
import { packedScratch, productBlocks, ROW_CHUNK } from './blocks.ts'
import { type ConvPlan, type ConvProblem, requireContiguousChannels, type Strided, withThreeAxes } from './problem.ts'

/**
 * Words of the arguments of the modules `weights` and `depthwiseWeights`; the taps follow. `pixel`: bytes between pixels of dy; `rowStride`:
 * between rows of dw, which are (tap, input channel) pairs. `epilogue`: where its block is, in bytes from the first word.
 */
export const weightsWords = /* @__PURE__ */ new ArgumentWords([
  'x',
  'dy',
  'dw',
  'xN',
  'xD',
  'xH',
  'xW',
  'depth',
  'height',
  'pixels',
  'outD',
  'outH',
  'outW',
  'stepD',
  'stepH',
  'stepW',
  'pixel',
  'channels',
  'rows',
  'columns',
  'rowStride',
  'groups',
  'xGroup',
  'outGroup',
  'kBlock',
  'rowChunk',
  'rowBlock',
  'rowBlocks',
  'columnBlock',
  'columnBlocks',
  'packedB',
  'packedA',
  'accumulate',
  'epilogue',
])

/** Words of a tap: where it looks, relative to the window's start without padding, and the outputs [low, high) along W that see a pixel. */
export const weightTapWords = /* @__PURE__ */ new ArgumentWords(['d', 'h', 'w', 'low', 'high'])

/** Channels of one task of the depthwise gradient, in vectors. */
export const DEPTHWISE_VECTORS = 4

/** Gradient with respect to the weights from x and y's. Pointers: x, gradient of y, gradient of w. */
export function planConvGradWeight(problem: ConvProblem): ConvPlan {
  const { type, x, y, groups, geometry, accumulate = false, threads = 1 } = withThreeAxes(problem)
  const { size, count } = lanesOf(type, false)
  const [kernel, stride, before, dilation] = [geometry.kernel, geometry.stride, geometry.before, geometry.dilation]
  requireContiguousChannels(x)
  requireDense(y)
  const channels = x.shape[4]! / groups
  const columns = y.shape[4]! / groups
  const depthwise = channels === 1 && columns === 1 && groups > 1
  const tapCount = kernel[0] * kernel[1] * kernel[2]
  const m = tapCount * channels
  const pixels = y.shape[0]! * y.shape[1]! * y.shape[2]! * y.shape[3]!
  const blocks = depthwise
    ? { rowBlock: 1, rowBlocks: Math.ceil(groups / (DEPTHWISE_VECTORS * count)), columnBlock: 1, columnBlocks: 1, kBlock: 1 }
    : productBlocks({ type, m, n: columns, k: pixels, wanted: Math.ceil(threads / groups), chunk: 256 })
  const scratch = depthwise
    ? { packedB: 0, packedA: 0, bytes: 0 }
    : packedScratch(type, blocks.columnBlock, blocks.kBlock, Math.min(m, ROW_CHUNK))

  const taps: number[] = []
  for (let d = 0; d < kernel[0]; d++) {
    for (let h = 0; h < kernel[1]; h++) {
      for (let v = 0; v < kernel[2]; v++) {
        const offset = v * dilation[2] - before[2]
        const low = Math.max(0, Math.ceil(-offset / stride[2]))
        const high = Math.max(0, Math.min(y.shape[3]!, Math.floor((x.shape[3]! - 1 - offset) / stride[2]) + 1))
        taps.push(d * dilation[0] - before[0], h * dilation[1] - before[1], offset, low, high)
      }
    }
  }
  const words = weightsWords.withValues(
    {
      xN: x.strides[0]! * size,
      xD: x.strides[1]! * size,
      xH: x.strides[2]! * size,
      xW: x.strides[3]! * size,
      depth: x.shape[1]!,
      height: x.shape[2]!,
      pixels,
      // The number of the first pixel is divided by these, also where there is none.
      outD: Math.max(1, y.shape[1]!),
      outH: Math.max(1, y.shape[2]!),
      outW: Math.max(1, y.shape[3]!),
      stepD: stride[0],
      stepH: stride[1],
      stepW: stride[2],
      pixel: y.shape[4]! * size,
      channels,
      rows: m,
      columns: depthwise ? groups : columns,
      rowStride: y.shape[4]! * size,
      groups: depthwise ? 1 : groups,
      xGroup: channels * size,
      outGroup: columns * size,
      ...blocks,
      rowChunk: ROW_CHUNK,
      packedB: scratch.packedB,
      packedA: scratch.packedA,
      accumulate: accumulate ? 1 : 0,
    },
    taps,
  )
  return {
    module: depthwise ? 'depthwiseWeights' : 'weights',
    words,
    pointers: [weightsWords.at('x'), weightsWords.at('dy'), weightsWords.at('dw')],
    epilogue: { word: weightsWords.at('epilogue'), unfinished: depthwise || blocks.kBlock < pixels },
    tasks: (depthwise ? 1 : groups) * blocks.rowBlocks * blocks.columnBlocks,
    scratchBytes: scratch.bytes,
    work: pixels * m * columns * groups,
  }
}

function requireDense({ shape, strides }: Strided): void {
  let step = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis]! > 1 && strides[axis] !== step) {
      throw new CotangentError('engine-failure', { op: 'convGradWeight', message: 'the gradient of y is not dense', shapes: [shape] })
    }
    step *= shape[axis]!
  }
}

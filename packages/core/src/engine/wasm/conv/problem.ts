import { CotangentError } from '../../../errors.ts'
import type { ByteOperands } from '../gemm-pack-bytes.ts'
import type { LaneType } from '../lanes.ts'
import type { RoutinePlan } from '../matmul-plan.ts'

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

/** Of D, H and W. */
export type Triple = [number, number, number]

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

export function requireContiguousChannels({ shape, strides }: Strided): void {
  if (shape.at(-1)! > 1 && strides.at(-1) !== 1) {
    throw new CotangentError('engine-failure', { op: 'conv', message: 'the channels of an operand are not contiguous', shapes: [shape] })
  }
}

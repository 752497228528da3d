import type { Operand, Routine } from 'cotangent'
import { extents, type NativeConvolution, type NativeOperation, operators } from './binding.ts'
import { lastElement, rowMajor, rowsOf, size, tidy } from './layout.ts'
import { arePlain, type PostOp, postOpsOf } from './post-ops.ts'

type Three = readonly [number, number, number]

interface DescribedConvolution {
  /** Multiply-adds, or what takes as long. */
  readonly work: number
  /** Whether it is faster than oneDNN, which leaves some epilogues to a kernel and packs the weights in each run. */
  readonly preferred: boolean
  describe(threads: number): { readonly convolution: NativeConvolution }
}

/** Pixels of the result up to which weights are a good part of what is read, so that it matters where they lie; fewer where oneDNN would pack them, too. */
const fewPixels = { product: 2 ** 10, window: 2 ** 8 } as const

/** Rows of products between which it is as fast as oneDNN, whatever becomes of the matrix: more of them would be worth packing it in each run. */
const productRows = { least: 8, most: 255 } as const

/** Columns that are whole vectors on any machine: others would have to be packed in each run. */
const wholeVectors = 16

/** Numbers that lie together, of neighbouring taps and their channels, below which oneDNN is so much faster that a kernel may follow. */
const fewNumbers = 8

/** Channels of the result from which on that holds for products only: finding the input of a window pays then, however little it is. */
const manyChannels = 32

/** How many times as long a multiply-add takes where each channel is by itself. */
const depthwiseCost = 4

/** What is done to a result: a bias is the third of the `own` inputs, those of the epilogue come behind them. */
function operationsOf(postOps: readonly PostOp[], { own, bias }: { own: number; bias: boolean }): readonly NativeOperation[] {
  const none = { word: undefined, param: undefined, value: undefined }
  const operation = (op: PostOp): NativeOperation => {
    const operator = operators[op.op]
    if (!('input' in op)) return { ...none, operator, ...('param' in op ? { param: op.param } : { value: op.value }), extent: extents.one }
    return { ...none, operator, extent: extents[op.kind], word: own + op.input - 1 }
  }
  const added = { ...none, operator: operators.add, extent: extents.column, word: 2 }
  return [...(bias ? [added] : []), ...postOps.map(operation)]
}

/**
 * A convolution of float32 numbers for the addon's own code, with its epilogue; undefined where it has none: for groups other than one and
 * of single channels, and for what oneDNN does not do either.
 */
export function describeConvolution(routine: Routine): DescribedConvolution | undefined {
  if (routine.name !== 'conv') return undefined
  const { attrs, epilogue, inputs, outputs } = routine as Routine<'conv'>
  const { kernel, stride, padding, dilation, groups } = attrs
  const axes = kernel.length
  const postOps = epilogue ? postOpsOf(epilogue) : []
  if (!postOps || outputs.length !== 1 || axes < 1 || axes > 3 || padding.some(([before]) => before < 0)) return undefined
  if ([...inputs, ...outputs].some(({ dtype, shape }) => dtype !== 'float32' || shape.includes(0))) return undefined
  if ([kernel, stride, padding.flat(), dilation].flat().some((n) => n >= 2 ** 31)) return undefined
  const own = epilogue ? inputs.length - epilogue.inputs.length + 1 : inputs.length
  const [x, w, bias, y] = [inputs[0]!, inputs[1]!, own > 2 ? inputs[2] : undefined, outputs[0]!].map((o) => o && tidy(o)) as [
    Operand,
    Operand,
    Operand | undefined,
    Operand,
  ]
  const [channelsIn, channelsOut] = [w.shape.at(-2)!, w.shape.at(-1)!]
  const depthwise = groups > 1 && channelsIn === 1 && channelsOut === groups
  if (groups > 1 && !depthwise) return undefined
  if (!isDense(w) || !isDense(y) || (bias && bias.strides[0] !== 1)) return undefined
  if ((x.strides.at(-1) !== 1 && x.shape.at(-1) !== 1) || x.strides.some((s) => s < 0)) return undefined
  if ([x, w, y].some(({ shape, strides }) => lastElement(shape, strides) >= 2 ** 29)) return undefined
  const three = (list: readonly number[], filled: number) => [...Array<number>(3 - axes).fill(filled), ...list] as unknown as Three
  const pixels = size(y.shape) / channelsOut
  const operations = operationsOf(postOps, { own, bias: bias !== undefined })
  const isProduct = kernel.every((n) => n === 1)
  const together = dilation.at(-1) === 1 && x.strides.at(-2) === channelsIn ? channelsIn * kernel.at(-1)! : channelsIn
  return {
    work: pixels * size(w.shape) * (depthwise ? depthwiseCost : 1),
    preferred:
      depthwise ||
      ((together >= fewNumbers || (!isProduct && channelsOut >= manyChannels)) &&
        (pixels <= fewPixels[isProduct ? 'product' : 'window'] || !arePlain(postOps))),
    describe: (threads) => ({
      convolution: {
        channels: [x.shape[0]!, channelsIn, channelsOut],
        in: three(x.shape.slice(1, -1), 1),
        out: three(y.shape.slice(1, -1), 1),
        kernel: three(kernel, 1),
        stride: three(stride, 1),
        before: three(
          padding.map(([before]) => before),
          0,
        ),
        dilation: three(dilation, 1),
        steps: [x.strides[0]!, ...three(x.strides.slice(1, -1), 0)],
        depthwise,
        operations,
        x: 0,
        weights: 1,
        y: inputs.length,
        words: inputs.length + (depthwise ? 2 : 3),
        threads,
      },
    }),
  }
}

/**
 * A product of some rows with one dense matrix, as a convolution over pixels in a row; undefined for others. Up to as many rows as are given, the matrix is
 * multiplied where it lies about as fast as by oneDNN, and faster where it is kept packed.
 */
export function describeProduct(routine: Routine): DescribedConvolution | undefined {
  if (routine.name !== 'matmul') return undefined
  const { attrs, epilogue, inputs, outputs } = routine as Routine<'matmul'>
  const postOps = epilogue ? postOpsOf(epilogue) : []
  if (!postOps || outputs.length !== 1 || attrs.precision === 'medium') return undefined
  if ([...inputs, ...outputs].some(({ dtype, shape }) => dtype !== 'float32' || shape.includes(0))) return undefined
  const own = epilogue ? inputs.length - epilogue.inputs.length + 1 : inputs.length
  const [x, w, y] = [inputs[0]!, inputs[1]!, outputs[0]!].map(tidy) as [Operand, Operand, Operand]
  const bias = own > 2
  if (bias && inputs[2]!.strides.at(-1) !== 1) return undefined
  const [rows, [depth, columns]] = [rowsOf(x), w.shape.slice(-2) as [number, number]]
  const matrix =
    w.strides.at(-1) === 1 && w.strides.at(-2) === columns && w.shape.slice(0, -2).every((n, axis) => n === 1 || w.strides[axis] === 0)
  if (!rows || !matrix || !isDense(y) || x.strides.at(-1) !== 1 || x.strides.some((s) => s < 0)) return undefined
  if (size(y.shape) !== rows.count * columns || columns % wholeVectors !== 0) return undefined
  if ([x, w, y].some(({ shape, strides }) => lastElement(shape, strides) >= 2 ** 29)) return undefined
  const ones: Three = [1, 1, 1]
  return {
    work: size(y.shape) * depth,
    preferred: rows.count > productRows.least && rows.count <= productRows.most,
    describe: (threads) => ({
      convolution: {
        channels: [1, depth, columns],
        in: [1, 1, rows.count],
        out: [1, 1, rows.count],
        kernel: ones,
        stride: ones,
        before: [0, 0, 0],
        dilation: ones,
        steps: [0, 0, 0, rows.step],
        depthwise: false,
        operations: operationsOf(postOps, { own, bias }),
        x: 0,
        weights: 1,
        y: inputs.length,
        words: inputs.length + 3,
        threads,
      },
    }),
  }
}

const isDense = ({ shape, strides }: Operand): boolean => rowMajor(shape).every((s, axis) => s === strides[axis])

import type { Operand, Routine } from 'cotangent'
import { extents, type NativeConvolution, type NativeOperation, operators } from './binding.ts'
import { lastElement, rowMajor, size, tidy } from './layout.ts'
import { arePlain, type PostOp, postOpsOf } from './post-ops.ts'

type Three = readonly [number, number, number]

interface DescribedConvolution {
  /** Multiply-adds. */
  readonly work: number
  /** Whether it is faster than oneDNN, which leaves some epilogues to a kernel and packs the weights in each run. */
  readonly preferred: boolean
  describe(threads: number): { readonly convolution: NativeConvolution }
}

/** Pixels of the result up to which weights are a good part of what is read, so that it matters where they lie; fewer where oneDNN would pack them, too. */
const fewPixels = { product: 2 ** 10, window: 2 ** 8 } as const

/** Numbers that lie together, of neighbouring taps and their channels, below which oneDNN is so much faster that a kernel may follow. */
const fewNumbers = 8

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
  const operation = (op: PostOp): NativeOperation => {
    const operator = operators[op.op]
    const none = { operator, word: undefined, param: undefined, value: undefined }
    if (!('input' in op)) return { ...none, ...('param' in op ? { param: op.param } : { value: op.value }), extent: extents.one }
    return { ...none, extent: extents[op.kind], word: own + op.input - 1 }
  }
  const operations = postOps.map(operation)
  const together = dilation.at(-1) === 1 && x.strides.at(-2) === channelsIn ? channelsIn * kernel.at(-1)! : channelsIn
  if (bias) operations.unshift({ operator: operators.add, extent: extents.column, word: 2, param: undefined, value: undefined })
  return {
    work: pixels * size(w.shape),
    preferred:
      depthwise ||
      (together >= fewNumbers && (pixels <= fewPixels[kernel.every((n) => n === 1) ? 'product' : 'window'] || !arePlain(postOps))),
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

const isDense = ({ shape, strides }: Operand): boolean => rowMajor(shape).every((s, axis) => s === strides[axis])

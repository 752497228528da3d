import type { Operand, Routine, RoutineName } from 'cotangent'
import { type AttentionRoutine, describeAttention } from './attention.ts'
import {
  algorithms,
  dataTypes,
  kinds,
  type NativeDescription,
  type NativePostOp,
  type NativeProduct,
  type NativeTensor,
} from './binding.ts'
import { type ByteDepths, isByteProduct } from './bytes.ts'
import { lastElement, overlaps, rowMajor, size, tidy } from './layout.ts'
import { arePlain, type PostOp, postOpsOf } from './post-ops.ts'
import { describeRecurrent, type RecurrentRoutine } from './recurrent.ts'

interface Described {
  /** Multiply-adds. */
  readonly work: number
  /** Whether it reads each weight once: memory's speed is its limit then. */
  readonly vector: boolean
  /** Whether what an engine makes of other routines is as fast, at this size. */
  readonly small?: boolean
  describe(threads: number): NativeDescription
}

interface DescribedProduct extends Described {
  describe(threads: number): NativeProduct
}

const maxSpatialAxes = 3

export interface DescribeOptions {
  /** Whether the machine multiplies bfloat16 numbers faster than float32. */
  readonly fastBfloat16: boolean
  readonly byteDepths: ByteDepths
  /** Whether convolutions of one position stay convolutions; default they become products where that is faster. */
  readonly windows?: boolean
}

/** A routine in oneDNN's terms; undefined where it is none of the addon's business. */
export function describe(routine: Routine, { fastBfloat16, byteDepths, windows }: DescribeOptions): Described | undefined {
  if (isAttention(routine)) return describeAttention(routine)
  if (isRecurrent(routine)) {
    const described = describeRecurrent(routine)
    return described && { ...described, vector: false }
  }
  const { epilogue, outputs } = routine
  const postOps = epilogue ? postOpsOf(epilogue) : []
  if (!postOps || !arePlain(postOps)) return undefined
  const inputs = routine.inputs.slice(0, epilogue ? 1 - epilogue.inputs.length || undefined : undefined)
  if (outputs.length !== 1 || !isProduct(routine)) return undefined
  const operands = [...inputs, ...outputs].map(tidy)
  if (operands.some(({ shape, strides }) => shape.includes(0) || strides.some((s) => s < 0))) return undefined
  if (!isByteProduct(routine, byteDepths) && !isFloatProduct(inputs, outputs[0]!)) return undefined
  if (operands.some(({ shape, strides }) => lastElement(shape, strides) >= 2 ** 31)) return undefined
  const medium = fastBfloat16 && routine.name === 'matmul' && routine.attrs.precision === 'medium'
  const described = routine.name === 'matmul' ? matmul(operands, medium) : convolution(routine, operands, windows)
  if (!described || !epilogue) return described
  return withPostOps(described, postOps, routine)
}

/** Products of bfloat16 numbers may have a float32 result; the other way round it would have to be rounded twice. */
function isFloatProduct([a, b, bias = a!]: readonly Operand[], y: Operand): boolean {
  const floats = ['float32', 'bfloat16']
  if (a!.dtype !== b!.dtype || ![a!, bias, y].every(({ dtype }) => floats.includes(dtype))) return false
  return y.dtype === 'float32' || a!.dtype === 'bfloat16'
}

/** The epilogue's operands come between the routine's own and its output. */
function withPostOps(described: DescribedProduct, postOps: readonly PostOp[], { inputs, epilogue }: Routine): Described | undefined {
  const own = inputs.length - epilogue!.inputs.length + 1
  const dtypes = epilogue!.inputs
  const { kind } = described.describe(1)
  // Gradients of convolutions take none.
  if (postOps.length > 0 && (kind === kinds.convGradInput || kind === kinds.convGradWeight)) return undefined
  if (postOps.some((op) => 'input' in op && dataTypes[dtypes[op.input]!] === undefined)) return undefined
  return {
    ...described,
    describe(threads) {
      const plain = described.describe(threads)
      const dst = { ...plain.dst, word: inputs.length }
      const ones = dst.dims.map(() => 1)
      const channels = plain.kind === kinds.matmul ? dst.dims.length - 1 : 1
      const column = dst.dims.map((size, axis) => (axis === channels ? size : 1))
      const postOp = (op: PostOp): NativePostOp => {
        const algorithm = algorithms[op.op as keyof typeof algorithms]
        if (!('input' in op)) return { param: undefined, value: undefined, ...op, algorithm, operand: tensor('float32', ones, ones, 0) }
        const [dtype, word] = [dtypes[op.input]!, own + op.input - 1]
        const dims = { dense: dst.dims, column, one: ones }[op.kind]
        const strides = op.kind === 'dense' ? dst.strides : dims.map((_, axis) => (axis < channels ? dst.dims[channels]! : 1))
        const operand = tensor(dtype, dims, op.kind === 'one' ? ones : strides, word)
        return { algorithm, operand, param: undefined, value: undefined }
      }
      return { ...plain, dst, postOps: postOps.map(postOp), words: inputs.length + 2 }
    },
  }
}

type Product = Routine<'matmul'> | Routine<'conv'> | Routine<'convGradInput'> | Routine<'convGradWeight'>

const isAttention = (routine: Routine): routine is AttentionRoutine =>
  (['attention', 'attentionGrad'] as RoutineName[]).includes(routine.name)

const isRecurrent = (routine: Routine): routine is RecurrentRoutine =>
  (['recurrent', 'recurrentGrad'] as RoutineName[]).includes(routine.name)

const isProduct = (routine: Routine): routine is Product =>
  (['matmul', 'conv', 'convGradInput', 'convGradWeight'] as RoutineName[]).includes(routine.name)

interface Axis {
  readonly size: number
  readonly a: number
  readonly b: number
  readonly y: number
}

/** Multiply-adds for each number that is converted from which on converting pays. */
const worthConverting = 64

/**
 * Rows from which on one float32 matrix is better multiplied in blocks of oneDNN's choice than where it lies, with the time that a reorder takes:
 * fewer where its rows are contiguous, since what comes in steps of pages has few places in the caches.
 */
const worthBlocks = { rows: 1024, columns: 2048 } as const

/** Operands: a, b, optional bias, y. `medium`: float32 operands may be multiplied as bfloat16 numbers. */
function matmul(operands: readonly Operand[], medium = false): DescribedProduct | undefined {
  const [a, b] = operands as [Operand, Operand]
  const y = operands.at(-1)!
  const bias = operands.length > 3 ? operands[2] : undefined
  const [row, column] = [y.shape.length - 2, y.shape.length - 1]
  const [k, n] = [a.shape[column]!, y.shape[column]!]
  let m = y.shape[row]!
  let batch: Axis[] = []
  for (let axis = row - 1; axis >= 0; axis--) {
    const outer = { size: y.shape[axis]!, a: a.strides[axis]!, b: b.strides[axis]!, y: y.strides[axis]! }
    const inner = batch[0]
    if (outer.size === 1) continue
    if (!inner && outer.b === 0 && outer.a === m * a.strides[row]!) {
      // One matrix of more rows: a batch of vectors times the same weights.
      m *= outer.size
    } else if (inner && outer.a === inner.size * inner.a && outer.b === inner.size * inner.b) {
      batch = [{ ...inner, size: outer.size * inner.size }, ...batch.slice(1)]
    } else {
      batch = [outer, ...batch]
    }
  }
  const converts = medium && a.dtype === 'float32' && (m * n) / (m + n) >= worthConverting
  const operand = ({ dtype }: Operand, word: number, of: 'a' | 'b' | 'y', rows: number, columns: number, last: readonly number[]) => {
    const sizes = batch.map((axis) => (axis[of] === 0 ? 1 : axis.size))
    const dims = [...sizes, rows, columns]
    const dense = rowMajor(dims)
    const strides = batch.map((axis, i) => (axis[of] === 0 ? dense[i]! : axis[of])).concat(last)
    const given = tensor(dtype, dims, strides, word, isMatrix(rows, columns, last) ? undefined : dense)
    return converts && of !== 'y' ? { ...given, wanted: dense, wantedType: dataTypes.bfloat16 } : given
  }
  const strided = (o: Operand) => [o.strides[row]!, o.strides[column]!]
  const blocks = batch.length === 0 && a.dtype === 'float32' && !converts && m >= worthBlocks[b.strides[column] === 1 ? 'rows' : 'columns']
  const src = operand(a, 0, 'a', m, k, strided(a))
  const given = operand(b, 1, 'b', k, n, strided(b))
  const weights = blocks ? { ...given, wanted: [] } : given
  const dst = operand(y, operands.length - 1, 'y', m, n, [n, 1])
  if ([src, weights].some(overlaps) || (bias && bias.strides[0] !== 1)) return undefined
  const flat = batch.map(() => 1)
  return {
    work: size(batch.map((axis) => axis.size)) * m * n * k,
    vector: m === 1 || n === 1,
    describe: (threads) => ({
      kind: kinds.matmul,
      src,
      weights,
      dst,
      bias: bias && tensor(bias.dtype, [...flat, 1, n], [...flat.map(() => n), n, 1], 2),
      window: undefined,
      postOps: [],
      words: operands.length + 1,
      threads,
      implementation: 0,
    }),
  }
}

/** Whether rows or columns are contiguous. */
const isMatrix = (rows: number, columns: number, [row, column]: readonly number[]) =>
  (column === 1 && row! >= columns) || (row === 1 && column! >= rows)

function tensor(
  dtype: Operand['dtype'],
  dims: readonly number[],
  strides: readonly number[],
  word: number,
  wanted?: readonly number[],
): NativeTensor {
  return { type: dataTypes[dtype]!, dims, strides, wanted, word }
}

/** Which of the operands is what in the forward direction. */
const roles = {
  conv: { src: 0, weights: 1, dst: 2 },
  convGradInput: { dst: 0, weights: 1, src: 2 },
  convGradWeight: { src: 0, dst: 1, weights: 2 },
} as const

type Convolution = Exclude<Product, Routine<'matmul'>>

function convolution(routine: Convolution, operands: readonly Operand[], windows?: boolean): DescribedProduct | undefined {
  const { name, attrs } = routine
  const { kernel, stride, padding, dilation, groups } = attrs
  if (kernel.length < 1 || kernel.length > maxSpatialAxes) return undefined
  if (padding.some(([before, after]) => before < 0 || after < 0)) return undefined
  const hasBias = operands.length > 3
  const words = { ...roles[name], ...(hasBias && { dst: 3 }) }
  const [x, w, y] = [operands[words.src]!, operands[words.weights]!, operands[words.dst]!]
  const pointwise = (windows ?? fasterAsWindows(name, x, y)) ? undefined : pointwiseMatmul(routine, operands)
  if (pointwise) return pointwise
  const bias = hasBias ? operands[2] : undefined
  if (bias && bias.strides[0] !== 1) return undefined
  const src = activations(x, words.src)
  const dst = activations(y, words.dst)
  const weights = kernels(w, words.weights, groups)
  if ([src, dst, weights].some(overlaps)) return undefined
  return {
    work: (size(y.shape) * size(w.shape)) / w.shape.at(-1)!,
    vector: false,
    describe: (threads) => ({
      kind: kinds[name],
      src,
      weights,
      dst,
      bias: bias && tensor(bias.dtype, bias.shape, [1], 2),
      window: {
        strides: stride,
        dilates: dilation.map((d) => d - 1),
        before: padding.map(([before]) => before),
        after: padding.map(([, after]) => after),
      },
      postOps: [],
      words: operands.length + 1,
      threads,
      implementation: 0,
    }),
  }
}

/**
 * Whether oneDNN computes a float32 convolution of one position faster than the product that it is: results of many channels made of few, which it writes
 * past the caches, and weight gradients of many positions, unless few rows of weights are long.
 */
function fasterAsWindows(name: Convolution['name'], x: Operand, y: Operand): boolean {
  const [from, to] = [x.shape.at(-1)!, y.shape.at(-1)!]
  const positions = size(y.shape) / to
  if (x.dtype !== 'float32' || to === from) return false
  if (name === 'conv') return from <= 64 && to > from && positions >= 4096
  return name === 'convGradWeight' && (from > to ? positions > 4 * from : from >= 128 && positions > 2 * to)
}

/** A convolution that looks at one position at a time as a product of matrices, which oneDNN computes faster as a rule; else undefined. */
function pointwiseMatmul(routine: Convolution, operands: readonly Operand[]): DescribedProduct | undefined {
  const { kernel, stride, padding, groups } = routine.attrs
  if (groups !== 1 || [...kernel, ...stride].some((n) => n !== 1) || padding.flat().some((n) => n !== 0)) return undefined
  const { src, weights, dst } = roles[routine.name]
  const last = operands.length - 1
  const at = (role: number) => operands[role === 2 ? last : role]!
  if (![at(src), at(dst)].every(({ shape, strides }) => rowMajor(shape).every((s, axis) => s === strides[axis]))) return undefined
  const rows = ({ dtype, shape }: Operand): Operand => {
    const channels = shape.at(-1)!
    return { dtype, shape: [size(shape) / channels, channels], strides: [channels, 1] }
  }
  const { dtype, shape, strides } = at(weights)
  const matrix: Operand = { dtype, shape: shape.slice(-2), strides: strides.slice(-2) }
  const bias = operands.slice(2, last)
  switch (routine.name) {
    case 'conv':
      return matmul([rows(at(src)), matrix, ...bias, rows(at(dst))])
    case 'convGradInput':
      return matmul([rows(at(dst)), transposed(matrix), rows(at(src))])
    case 'convGradWeight':
      return matmul([transposed(rows(at(src))), rows(at(dst)), matrix])
  }
}

const transposed = ({ dtype, shape, strides }: Operand): Operand => ({ dtype, shape: shape.toReversed(), strides: strides.toReversed() })

/** `[batch, ...spatial, channels]` as batch, channels, spatial; worked on with channels last. */
function activations({ dtype, shape, strides }: Operand, word: number): NativeTensor {
  const order = [0, shape.length - 1, ...shape.keys()].filter((axis, i) => i < 2 || (axis > 0 && axis < shape.length - 1))
  const dense = rowMajor(shape)
  const given = order.map((axis) => strides[axis]!)
  const isDense = strides.every((s, axis) => s === dense[axis])
  return tensor(
    dtype,
    order.map((axis) => shape[axis]!),
    given,
    word,
    isDense ? undefined : order.map((axis) => dense[axis]!),
  )
}

/** `[...kernel, channelsIn / groups, channelsOut]` as groups (if several), out, in, kernel; worked on in blocks of oneDNN's choice. */
function kernels({ dtype, shape, strides }: Operand, word: number, groups: number): NativeTensor {
  const rank = shape.length
  const [ci, co] = [rank - 2, rank - 1]
  const spatial = shape.slice(0, ci)
  const perGroup = shape[co]! / groups
  const dims = [perGroup, shape[ci]!, ...spatial]
  const steps = [strides[co]!, strides[ci]!, ...strides.slice(0, ci)]
  return groups === 1
    ? tensor(dtype, dims, steps, word, [])
    : tensor(dtype, [groups, ...dims], [perGroup * strides[co]!, ...steps], word, [])
}

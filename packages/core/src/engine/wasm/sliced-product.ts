import { type DType, dtypeInfo, isInt } from '../../dtype.ts'
import { sizeOf } from '../../layout.ts'
import { type Kernel, KernelBuilder } from '../kernel.ts'
import type { Operand, Routine } from '../routine.ts'
import type { Heap } from './heap.ts'
import type { KernelRun } from './launch.ts'
import { withScratch } from './steps.ts'

/**
 * How many products of bytes a library may add up exactly though it rounds sums to float32 on their way: 1024 of two int8 and 512 of a uint8
 * and an int8 are at most 2 ** 24.
 */
const depths = [1024, 512] as const

/** Channels are cut into multiples of so many. */
const STEP = 16

interface SliceCompiler {
  readonly heap: Heap
  kernel(kernel: Kernel): KernelRun
  /** Undefined where the product is not taken. */
  product(routine: Routine): KernelRun | undefined
}

/**
 * An int32 product of bytes that nobody takes as it is, made of products that add up fewer terms and no bias. Undefined where these are not
 * taken either.
 */
export function prepareInSlices(routine: Routine, compiler: SliceCompiler): KernelRun | undefined {
  if (!isByteProduct(routine)) return undefined
  for (const depth of depths) {
    const run = inSlices(routine, depth, compiler)
    if (run) return run
  }
  return undefined
}

function inSlices(routine: ByteProduct, depth: number, { heap, kernel, product }: SliceCompiler): KernelRun | undefined {
  const [, , bias] = routine.inputs
  const [y] = routine.outputs as [Operand]
  const slices = slicesOf(routine, depth)
  if (slices.length === 0 || (slices.length === 1 && !bias)) return undefined
  const runs: { readonly run: KernelRun; readonly moved: Slice['moved'] }[] = []
  for (const slice of slices) {
    const run = product(slice.routine)
    if (!run) return undefined
    runs.push({ run, moved: slice.moved })
  }
  const add = kernel(sumOf(y, y))
  const addBias = bias && kernel(sumOf(y, bias))
  const bytes = runs.length > 1 ? sizeOf(y.shape) * dtypeInfo[y.dtype].size : 0
  return withScratch(heap, [bytes], (pointers, [scratch]) => {
    const [a, b] = pointers as [number, number]
    const to = pointers[routine.inputs.length]!
    for (const [i, { run, moved }] of runs.entries()) {
      run([a + moved[0], b + moved[1], i === 0 ? to : scratch!], [])
      if (i > 0) add([to, scratch!, to], [])
    }
    addBias?.([to, pointers[2]!, to], [])
  })
}

type ByteProduct = Routine<'matmul'> | Routine<'conv'>

const isByte = ({ dtype }: Operand): boolean => isInt(dtype) && dtypeInfo[dtype].size === 1

function isByteProduct(routine: Routine): routine is ByteProduct {
  const { name, inputs, outputs } = routine as ByteProduct
  return (name === 'matmul' || name === 'conv') && inputs.slice(0, 2).every(isByte) && outputs[0]!.dtype === 'int32'
}

interface Slice {
  readonly routine: Routine
  /** Bytes from where the first two operands start to where those of this slice do. */
  readonly moved: readonly [number, number]
}

/** The product without its bias in slices of its channels; none where no slice is thin enough. */
function slicesOf({ inputs, ...rest }: ByteProduct, depth: number): readonly Slice[] {
  const [a, b] = inputs as readonly [Operand, Operand]
  const window = 'kernel' in rest.attrs ? sizeOf(rest.attrs.kernel) : 1
  const [last, row] = [a.shape.length - 1, b.shape.length - 2]
  const channels = b.shape[row]!
  const of = (routine: Pick<Routine, 'inputs'>): Routine => ({ ...rest, ...routine }) as Routine
  if (channels * window <= depth) return [{ routine: of({ inputs: [a, b] }), moved: [0, 0] }]
  const most = Math.floor(depth / window / STEP) * STEP
  // Channels of a group are apart from those of others.
  if (most === 0 || a.shape[last] !== channels) return []
  const each = Math.ceil(channels / Math.ceil(channels / most) / STEP) * STEP
  return Array.from({ length: Math.ceil(channels / each) }, (_, i): Slice => {
    const from = i * each
    const cut = (operand: Operand, axis: number): Operand => ({
      ...operand,
      shape: operand.shape.map((n, at) => (at === axis ? Math.min(each, n - from) : n)),
    })
    return { routine: of({ inputs: [cut(a, last), cut(b, row)] }), moved: [from * a.strides[last]!, from * b.strides[row]!] }
  })
}

/** A dense int32 result and what is added to it: another one, or a vector to each row. Buffers: the result, the other one, the result. */
function sumOf({ shape, strides }: Operand, other: Operand): Kernel {
  const k = new KernelBuilder('add', shape)
  const added = other.shape.length === shape.length ? other.strides : shape.map((_, i) => (i === shape.length - 1 ? other.strides[0]! : 0))
  const load = (dtype: DType, at: readonly number[]) => k.load(k.input(dtype), at)
  k.output('int32', k.add(load('int32', strides), k.cast(load(other.dtype, added), 'int32')))
  return k.build()
}

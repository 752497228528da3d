import { type DType, dtypeInfo, isInt, promote } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Sample, SampleTensor } from './table.ts'

export interface ProductOptions {
  /**
   * The result's dtype, in which products are added up; default: what the operands promote to. `int32` makes products of int8 and
   * uint8 exact (they never saturate), `float32` keeps the sums of half floats. It must be able to hold what the operands hold.
   * JAX calls it `preferred_element_type`, PyTorch `out_dtype`.
   */
  readonly dtype?: DType
}

/**
 * The dtype of a product's result.
 * @throws {CotangentError} `dtype-mismatch` where the dtype that is asked for is narrower than an operand's.
 */
export function productDType(op: string, operands: readonly Tensor[], { dtype }: ProductOptions): DType {
  const own = operands.map((x) => x.dtype).reduce(promote)
  if (dtype === undefined || promote(own, dtype) === dtype) return dtype ?? own
  throw new CotangentError('dtype-mismatch', {
    op,
    message: `the result's dtype ${dtype} can't hold what the operands hold`,
    dtypes: operands.map((x) => x.dtype),
    hint: `Ask for ${promote(own, dtype)}, and cast the result; or cast the operands first.`,
  })
}

const isByte = (dtype: DType) => isInt(dtype) && dtypeInfo[dtype].size === 1
const isHalf = (dtype: DType) => dtype === 'bfloat16' || dtype === 'float16'

/** The operands in a dtype that the product takes: bytes and half floats become wider on their way into it. */
export function productOperands(dtype: DType, a: Tensor, b: Tensor): [Tensor, Tensor] {
  const bytes = dtype === 'int32' && isByte(a.dtype) && isByte(b.dtype)
  const halves = dtype === 'float32' && a.dtype === b.dtype && isHalf(a.dtype)
  return bytes || halves ? [a, b] : [a.cast(dtype), b.cast(dtype)]
}

type Operand = (dtype: DType) => SampleTensor

/** Samples of products of bytes with sums in int32. */
export function narrowSamples(a: Operand, b: Operand, options: object = {}): Sample[] {
  return [
    { args: [a('int8'), b('int8'), { ...options, dtype: 'int32' }] },
    { args: [a('uint8'), b('int8'), options] },
    { args: [a('int8'), b('uint8'), { ...options, dtype: 'int32' }] },
    { args: [a('uint8'), b('uint8'), { ...options, dtype: 'int32' }] },
  ]
}
